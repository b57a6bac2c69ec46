package runtime

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/troupe-dev/troupe/backend/host"
)

// envelope is a request to an actor. The actor's goroutine delivers it, or refuses it if
// the actor cannot be used.
type envelope interface {
	// deliver handles the envelope. It reports false if the instance was abandoned
	// meanwhile; then its goroutine must end.
	deliver(in *instance) bool

	// refuse answers the envelope with an error. It must not touch an instance.
	refuse(a *Actor, err *host.Fault)

	// size returns about how many bytes the envelope takes in memory, 0 if it is of the node
	// itself: no number of clients can make these large or many.
	size() int
}

const envelopeBytes = 256 // of an envelope without its payload

const keptCapacity = 64 // the largest queue that an empty mailbox keeps

// mailbox is an actor's queue of envelopes. Posting an envelope starts the actor's
// goroutine, which runs until the actor is idle.
type mailbox struct {
	start func()        // starts the actor's goroutine
	all   *atomic.Int64 // bytes of the envelopes of all actors of a node

	mu      sync.Mutex // guards the fields below
	arrived sync.Cond  // of mu
	queue   []envelope // queue[:taken] is empty
	taken   int
	calls   int // how many envelopes wait that are not of the node
	bytes   int // of these
	running bool
	closed  bool // the actor has left memory; get it from the node again

	glance glance          // of the actor when its goroutine last asked for an envelope
	looks  []*lookEnvelope // see look; they do not count as envelopes
}

// room is how much may wait in a mailbox.
type room struct {
	envelopes, bytes int   // of one actor
	all              int64 // bytes, of all actors of a node
}

// unlimited is the room for envelopes that are never refused.
var unlimited = room{math.MaxInt, math.MaxInt, math.MaxInt64}

func newMailbox(start func(), all *atomic.Int64) *mailbox {
	b := &mailbox{start: start, all: all}
	b.arrived.L = &b.mu
	return b
}

// post adds an envelope. It reports false if the mailbox is closed.
func (b *mailbox) post(m envelope) bool {
	posted, _ := b.offer(m, unlimited)
	return posted
}

// offer is post for an envelope that is refused if there is no room.
func (b *mailbox) offer(m envelope, r room) (posted bool, full *host.Fault) {
	size := m.size()
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return false, nil
	case b.calls >= r.envelopes:
		return false, overloadFault("too many calls wait for the actor", r.envelopes, "actor.Options.MaxMailbox")
	case b.bytes+size > r.bytes:
		return false, overloadFault("too many bytes wait for the actor", r.bytes, "actor.Options.MaxMailboxBytes")
	case b.all.Load()+int64(size) > r.all:
		return false, overloadFault("too many bytes wait for the actors of this server", r.all, "max-buffers")
	}
	b.countLocked(size, 1)
	b.queue = append(b.queue, m)
	if !b.running {
		b.running = true
		b.start()
	}
	b.arrived.Signal()
	return true, nil
}

// countLocked counts an envelope, by 1, or no longer counts it, by -1.
func (b *mailbox) countLocked(size, by int) {
	if size != 0 {
		b.calls += by
		b.bytes += by * size
		b.all.Add(int64(by * size))
	}
}

// next waits for an envelope and takes it. g is what others may see of the actor meanwhile.
func (b *mailbox) next(g glance) envelope {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.glance = g
	for b.waitingLocked() == 0 && len(b.looks) == 0 {
		b.arrived.Wait()
	}
	if len(b.looks) > 0 {
		m := b.looks[0]
		b.looks = slices.Delete(b.looks, 0, 1)
		return m
	}
	m := b.queue[b.taken]
	b.queue[b.taken] = nil
	b.countLocked(m.size(), -1)
	// Slots at the start are used again, so that posting does not allocate.
	if b.taken++; b.taken == len(b.queue) {
		b.queue, b.taken = b.queue[:0], 0
		if cap(b.queue) > keptCapacity {
			b.queue = nil
		}
	} else if b.taken > len(b.queue)/2 && b.taken >= keptCapacity {
		b.queue, b.taken = slices.Delete(b.queue, 0, b.taken), 0
	}
	return m
}

// waits reports whether an envelope waits.
func (b *mailbox) waits() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waitingLocked() > 0
}

func (b *mailbox) waitingLocked() int { return len(b.queue) - b.taken }

// takeDirect takes the requests that a caller waits for without a connection.
func (b *mailbox) takeDirect() (direct []envelope) {
	b.mu.Lock()
	defer b.mu.Unlock()
	waits := func(m envelope) bool {
		switch m.(type) {
		case *directEnvelope, *createEnvelope, *doEnvelope:
			return true
		}
		return false
	}
	kept := b.queue[:b.taken]
	for _, m := range b.queue[b.taken:] {
		if waits(m) {
			direct = append(direct, m)
			b.countLocked(m.size(), -1)
		} else {
			kept = append(kept, m)
		}
	}
	clear(b.queue[len(kept):])
	b.queue = kept
	return direct
}

// stop closes the mailbox if it is empty, so that the actor's goroutine may end. It
// reports false if it is not empty.
func (b *mailbox) stop() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waitingLocked() > 0 {
		return false
	}
	b.running, b.closed = false, true
	b.endLooksLocked()
	return true
}

// maxLooks is how many looks wait at most: they come before what clients wait for.
const maxLooks = 16

// look has the actor's goroutine answer a look before all envelopes. It reports whether that
// runs, for a look starts nothing and does not keep it from ending, and whether there was room.
func (b *mailbox) look(m *lookEnvelope) (runs, taken bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.running || b.closed {
		return false, false
	}
	b.looks = slices.DeleteFunc(b.looks, func(m *lookEnvelope) bool { return m.ctx.Err() != nil })
	if len(b.looks) >= maxLooks {
		return true, false
	}
	b.looks = append(b.looks, m)
	b.arrived.Signal()
	return true, true
}

func (b *mailbox) endLooksLocked() {
	for _, m := range b.looks {
		m.refuse(nil, nil)
	}
	b.looks = nil
}

// seen returns what others may see of the actor, how many envelopes wait, and whether its
// goroutine runs.
func (b *mailbox) seen() (g glance, waiting int, running bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.glance, b.waitingLocked(), b.running
}

// postLast adds the last envelope to deliver. If the actor's goroutine does not run, it
// closes the mailbox instead, and posted is false.
func (b *mailbox) postLast(m envelope) (posted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.running {
		b.closed = true
		return false
	}
	b.queue = append(b.queue, m)
	b.arrived.Signal()
	return true
}

// end closes the mailbox and returns the remaining envelopes.
func (b *mailbox) end() []envelope {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := b.queue[b.taken:]
	b.all.Add(-int64(b.bytes))
	b.calls, b.bytes = 0, 0
	b.queue, b.taken, b.closed, b.running = nil, 0, true, false
	b.endLooksLocked()
	return rest
}

// unused closes the mailbox if its goroutine does not run, and reports whether it did.
func (b *mailbox) unused() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running {
		return false
	}
	b.closed = true
	return true
}
