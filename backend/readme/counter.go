// Package readme has the Go code of the README, compiled and tested.
package readme

import "github.com/troupe-dev/troupe/backend/actor"

// Counter is an actor. Its exported fields are its state.
type Counter struct {
	Value int `json:"value"`
}

// Changed is an event; clients listen to "changed".
type Changed struct {
	Value int    `json:"value"`
	By    string `json:"by"`
}

// OnConnect runs when somebody connects.
func (r *Counter) OnConnect(c *actor.Context[actor.NoState]) {
	c.Conn().Send(Changed{Value: r.Value})
}

// Add is an action; clients call connection.add(by, n).
func (r *Counter) Add(c *actor.Context[actor.NoState], by string, n int) (int, error) {
	if n < 1 {
		return 0, actor.Errorf("not_positive", "cannot add %d", n)
	}
	r.Value += n
	c.Broadcast(Changed{Value: r.Value, By: by})
	return r.Value, nil
}

// Registry is what a server serves: actor definitions, and what they emit.
var Registry = actor.NewRegistry(
	actor.Define[Counter]("counter", actor.Emits[Changed]()),
)
