package runtime

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/troupe-dev/troupe/backend/host"
)

// mail is a request to an actor. It is delivered on the actor's goroutine, or
// refused there if the actor cannot be used.
type mail interface {
	// deliver handles the mail. It reports false if the instance was abandoned
	// meanwhile: its goroutine must end.
	deliver(in *instance) bool

	// refuse answers the mail with an error. It must not touch an instance.
	refuse(a *Actor, err *host.Fault)

	// size is about what the mail takes in memory while it waits, in bytes; 0 if
	// no client can make much of it.
	size() int
}

const mailBytes = 256 // what a mail takes besides what it carries

const keepMail = 64 // places that an empty mailbox keeps at most

// mailbox is an actor's queue of mail. The actor's goroutine runs while there is
// mail, and for some time after that; posting starts it.
type mailbox struct {
	start func()        // starts the actor's goroutine
	all   *atomic.Int64 // bytes of the mail of all actors of a node

	mu      sync.Mutex // guards the fields below
	arrived sync.Cond  // of mu
	queue   []mail     // from taken on; what is before is empty
	taken   int
	bytes   int // of what waits
	running bool
	closed  bool // the actor has left memory; ask the node for it again
}

// room is how much mail may wait.
type room struct {
	mails, bytes int   // of one actor
	all          int64 // bytes, of all actors of a node
}

// endless is the room for mail that is not refused.
var endless = room{math.MaxInt, math.MaxInt, math.MaxInt64}

func newMailbox(start func(), all *atomic.Int64) *mailbox {
	b := &mailbox{start: start, all: all}
	b.arrived.L = &b.mu
	return b
}

// post adds a mail. It reports false if the mailbox is closed.
func (b *mailbox) post(m mail) bool {
	posted, _ := b.offer(m, endless)
	return posted
}

// offer is post for a mail that is refused if there is no room for it.
func (b *mailbox) offer(m mail, r room) (posted bool, full *host.Fault) {
	size := m.size()
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return false, nil
	case b.waitingLocked() >= r.mails:
		return false, overLimit("the actor has too many calls waiting", r.mails, "actor.Options.MaxMailbox")
	case b.bytes+size > r.bytes:
		return false, overLimit("the actor has too much waiting", r.bytes, "actor.Options.MaxMailboxBytes")
	case b.all.Load()+int64(size) > r.all:
		return false, overLimit("the server's actors have too much waiting", r.all, "max-buffers")
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

// next waits for a mail and takes it.
func (b *mailbox) next() mail {
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
		if cap(b.queue) > keepMail {
			b.queue = nil
		}
	} else if b.taken > len(b.queue)/2 && b.taken >= keepMail {
		b.queue, b.taken = slices.Delete(b.queue, 0, b.taken), 0
	}
	return m
}

func (b *mailbox) waitingLocked() int { return len(b.queue) - b.taken }

// stop closes the mailbox if there is no mail, so that the actor's goroutine may
// end. It reports false if there is mail.
func (b *mailbox) stop() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waitingLocked() > 0 {
		return false
	}
	b.running, b.closed = false, true
	return true
}

// postLast adds a mail after which nothing is delivered, and closes the mailbox
// at once if the actor's goroutine does not run.
func (b *mailbox) postLast(m mail) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.running {
		b.closed = true
		return
	}
	b.queue = append(b.queue, m)
	b.arrived.Signal()
}

// end closes the mailbox and returns the mail that is left in it.
func (b *mailbox) end() []mail {
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
