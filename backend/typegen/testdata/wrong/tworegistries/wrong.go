// Package wrong has two registries.
package wrong

import "github.com/troupe-dev/troupe/backend/actor"

type Room struct{}

var (
	First  = actor.NewRegistry(actor.Define[Room]("room"))
	Second = actor.NewRegistry(actor.Define[Room]("room")) // want "a second registry in one package"
)
