package runtime

import (
	"sync"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
)

// TurnRecord is a turn that has ended.
type TurnRecord struct {
	At       time.Time // when it began
	What     string    // its action or hook
	Conn     string    // whose call it was, or about which connection; empty if there is none
	ReadOnly bool
	Took     time.Duration
	Err      *host.Fault // nil if it succeeded
}

// keptTurns is how many turns of an actor are kept.
const keptTurns = 200

// turnRing keeps the newest turns of an actor while somebody looks.
type turnRing struct {
	watchers int // guarded by Node.mu

	mu    sync.Mutex // guards the fields below
	turns [keptTurns]TurnRecord
	next  uint64 // how many there were
}

func (r *turnRing) add(t TurnRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turns[r.next%keptTurns] = t
	r.next++
}

func connID(c *Conn) string {
	if c == nil {
		return ""
	}
	return c.id
}

// TurnWatch sees the turns of an actor since it was made, and those that other watches of
// the actor have seen. While an actor has none, its turns are not kept.
type TurnWatch struct {
	n    *Node
	id   string
	ring *turnRing
}

// WatchTurns begins to keep the turns of an actor. Call Close after use.
func (i *Inspector) WatchTurns(id string) *TurnWatch {
	n := i.n
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.watched[id]
	if r == nil {
		r = &turnRing{}
		if n.watched == nil {
			n.watched = map[string]*turnRing{}
		}
		n.watched[id] = r
		if a := n.actors[id]; a != nil {
			a.recent.Store(r)
		}
	}
	r.watchers++
	return &TurnWatch{n, id, r}
}

// Close ends the watch. Call it once.
func (w *TurnWatch) Close() {
	w.n.mu.Lock()
	defer w.n.mu.Unlock()
	if w.ring.watchers--; w.ring.watchers > 0 {
		return
	}
	delete(w.n.watched, w.id)
	if a := w.n.actors[w.id]; a != nil {
		a.recent.Store(nil)
	}
}

// After returns the turns after the first n, the oldest first, at most 200, and how many
// there were.
func (w *TurnWatch) After(n uint64) (turns []TurnRecord, next uint64) {
	r := w.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next > keptTurns {
		n = max(n, r.next-keptTurns)
	}
	for ; n < r.next; n++ {
		turns = append(turns, r.turns[n%keptTurns])
	}
	return turns, r.next
}
