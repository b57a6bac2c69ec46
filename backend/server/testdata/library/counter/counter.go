// Package counter has an actor of an app that is a module of its own.
package counter

import "github.com/troupe-dev/troupe/backend/actor"

// Counter counts. Its exported fields are its state.
type Counter struct {
	Value int `json:"value"`
}

// Changed tells everybody the new value.
type Changed struct {
	Value int    `json:"value"`
	By    string `json:"by"`
}

// Add adds n and returns the new value.
func (r *Counter) Add(c *actor.Context[actor.NoState], by string, n int) (int, error) {
	if n < 1 {
		return 0, actor.Errorf("not_positive", "cannot add %d", n)
	}
	r.Value += n
	c.Broadcast(Changed{Value: r.Value, By: by})
	return r.Value, nil
}

// Registry is what the server serves.
var Registry = actor.NewRegistry(
	actor.Define[Counter]("counter", actor.Emits[Changed]()),
)
