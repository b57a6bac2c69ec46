package runtime

import (
	"context"

	"github.com/troupe-dev/troupe/backend/host"
)

// Timers returns how many timers the instance of an actor holds.
func (n *Node) Timers(r host.Ref) (timers int) {
	err := n.do(context.Background(), r, func(t *Turn) error {
		timers = len(t.in.timers)
		return nil
	})
	if err != nil {
		panic(err)
	}
	return timers
}

// Callers returns how many callers the instance of an actor remembers.
func (n *Node) Callers(r host.Ref) (callers int) {
	err := n.do(context.Background(), r, func(t *Turn) error {
		callers = len(t.in.callers)
		return nil
	})
	if err != nil {
		panic(err)
	}
	return callers
}

// Actors returns how many actors are in memory.
func (n *Node) Actors() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.actors)
}
