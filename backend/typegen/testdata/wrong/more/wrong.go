// Package bad has what cannot be expressed.
package bad

import "github.com/troupe-dev/troupe/backend/actor"

type Room struct{}

type Shape interface{ Area() float64 }

type Own struct{}

func (Own) MarshalJSON() ([]byte, error) { return nil, nil }

type Event struct {
	Shape Shape           `json:"shape"`
	Own   Own             `json:"own"`
	Keys  map[float64]int `json:"keys"`
}

func (r *Room) Act(c *actor.Context[actor.NoState], f complex64) error { return nil }

var name = "room"

var emits = actor.Emits[Event]()

var Registry = actor.NewRegistry(
	actor.Define[Room](name, emits),
	actor.Define[Room]("second", actor.Emits[Event]()),
	actor.Define[Room]("second"),
)
