// Package readme has the Go code of the README and of docs, compiled and tested.
package readme

import "github.com/troupe-dev/troupe/backend/actor"

// Counter is an actor: its exported fields are its state, its methods its actions.
type Counter struct {
	Value int `json:"value"`
}

// Changed is an event: clients listen to "changed".
type Changed struct {
	Value int `json:"value"`
}

// Add changes the state. If it fails, nothing has happened.
func (r *Counter) Add(c *actor.Context[actor.NoState], n int) (int, error) {
	if n < 1 {
		return 0, actor.Errorf("not_positive", "cannot add %d", n)
	}
	r.Value += n
	c.Broadcast(Changed{r.Value})
	return r.Value, nil
}

// Get only reads: its receiver is a value.
func (r Counter) Get(*actor.Context[actor.NoState]) int { return r.Value }

// Registry has the actors of a server, with the events they emit.
var Registry = actor.NewRegistry(actor.Define[Counter]("counter", actor.Emits[Changed]()))
