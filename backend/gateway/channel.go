package gateway

import (
	"math"
	"slices"
	"sync/atomic"

	"github.com/troupe-dev/troupe/backend/gateway/transport"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// A channel is one connection on one socket: a cursor on the log of its actor,
// subscriptions, and the calls that wait for an answer.
//
// The socket's reader makes it and passes on what the client wants. The fanout passes
// on what the actor's owner has answered, and the store reader what it has found. The
// worker that flushes the socket moves the cursor.
type channel struct {
	s          *socket
	num        uint32 // the client's number for it
	attachment host.Attachment
	conn       string // the connection's id
	caller     string
	ack        uint64 // the highest call up to which its client has all answers

	fanout *fanout
	log    *host.Log
	index  int    // in fanout.channels; guarded by fanout.mu
	member uint32 // the connection's number in the actor; written under fanout.mu before inbox.opened

	marked atomic.Bool                   // it is in s.dirty
	subs   atomic.Pointer[subscriptions] // replaced under s.mu
	sent   atomic.Uint64                 // the client was sent everything up to it
	sentAt atomic.Int64                  // when, Unix milliseconds; 0 before opened

	// Guarded by s.mu.
	name        string   // of the actor's definition; empty if opened by id and not open yet
	inFlight    []uint64 // ids of calls without an answer, as they came
	inbox       inbox
	joining     []*host.Output // see joining.go
	bytes       int            // of inbox.answers and joining; counted in s.outbox, too
	answered    bool           // the owner of the actor has opened it
	wantAt      bool           // it was quiet for long
	pendingAuth *pendingAuth   // while it waits for OnAuth; else nil
	approvals   *approvals     // for CanSubscribe; nil before the first one

	// The rest belongs to the flush.
	phase    phase
	opening  opening
	pos      host.Pos       // the cursor while live
	seq      uint64         // everything up to it has been dealt with
	chunk    []*host.Output // what is left of the last chunk in phaseReplay
	reading  bool           // the next chunk is being read
	until    uint64         // an at is owed once seq has reached it
	owesAt   bool
	unblocks uint32   // how often the socket had been blocked when the channel last looked
	fresh    host.Pos // volatile events before it are stale
	passed   host.Pos // failures, and replies without a number, before it have been dealt with
}

// An inbox holds what other goroutines leave for the flush.
type inbox struct {
	opened    *host.Output
	openedPos host.Pos
	closed    *host.Output
	closedPos host.Pos
	answers   []answer // failures, and replies without a number
	chunk     *chunk
	gapScan   *gapScan
}

// pendingSub is the seq of a subscription that came between an open and its
// answer: it starts at the answer (see channel.open), because before that the log
// may not be loaded and have no head.
const pendingSub = math.MaxUint64

type phase uint8

const (
	phaseOpening phase = iota // the owner of the actor has not answered
	phaseAsking               // waiting for a store read to find out what the log still has
	phaseLive                 // reading memory from pos on
	phaseReplay               // reading the store after seq
	phaseOver
)

// mark puts the channel among those of the socket that have something to look
// at; it reports whether it was not there. The caller then wakes the socket.
func (c *channel) mark() bool {
	if c.marked.Swap(true) {
		return false
	}
	c.s.mu.Lock()
	c.s.dirty = append(c.s.dirty, c)
	c.s.mu.Unlock()
	return true
}

// followed is the actor whose log the channel reads. It has the id, which would otherwise
// be computed for every request.
func (c *channel) followed() host.Ref {
	return host.Ref{Name: c.fanout.ref.Name, Key: c.fanout.ref.Key, ID: c.log.Actor()}
}

// arrived implements reader.
func (c *channel) arrived(k *chunk) { c.post(func() { c.inbox.chunk = k }) }

// post leaves something in the inbox and wakes the socket.
func (c *channel) post(leave func()) {
	c.s.mu.Lock()
	leave()
	c.s.mu.Unlock()
	if c.mark() {
		c.s.wake()
	}
}

// addressed takes an output that is for this attachment alone.
func (c *channel) addressed(o *host.Output, pos host.Pos) {
	if o.Kind == host.OutputSubscribed || o.Opened != nil && len(o.Opened.Refused) > 0 {
		c.approved(o, pos)
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	switch o.Kind {
	case host.OutputOpened:
		c.inbox.opened, c.inbox.openedPos, c.answered = c.keepJoiningLocked(o), pos, true
		c.name = o.Opened.Name
	case host.OutputClosed:
		c.inbox.closed, c.inbox.closedPos = o, pos
	case host.OutputSubscribed:
	default:
		a := answer{o, pos}
		if !c.s.outbox.hasRoomFor(a.size()) {
			a = a.short()
		}
		c.inbox.answers = append(c.inbox.answers, a)
		c.reserveAnswersLocked(a.size())
	}
}

// waits reports whether the channel waits for an output that is not in the store.
func (c *channel) waits() bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	asked := c.pendingAuth == nil || !c.pendingAuth.asking // else there is nothing to be answered yet
	return !c.answered && asked || len(c.inFlight) > 0 || c.approvals != nil && len(c.approvals.events) > 0
}

// answerLocked notes that a call has its answer. It needs s.mu.
func (c *channel) answerLocked(call uint64) {
	if i := slices.Index(c.inFlight, call); i >= 0 {
		c.inFlight = slices.Delete(c.inFlight, i, i+1)
	}
}

// subscribe adds events, from the visible end of the log on.
func (c *channel) subscribe(events []string) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	at := subscription{seq: pendingSub}
	if c.answered {
		at = subscription{seq: c.log.Head(), pos: c.log.Visible()}
	}
	subs := c.subs.Load().with(events, at)
	c.subs.Store(&subs)
}

// unsubscribe ends subscriptions, and reports whether there were any.
func (c *channel) unsubscribe(events []string) (any bool) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	before := len(*c.subs.Load())
	c.unsubscribeLocked(events)
	any = len(*c.subs.Load()) < before
	if c.approvals != nil {
		c.approvals.events = slices.DeleteFunc(c.approvals.events, func(e approval) bool { return slices.Contains(events, e.name) })
	}
	return any
}

func (c *channel) unsubscribeLocked(events []string) {
	subs := c.subs.Load().without(events)
	c.subs.Store(&subs)
}

// wants reports whether an output is meant for the channel. pos is its position,
// or 0 for an entry from the store.
func (c *channel) wants(o *host.Output, pos host.Pos) bool {
	switch o.Kind {
	case host.OutputEvent:
		if !o.Target.Includes(c.member) {
			return false
		}
		if !o.Numbered && pos <= c.opening.pos {
			return false
		}
		if o.Direct {
			return true
		}
		subs := *c.subs.Load()
		i, ok := subs.find(o.Event)
		if o.Numbered {
			return ok && o.Seq > subs[i].seq
		}
		return ok && pos >= subs[i].pos
	case host.OutputReply:
		if o.Numbered {
			return o.Producer == c.caller && o.Target.Includes(c.member)
		}
		return o.To == c.attachment && pos >= c.passed
	case host.OutputStub:
		return o.Target.Includes(c.member)
	case host.OutputFail:
		return o.To == c.attachment && pos >= c.passed
	}
	return false
}

// fill appends what the channel has for its client to a frame: at most quota
// messages, fewer if the frame gets full. It reports whether there is more. outs is
// scratch space and empty again afterwards.
func (c *channel) fill(f *transport.Frame, outs []*host.Output, quota int) (more bool) {
	c.s.mu.Lock()
	m := c.inbox
	c.inbox.opened, c.inbox.chunk, c.inbox.gapScan = nil, nil, nil
	wantAt, joining := c.wantAt, len(c.joining) > 0
	c.wantAt = false
	c.s.mu.Unlock()

	if n := c.s.unblocks.Load(); n != c.unblocks {
		c.unblocks, c.fresh = n, c.log.Visible()
	}
	switch c.phase {
	case phaseOpening:
		if m.opened != nil {
			c.open(f, m.opened, m.openedPos)
		} else if m.closed != nil {
			c.seq = m.closed.Seq // the kept answer of a call that destroyed the actor comes first
			if !c.fillAnswers(f) {
				return true
			}
			c.end(f, m.closed)
		}
	case phaseAsking:
		c.asked(f, m)
	case phaseReplay:
		if m.chunk != nil {
			c.take(m.chunk, m.closed)
		}
	}
	switch c.phase {
	case phaseLive:
		more = c.fillLive(f, outs, quota)
	case phaseReplay:
		more = c.fillReplay(f, quota, m.closed)
	}
	if len(m.answers) > 0 {
		c.dropAnswers()
	}
	if joining {
		c.dropJoining()
	}
	// The end is an output of the log and met there, unless that is gone.
	if m.closed != nil && c.phase == phaseLive && c.pos > m.closedPos {
		c.end(f, m.closed)
		return false
	}
	if wantAt && c.phase == phaseLive && !more && !c.owesAt && c.seq > c.sent.Load() {
		c.at(f)
	}
	return more
}

// fillLive reads on in memory.
func (c *channel) fillLive(f *transport.Frame, outs []*host.Output, quota int) (more bool) {
	outs, next, ok := c.log.Read(c.pos, outs[:0], min(quota, len(outs)))
	defer clear(outs)
	if !ok {
		c.startReplay()
		return false
	}
	for i, o := range outs {
		pos := c.pos + host.Pos(i)
		if o.Kind == host.OutputClosed && o.To == c.attachment {
			c.end(f, o)
			return false
		}
		if o.Numbered && o.Seq <= c.seq {
			continue
		}
		if c.wants(o, pos) && !(o.Latest != "" && !o.Numbered && c.replaced(o, outs[i+1:], pos+1)) {
			if o.Volatile && pos < c.fresh {
				c.s.g.stats.volatile.Add(1)
			} else if !c.message(f, o) {
				c.pos = pos
				return true
			}
			if !o.To.IsZero() {
				c.passed = pos + 1
			}
		}
		c.advance(f, o.Seq)
	}
	c.pos = next
	return len(outs) > 0 && next < c.log.Visible()
}

// replaced reports whether a newer event makes o superfluous (actor.Latest).
func (c *channel) replaced(o *host.Output, later []*host.Output, pos host.Pos) bool {
	for i, l := range later {
		if l.Latest == o.Latest && l.Event == o.Event && c.wants(l, pos+host.Pos(i)) {
			return true
		}
	}
	return false
}

// startReplay starts reading from the store: what comes next is not in memory.
func (c *channel) startReplay() {
	c.phase, c.chunk, c.reading = phaseReplay, nil, true
	c.s.g.storeReader.read(c.log, c.seq, c)
}

// take starts a chunk that was read for the channel. closed is as in fillReplay.
func (c *channel) take(k *chunk, closed *host.Output) {
	c.reading = false
	gap := len(k.outs) > 0 && k.outs[0].Seq != c.seq+1 || len(k.outs) == 0 && c.seq < c.log.Head()
	switch {
	case k.err != nil:
		c.s.logger().Warn("gateway: reading a log failed", "id", c.log.Actor(), "conn", c.conn, "error", k.err)
		c.s.close(statusTryAgain, wire.CodeUnavailable)
		c.phase = phaseOver
	case gap && closed != nil && closed.Err != nil && closed.Err.Code == wire.CodeDestroyed:
		c.seq = max(c.seq, closed.Seq) // the rest is gone with the actor
	case gap:
		c.s.tooSlow() // the log is not kept for so long
		c.phase = phaseOver
	default:
		c.chunk = k.outs
	}
}

// fillReplay hands out the current chunk, then continues in memory if it can, else
// with the next chunk. closed is the end of the channel, if it has come to one: it
// is not in the store, and nothing after it is for the client.
func (c *channel) fillReplay(f *transport.Frame, quota int, closed *host.Output) (more bool) {
	for len(c.chunk) > 0 && (closed == nil || c.seq < closed.Seq) {
		o := c.chunk[0]
		if quota == 0 || !c.fillAnswers(f) {
			return true
		}
		if c.wants(o, 0) {
			if o = c.stored(o); o == nil {
				c.s.tooSlow()
				c.phase = phaseOver
				return false
			}
			if !c.message(f, o) {
				return true
			}
			quota--
		}
		c.chunk = c.chunk[1:]
		c.advance(f, o.Seq)
	}
	if !c.fillAnswers(f) {
		return true
	}
	if closed != nil && c.seq >= closed.Seq {
		c.end(f, closed)
		return false
	}
	if c.reading {
		return false
	}
	if pos, ok := c.log.After(c.seq); ok {
		c.phase, c.pos, c.chunk = phaseLive, pos, nil
		return true
	}
	c.startReplay()
	return false
}

// advance moves the cursor past an entry.
func (c *channel) advance(f *transport.Frame, seq uint64) {
	c.seq = max(c.seq, seq)
	if c.owesAt && c.seq >= c.until {
		c.at(f)
	}
}

// at sends the client its position.
func (c *channel) at(f *transport.Frame) {
	c.owesAt = false
	f.Put(wire.AppendAt(wire.AppendHead(f.Begin(), c.num), c.seq))
	c.noteSent(f, c.seq)
}

// message appends an output, unless the frame is full.
func (c *channel) message(f *transport.Frame, o *host.Output) bool {
	b := wire.AppendHead(f.Begin(), c.num)
	if o.Kind == host.OutputEvent && c.fanout.count.Load() > inlineChannels {
		b = append(b, o.Encoded(encode)...)
	} else {
		b = appendRest(b, o) // keeping a copy for so few readers costs more
	}
	if !f.TryPut(b) {
		return false
	}
	c.noteSent(f, o.Seq)
	if o.Kind == host.OutputFail {
		c.s.g.stats.errors.Add(o.Err.Code)
	}
	if o.Kind != host.OutputEvent {
		c.s.mu.Lock()
		c.answerLocked(o.Call)
		c.s.mu.Unlock()
	}
	return true
}

// noteSent notes that f brings the client up to seq.
func (c *channel) noteSent(f *transport.Frame, seq uint64) {
	c.sent.Store(max(seq, c.sent.Load()))
	c.sentAt.Store(f.Time())
}

// end sends the client that the channel is over, and forgets it.
func (c *channel) end(f *transport.Frame, o *host.Output) {
	e := o.Err
	if e == nil {
		e = &host.Fault{Code: wire.CodeDisconnected, Message: "the actor ended the connection"}
	}
	c.s.g.stats.errors.Add(e.Code)
	b := wire.AppendHead(f.Begin(), c.num)
	switch {
	case e.Code == wire.CodeDestroyed:
		b = wire.AppendDestroyed(b, e.Message, e.Highest)
	case e.Final:
		b = wire.AppendFinal(b, e.Code, e.Message, e.Metadata)
	default:
		b = wire.AppendClosed(b, e.Code, e.Message, e.Metadata)
	}
	f.Put(b)
	c.phase = phaseOver
	c.s.forget(c)
}

// encode makes the part of an output's message that is the same for all.
func encode(o *host.Output) []byte {
	const fixed = 96
	return slices.Clip(appendRest(make([]byte, 0, fixed+len(o.Event)+len(o.Data)), o))
}

func appendRest(b []byte, o *host.Output) []byte {
	switch o.Kind {
	case host.OutputEvent:
		return wire.AppendEvent(b, o.Seq, o.Event, orNull(o.Data))
	case host.OutputReply:
		return wire.AppendReply(b, o.Seq, o.Call, o.Data)
	case host.OutputFail:
		return wire.AppendFail(b, o.Seq, o.Call, o.Err.Code, o.Err.Message, o.Err.Metadata)
	}
	return b
}

func orNull(data []byte) []byte {
	if len(data) == 0 {
		return []byte("null")
	}
	return data
}
