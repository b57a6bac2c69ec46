package runtime

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/internal/definition"
)

// memory counts the bytes of the states, as JSON, and of the logs of a node's actors. Before
// the limit is reached, idle actors leave memory early. Its methods may be called at the
// same time.
type memory struct {
	max  int64 // beyond it, no further actor is loaded for a client
	used atomic.Int64

	relieving atomic.Bool
}

func newMemory(max int64) memory {
	if max <= 0 {
		max = math.MaxInt64
	}
	return memory{max: max}
}

func (m *memory) isFull() bool { return m.used.Load() >= m.max }

// isShort reports whether idle actors have to leave.
func (m *memory) isShort() bool { return m.used.Load() >= m.max/8*7 }

// reliefInterval is how often idle actors are looked for at most, and for how long one was
// not in use.
const reliefInterval = time.Second

// relieve has the actors that are not in use leave memory. Of those that have to stay for
// their connections, the logs leave.
func (n *Node) relieve() {
	if !n.memory.isShort() || !n.memory.relieving.CompareAndSwap(false, true) {
		return
	}
	n.wait.Go(func() { // it is called by an actor, for which Shutdown waits
		defer n.memory.relieving.Store(false)
		for _, a := range n.awake() {
			a.box.post(idleEnvelope{early: true})
		}
		n.pause(reliefInterval)
	})
}

// awake returns the actors in memory.
func (n *Node) awake() []*Actor {
	n.mu.Lock()
	defer n.mu.Unlock()
	actors := make([]*Actor, 0, len(n.actors))
	for _, a := range n.actors {
		actors = append(actors, a)
	}
	return actors
}

// weigh counts what the actor has in memory. If that is short, its log keeps less.
func (a *Actor) weigh() {
	bytes := int64(a.log.Bytes())
	if a.in != nil {
		if bytes > 0 && a.node.memory.isShort() {
			a.log.Shrink(a.in.def.Options.LogBytes / 16)
			bytes = int64(a.log.Bytes())
		}
		bytes += int64(a.in.state.size(a.in.state.base, definition.Collection.Size) + a.in.messages.bytes)
	}
	if bytes == a.bytes {
		return
	}
	a.node.memory.used.Add(bytes - a.bytes)
	a.bytes = bytes
	a.node.relieve()
}

// empty drops the log from memory, and counts what is left.
func (a *Actor) empty() {
	a.log.Shrink(0)
	a.weigh()
}
