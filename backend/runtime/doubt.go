package runtime

import (
	"sync"

	"github.com/troupe-dev/troupe/backend/store"
)

// doubts are of a process whose predecessor did not close the store: a message that was to
// run or be sent then may be why. Its methods may be called at the same time.
type doubts struct {
	// unclean reports whether the process before this one, or an earlier owner of some of the
	// actors, ended without closing the store; nil: no. It is constant but in a cluster.
	unclean func() bool

	mu      sync.Mutex
	counted map[doubted]int // messages of which this process has counted that they may end it, and their Fatal then
}

// doubted is a message: the id of its actor and its own.
type doubted struct {
	actor   string
	message uint64
}

// has reports whether a message that is older than the process is not counted yet, or the
// commit that counted it has failed.
func (d *doubts) has(actor string, m *store.Message) bool {
	if d.unclean == nil || !d.unclean() {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n, counted := d.counted[doubted{actor, m.ID}]
	return !counted || m.Fatal < n
}

// count notes that a message is counted, also for when its actor has left memory: Fatal is
// durable. The store may have it also if the commit fails.
func (d *doubts) count(actor string, m *store.Message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.counted == nil {
		d.counted = map[doubted]int{}
	}
	d.counted[doubted{actor, m.ID}] = m.Fatal
}
