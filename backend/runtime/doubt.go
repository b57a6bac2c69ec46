package runtime

import (
	"sync"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// doubts are of a process whose predecessor did not close the store, or of partitions whose
// owner before did not give them away: a message that was to run or be sent then may be why. Its
// methods may be called at the same time.
type doubts struct {
	unclean bool // the process before this one ended without closing the store; constant

	mu      sync.Mutex
	since   map[int]time.Time // likewise, of partitions: since when the node has them
	counted map[doubted]int   // messages of which this process has counted that they may end it, and their Fatal then
}

// doubted is a message: the id of its actor and its own.
type doubted struct {
	actor   string
	message uint64
}

// adopt notes that the node has a partition, and whether its owner before did not give it
// away. What was counted of its messages is of an earlier time.
func (d *doubts) adopt(part int, since time.Time, unclean bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for m := range d.counted {
		if store.Partition(m.actor) == part {
			delete(d.counted, m)
		}
	}
	if d.since == nil {
		d.since = map[int]time.Time{}
	}
	if delete(d.since, part); unclean {
		d.since[part] = since
	}
}

// has reports whether a message that is older than the process is not counted yet, or the
// commit that counted it has failed.
func (d *doubts) has(a *Actor, m *store.Message) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if since, unclean := d.since[a.part]; !d.unclean && !(unclean && since.Equal(a.since)) {
		return false
	}
	n, counted := d.counted[doubted{a.id, m.ID}]
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
