package gateway

import "github.com/troupe-dev/troupe/backend/host"

// What OnConnect sends to its own connection is in the log's memory only; the store has
// stubs of it. It also comes with the answer of the open, and the channel keeps it until the
// cursor has passed it, as far as there is room: a client that reads slowly must not depend
// on how fast the log grows.

// keepJoiningLocked returns the answer of an open without what comes with it, which the
// channel keeps. It needs s.mu.
func (c *channel) keepJoiningLocked(opened *host.Output) *host.Output {
	if len(opened.Opened.Joining) == 0 {
		return opened
	}
	for _, o := range opened.Opened.Joining {
		if c.s.outbox.hasRoomFor(joiningSize(o)) {
			c.joining = append(c.joining, o)
			c.reserveAnswersLocked(joiningSize(o))
		}
	}
	info := *opened.Opened
	info.Joining = nil
	return &host.Output{Kind: opened.Kind, Seq: opened.Seq, TimeMs: opened.TimeMs, To: opened.To, Opened: &info}
}

// stored returns the output to send for an entry from the store: for a stub the one that
// was kept, nil if there is none.
func (c *channel) stored(o *host.Output) *host.Output {
	if o.Kind != host.OutputStub {
		return o
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	for _, kept := range c.joining {
		if kept.Seq == o.Seq {
			return kept
		}
	}
	return nil
}

// dropJoining forgets the kept outputs that the cursor has passed.
func (c *channel) dropJoining() {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	for len(c.joining) > 0 && c.joining[0].Seq <= c.seq {
		c.reserveAnswersLocked(-joiningSize(c.joining[0]))
		c.joining = c.joining[1:]
	}
	if len(c.joining) == 0 {
		c.joining = nil
	}
}

func joiningSize(o *host.Output) int { return answer{output: o}.size() }
