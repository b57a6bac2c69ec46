package runtime

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/troupe-dev/troupe/backend/host"
)

// envelope is a request to an actor. It is delivered on the actor's goroutine, or
// refused there if the actor cannot be used.
type envelope interface {
	// deliver handles the envelope. It reports false if the instance was abandoned
	// meanwhile: its goroutine must end.
	deliver(in *instance) bool

	// refuse answers the envelope with an error. It must not touch an instance.
	refuse(a *Actor, err *host.Fault)

	// size is about what the envelope takes in memory while it waits, in bytes; 0 if
	// no client can make much of it.
	size() int
}

const envelopeBytes = 256 // what an envelope takes besides what it carries

const keptCapacity = 64 // what an empty mailbox keeps of its queue at most

// mailbox is an actor's queue of envelopes. The actor's goroutine runs while there are
// envelopes, and for some time after that; posting starts it.
type mailbox struct {
	start func()        // starts the actor's goroutine
	all   *atomic.Int64 // bytes of the envelopes of all actors of a node

	mu      sync.Mutex // guards the fields below
	arrived sync.Cond  // of mu
	queue   []envelope // from taken on; what is before is empty
	taken   int
	bytes   int // of what waits
	running bool
	closed  bool // the actor has left memory; ask the node for it again
}

// room is how much may wait.
type room struct {
	envelopes, bytes int   // of one actor
	all              int64 // bytes, of all actors of a node
}

// unlimited is the room for what is not refused.
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

// offer is post for an envelope that is refused if there is no room for it.
func (b *mailbox) offer(m envelope, r room) (posted bool, full *host.Fault) {
	size := m.size()
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return false, nil
	case b.waitingLocked() >= r.envelopes:
		return false, overloadFault("the actor has too many calls waiting", r.envelopes, "actor.Options.MaxMailbox")
	case b.bytes+size > r.bytes:
		return false, overloadFault("the actor has too much waiting", r.bytes, "actor.Options.MaxMailboxBytes")
	case b.all.Load()+int64(size) > r.all:
		return false, overloadFault("the server's actors have too much waiting", r.all, "max-buffers")
	}
	b.countLocked(size)
	b.queue = append(b.queue, m)
	if !b.running {
		b.running = true
		b.start()
	}
	b.arrived.Signal()
	return true, nil
}

func (b *mailbox) countLocked(bytes int) {
	if bytes != 0 {
		b.bytes += bytes
		b.all.Add(int64(bytes))
	}
}

// next waits for an envelope and takes it.
func (b *mailbox) next() envelope {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.waitingLocked() == 0 {
		b.arrived.Wait()
	}
	m := b.queue[b.taken]
	b.queue[b.taken] = nil
	b.countLocked(-m.size())
	// The places at the start are used again, so that posting costs no memory.
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

func (b *mailbox) waitingLocked() int { return len(b.queue) - b.taken }

// stop closes the mailbox if it is empty, so that the actor's goroutine may
// end. It reports false if it is not.
func (b *mailbox) stop() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waitingLocked() > 0 {
		return false
	}
	b.running, b.closed = false, true
	return true
}

// postLast adds an envelope after which nothing is delivered, and closes the mailbox
// at once if the actor's goroutine does not run.
func (b *mailbox) postLast(m envelope) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.running {
		b.closed = true
		return
	}
	b.queue = append(b.queue, m)
	b.arrived.Signal()
}

// end closes the mailbox and returns the envelopes that are left in it.
func (b *mailbox) end() []envelope {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := b.queue[b.taken:]
	b.countLocked(-b.bytes)
	b.queue, b.taken, b.closed, b.running = nil, 0, true, false
	return rest
}

// unused closes the mailbox if its goroutine does not run, and reports whether
// it did.
func (b *mailbox) unused() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running {
		return false
	}
	b.closed = true
	return true
}
