package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// logCopy is a copy of the log of an actor of another node, for as long as that owns the actor
// and the session with it lasts. A copy has no hole: what it has not got is read from the
// owner.
type logCopy struct {
	port   *Port
	part   int
	slot   uint32 // of the owner
	number uint64 // of the follow
	writer *host.LogWriter

	asked    chan struct{} // closed when the owner was asked for the log
	askedErr error         // set before it

	mu       sync.Mutex // guards the fields below, and orders writes to the log; no lock of the port is taken under it
	ended    bool
	attached map[host.Attachment]bool // as the gateway knows them
}

func newCopy(p *Port, id string, part int, slot uint32, number uint64) *logCopy {
	c := &logCopy{port: p, part: part, slot: slot, number: number, asked: make(chan struct{}), attached: map[host.Attachment]bool{}}
	c.writer = host.NewLog(id, p.copyBytes, func(ctx context.Context, after uint64, limit, maxBytes int) ([]store.Entry, error) {
		return c.entries(ctx, &item{Kind: itemEntries, Seq: after, Limit: limit, Max: maxBytes})
	})
	c.writer.ReadReplies(func(ctx context.Context, producer string, above uint64, limit, maxBytes int) ([]store.Entry, error) {
		return c.entries(ctx, &item{Kind: itemReplies, Producer: producer, Seq: above, Limit: limit, Max: maxBytes})
	})
	return c
}

// entries reads entries from the owner, which knows what is released.
func (c *logCopy) entries(ctx context.Context, i *item) ([]store.Entry, error) {
	i.Follow = c.number
	answer, err := c.port.ask(ctx, c.slot, i)
	if err != nil {
		return nil, err
	}
	if answer.Err != nil {
		return nil, answer.Err
	}
	return answer.Entries, nil
}

// follow adds a follower, and asks the owner for the log if it is the first. The others wait for
// that, because their requests must come after it.
func (c *logCopy) follow(r host.Ref, f host.Follower, first bool) (*host.Log, error) {
	if first {
		c.askedErr = c.request(&item{Kind: itemFollow, Ref: r})
		close(c.asked)
	}
	if <-c.asked; c.askedErr != nil {
		return nil, c.askedErr
	}
	c.writer.Follow(f)
	return c.writer.Log(), nil
}

// unfollow gives the copy up.
func (c *logCopy) unfollow() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	_ = c.port.send(c.slot, &item{Kind: itemUnfollow, Number: c.number}, true) // if not, the session has ended
}

// request sends a request to the owner. The error says that it was not sent.
func (c *logCopy) request(i *item) error {
	c.mu.Lock()
	ended := c.ended
	c.mu.Unlock()
	if ended {
		return movedFault()
	}
	i.Number = c.number
	if err := c.port.send(c.slot, i, false); err != nil {
		return faultOf(err)
	}
	return nil
}

// remote is an attachment of this node's gateway, as other nodes know it; own is the reverse.
func (c *logCopy) remote(a host.Attachment) host.Attachment {
	return host.Attachment{Node: c.port.slot(), N: a.N}
}

func (c *logCopy) own(a host.Attachment) host.Attachment { return host.Attachment{N: a.N} }

func (p *Port) slot() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.self
}

// open sends an open, and remembers its attachment.
func (c *logCopy) open(r host.Ref, q host.OpenRequest) error {
	own := q.Attachment
	q.Attachment = c.remote(own)
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return movedFault()
	}
	c.attached[own] = true
	c.mu.Unlock()
	err := c.request(&item{Kind: itemOpen, Ref: r, Open: &q})
	if err != nil {
		c.mu.Lock()
		delete(c.attached, own)
		c.mu.Unlock()
	}
	return err
}

// forget says that the gateway has given up an attachment.
func (c *logCopy) forget(a host.Attachment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.attached, a)
}

// end ends all connections through the copy, because the owner has changed or the session with
// it is over. Clients open them again.
func (c *logCopy) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.endLocked(movedFault())
	}
}

func (c *logCopy) endLocked(why *host.Fault) {
	c.ended = true
	for a := range c.attached {
		c.putLocked(&host.Output{Kind: host.OutputClosed, TimeMs: time.Now().UnixMilli(), To: a, Err: why})
	}
}

// putLocked adds outputs that were not in the owner's log, or are next in it.
func (c *logCopy) putLocked(outputs ...*host.Output) {
	for _, o := range outputs {
		if o.Kind == host.OutputClosed {
			delete(c.attached, o.To)
		}
	}
	c.writer.Release(c.writer.Put(outputs...))
}

// received takes an answer of the owner.
func (c *logCopy) received(i *item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	for _, o := range i.Outputs {
		if !o.To.IsZero() {
			o.To = c.own(o.To)
		}
	}
	log := c.writer.Log()
	switch i.Kind {
	case itemFollowing:
		c.writer.Start(i.Log, i.Seq)
	case itemOutputs:
		if i.Log != log.Identity() { // the actor was loaded, or has begun a new life
			if log.Identity() == "" {
				c.writer.Start(i.Log, i.Seq)
			} else {
				c.writer.Skip(i.Log, i.Seq, nil, false)
			}
		}
		c.putLocked(i.Outputs...)
	case itemSkip:
		for _, o := range i.Outputs {
			if o.Kind == host.OutputClosed {
				delete(c.attached, o.To)
			}
		}
		c.writer.Skip(i.Log, i.Seq, i.Outputs, i.Lost)
	case itemRefused:
		switch {
		case i.Err.Code == wire.CodeMoved, i.Err.Code == wire.CodeShutdown:
			c.endLocked(movedFault())
			return
		case i.Of == itemFollow:
			c.endLocked(i.Err)
			return
		}
		o := &host.Output{TimeMs: time.Now().UnixMilli(), To: c.own(i.Attachment), Err: i.Err}
		if o.Kind = host.OutputClosed; i.Of == itemCall {
			o.Kind, o.Call = host.OutputFail, i.Seq
		}
		c.putLocked(o)
	}
}
