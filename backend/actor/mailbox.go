package actor

import "sync"

// mail is a request to an actor. It is delivered on the actor's goroutine, or
// refused there if the actor cannot be used.
type mail interface {
	// deliver handles the mail. It reports false if the instance was abandoned
	// meanwhile: its goroutine must end.
	deliver(in *instance) bool

	// refuse answers the mail with an error. It must not touch an instance.
	refuse(a *actor, err *Error)
}

// mailbox is an actor's queue of mail. The actor's goroutine runs while there is
// mail, and for some time after that; posting starts it.
type mailbox struct {
	start func() // starts the actor's goroutine

	mu      sync.Mutex // guards the fields below
	arrived sync.Cond  // of mu
	queue   []mail
	running bool
	closed  bool // the actor has left memory; ask the node for it again
}

func newMailbox(start func()) *mailbox {
	b := &mailbox{start: start}
	b.arrived.L = &b.mu
	return b
}

// post adds a mail. It reports false if the mailbox is closed.
func (b *mailbox) post(m mail) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.queue = append(b.queue, m)
	if !b.running {
		b.running = true
		b.start()
	}
	b.arrived.Signal()
	return true
}

// full reports whether calls should be refused.
func (b *mailbox) full(limit int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue) >= limit
}

// next waits for a mail and takes it.
func (b *mailbox) next() mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queue) == 0 {
		b.arrived.Wait()
	}
	m := b.queue[0]
	b.queue[0] = nil
	b.queue = b.queue[1:]
	return m
}

// stop closes the mailbox if there is no mail, so that the actor's goroutine may
// end. It reports false if there is mail.
func (b *mailbox) stop() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) > 0 {
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
	rest := b.queue
	b.queue, b.closed, b.running = nil, true, false
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
