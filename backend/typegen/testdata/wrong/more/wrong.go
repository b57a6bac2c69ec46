// Package wrong has what cannot be expressed, also in an event.
package wrong

import "github.com/troupe-dev/troupe/backend/actor"

type Room struct{}

type Shape interface{ Area() float64 }

type Own struct{}

func (Own) MarshalJSON() ([]byte, error) { return nil, nil }

type Event struct {
	Shape Shape           `json:"shape"` // want "Event.shape: an interface with methods does not say what its JSON is"
	Own   Own             `json:"own"`   // want "Own has a MarshalJSON of its own: say what it writes"
	Keys  map[float64]int `json:"keys"`  // want "a map with keys of float64 cannot be JSON"
}

func (r *Room) Act(c *actor.Context[actor.NoState], f complex64) error { return nil } // want "complex64 cannot be JSON"

var emits = actor.Emits[Event]()

var Registry = actor.NewRegistry(
	actor.Define[Room]("first", emits),
	actor.Define[Room]("second"),
	actor.Define[Room]("second"), // want "there are two actors named \"second\""
)
