// Package wrong builds its registry where it cannot be followed.
package wrong

import "github.com/troupe-dev/troupe/backend/actor"

type Room struct{}

type Said struct{}

var name = "room"

func options() actor.DefineOption { return actor.Emits[Said]() }

func definition() *actor.Definition { return actor.Define[Room]("other") }

var many = []actor.DefineOption{actor.Emits[Said]()}

var Registry = actor.NewRegistry(
	actor.Define[Room](name),              // want "the name of an actor must be a constant"
	actor.Define[Room]("room", options()), // want "cannot follow an option that is made elsewhere"
	actor.Define[Room]("room", many...),   // want "write the arguments of actor.Define one by one"
	definition(),                          // want "cannot follow a definition that is made elsewhere"
)
