package gateway

import (
	"slices"

	"github.com/troupe-dev/troupe/backend/gateway/transport"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// An answer is for one attachment and in no store. The cursor finds it in the log's
// memory, unless it has left that; so it is kept until the cursor arrives.
type answer struct {
	output *host.Output
	pos    host.Pos
}

// What is kept of answers for a socket whose cursors have not reached them.
const (
	// Beyond this its reader waits: a client that does not take its answers gets
	// no more calls accepted.
	answersWait = 256 << 10

	// But the answers to calls accepted before may be large. Beyond this only their
	// failures are kept.
	answersShort = 4 << 20

	shortMetadata = 4 << 10 // bytes of a failure's metadata that stay
)

var errTooManyAnswers = host.Limit{Limit: answersShort, Option: "answers"}.
	Fault(wire.CodeOverloaded, "too many large answers wait for the client; the call had no effect")

// size is about what the answer costs in memory, in bytes.
func (a answer) size() int {
	const fixed = 256
	n := fixed + len(a.output.Data)
	if e := a.output.Err; e != nil {
		n += len(e.Message) + len(e.Metadata)
	}
	return n
}

// short is what is kept of an answer for which there is no room. The client gets it only
// if the output has left the log's memory when the cursor arrives; else it gets the
// answer itself. If the client repeats the call, it runs again: it had no effect, or its
// reply would be an entry.
func (a answer) short() answer {
	o := a.output
	e := errTooManyAnswers
	if o.Err != nil {
		e = o.Err
		if len(e.Metadata) > shortMetadata {
			e = &host.Fault{Code: e.Code, Message: e.Message}
		}
	}
	return answer{&host.Output{Kind: host.OutputFail, Seq: o.Seq, TimeMs: o.TimeMs, Call: o.Call, To: o.To, Err: e}, a.pos}
}

// reserveAnswersLocked counts bytes of answers that are kept; negative ones are released.
func (c *channel) reserveAnswersLocked(bytes int) {
	c.bytes += bytes
	c.s.outbox.reserveAnswers(bytes)
}

// fillAnswers appends the answers that a cursor which reads the store has
// reached. It reports false if the frame is full.
func (c *channel) fillAnswers(f *transport.Frame) bool {
	c.s.mu.Lock()
	answers := c.inbox.answers
	c.s.mu.Unlock()
	for _, a := range answers {
		if a.pos < c.passed {
			continue
		}
		if a.output.Seq > c.seq {
			break
		}
		if !c.message(f, a.output) {
			return false
		}
		c.passed = a.pos + 1
	}
	return true
}

// dropAnswers forgets the answers that the cursor has passed.
func (c *channel) dropAnswers() {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	n := 0
	for n < len(c.inbox.answers) && c.inbox.answers[n].pos < c.passed {
		c.reserveAnswersLocked(-c.inbox.answers[n].size())
		n++
	}
	if c.inbox.answers = slices.Delete(c.inbox.answers, 0, n); len(c.inbox.answers) == 0 {
		c.inbox.answers = nil
	}
}
