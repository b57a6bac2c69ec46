package gateway

import (
	"context"
	"slices"

	"github.com/troupe-dev/troupe/backend/gateway/transport"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Of the replies of a known caller that are handed out at an opening.
const (
	maxOldReplies     = 256
	maxOldRepliesSize = 1 << 20
)

// Of gap scans.
const (
	maxGapScans     = 4       // at the same time, at most three quarters of them of one address
	maxGapScanBytes = 1 << 20 // that one reads to count; what is beyond them is counted at least
)

// opening is what is known about the answer to an open until it is sent.
type opening struct {
	info *host.OpenedInfo
	pos  host.Pos // of the OutputOpened
	seq  uint64   // the last entry before it
}

// open handles the owner's answer: it finds out whether the log still has what the
// client has not seen, and then answers.
//
// The connection starts after info.Start if everything from there on is still retained,
// else at the position of the OutputOpened itself: never with part of a gap (G4).
func (c *channel) open(f *transport.Frame, o *host.Output, pos host.Pos) {
	info := o.Opened
	c.opening = opening{info, pos, o.Seq}
	c.caller = info.Producer
	c.fresh, c.passed = pos, pos+1
	c.until = info.Until
	c.startSubs()
	c.checkSubs(info.Name)
	if info.Reason != "" {
		c.gapScan(info.Reason, info.AskedAfter, info.Start)
		return
	}
	if _, ok := c.log.After(info.Start); !ok {
		c.phase = phaseAsking
		c.s.g.storeReader.read(c.log, info.Start, c)
		return
	}
	if (info.KnownProducer || len(info.Replies) > 0) && !info.Resumed {
		c.gapScan("", info.Start, info.Start)
		return
	}
	c.start(f, info.Start, nil, nil)
}

// asked continues an opening when a store read is done.
func (c *channel) asked(f *transport.Frame, m inbox) {
	info := c.opening.info
	switch {
	case m.gapScan != nil:
		if m.gapScan.err != nil {
			c.take(&chunk{err: m.gapScan.err}, nil)
			return
		}
		c.start(f, m.gapScan.start, m.gapScan.gap, m.gapScan.replies)
	case m.chunk != nil && m.chunk.err != nil:
		c.take(m.chunk, nil)
	case m.chunk != nil && len(m.chunk.outs) > 0 && m.chunk.outs[0].Seq == info.Start+1:
		c.start(f, info.Start, nil, nil)
	case m.chunk != nil:
		reason := wire.ReasonOverflow
		if c.s.g.slow.take(c.conn) {
			reason = wire.ReasonSlow
		}
		c.gapScan(reason, info.Start, c.opening.seq)
	}
}

// start answers the open: the connection has everything up to seq, except for the gap,
// nil if there is none.
func (c *channel) start(f *transport.Frame, seq uint64, gap *wire.Lost, replies []*host.Output) {
	info := c.opening.info
	f.Put(wire.AppendOpened(wire.AppendHead(f.Begin(), c.num), wire.Opened{
		Seq: seq, ActorID: info.Actor, Log: info.Log, ConnID: info.Conn, Owner: info.Owner, Resumed: info.Resumed, Lost: gap,
	}))
	for _, o := range replies {
		f.Put(wire.AppendReply(wire.AppendHead(f.Begin(), c.num), seq, o.Call, o.Data))
	}
	switch stats := &c.s.g.stats; {
	case gap != nil:
		stats.gaps.Add(gap.Reason)
		stats.gapEntries.Add(uint64(gap.Missed))
	case info.Resumed:
		stats.resumed.Add(1)
	}
	c.opening.info = nil
	c.seq, c.owesAt = seq, true
	c.noteSent(f, seq)
	c.advance(f, seq)
	pos, ok := c.log.After(seq)
	if !ok {
		c.startReplay()
		return
	}
	c.phase, c.pos = phaseLive, pos
}

// startSubs starts the subscriptions that waited for the answer.
func (c *channel) startSubs() {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	subs := *c.subs.Load()
	pending := func(sub subscription) bool { return sub.seq == pendingSub }
	if !slices.ContainsFunc(subs, pending) {
		return
	}
	subs = slices.Clone(subs)
	for i := range subs {
		if pending(subs[i]) {
			subs[i].seq, subs[i].pos = c.opening.seq, c.opening.pos
		}
	}
	c.subs.Store(&subs)
}

// checkSubs refuses events that the actor does not have, if its definition was not known
// at the open.
func (c *channel) checkSubs(name string) {
	for _, sub := range *c.subs.Load() {
		c.refuseUnknown(name, sub.event)
	}
}

// A gapScan reads what is retained of a log, away from the workers: to count the entries
// of a gap, and to find replies that the caller still waits for. Like a channel it reads
// chunk by chunk, so that it delays no other reader, and shares its reads with readers at
// the same location.
type gapScan struct {
	c     *channel
	at    uint64 // has read up to here
	after uint64 // entries above it are in the gap
	start uint64 // up to it
	gap   *wire.Lost

	chunk   *chunk   // the one to look at
	read    int      // bytes
	find    bool     // the store has to find the replies
	wanted  []uint64 // replies that are still to be read, by number
	from    string   // the address, which has its place in the turns of gap scans
	replies []*host.Output
	size    int
	err     error
}

// gapScan counts the entries of a gap: those in (after, start] that the channel wants.
// Without a reason there is no gap; in another log they cannot be counted.
//
// It starts at what the client has seen of this log: it has all replies up to there. For
// a client that has seen nothing, replies may be anywhere: the store finds them.
func (c *channel) gapScan(reason string, after, start uint64) {
	c.phase = phaseAsking
	w := &gapScan{c: c, after: after, start: start, from: c.s.from}
	unknown := reason == "" || reason == wire.ReasonRestart && after == 0
	if reason != "" {
		w.gap = &wire.Lost{Reason: reason, Exact: !unknown}
		if unknown {
			w.after = start
		}
	}
	if w.at = w.after; unknown && c.opening.info.KnownProducer {
		w.at, w.find = start, true
	}
	for _, seq := range c.opening.info.Replies {
		if seq <= start {
			w.wanted = append(w.wanted, seq)
		}
	}
	c.s.g.gapScans.Acquire(w.from, "", w.next)
}

// next reads on, or ends the gap scan.
func (w *gapScan) next() {
	c := w.c
	if w.err == nil && c.s.channel(c.num) == c {
		switch {
		case w.at < w.start:
			c.s.g.storeReader.read(c.log, w.at, w)
			return
		case w.find || len(w.wanted) > 0:
			c.s.g.storeReader.queue.push(w)
			return
		}
	}
	c.s.g.gapScans.Release(w.from)
	c.post(func() { c.inbox.gapScan = w })
}

// arrived implements reader.
func (w *gapScan) arrived(k *chunk) {
	w.chunk = k
	w.c.s.g.storeReader.queue.push(w)
}

// run looks at a chunk, or reads a reply.
func (w *gapScan) run() {
	switch {
	case w.find:
		w.findReplies()
		w.next()
		return
	case w.chunk == nil:
		w.readReply()
		w.next()
		return
	}
	outs := w.chunk.outs
	w.err = w.chunk.err
	if w.err == nil && len(outs) == 0 {
		w.inexact(true) // what is left is no longer retained
		w.at = w.start
	}
	for _, o := range outs {
		w.inexact(o.Seq > max(w.at, w.after)+1)
		w.read += len(o.Data)
		if w.at = o.Seq; w.at <= w.start {
			w.see(o)
		}
	}
	w.chunk = nil
	if w.read > maxGapScanBytes && !w.c.opening.info.KnownProducer {
		w.inexact(w.at < w.start)
		w.at = w.start
	}
	w.next()
}

// findReplies reads the replies that the caller waits for.
func (w *gapScan) findReplies() {
	w.find = false
	var replies []*host.Output
	replies, w.err = w.c.log.Replies(w.c.s.g.storeReader.ctx, w.c.caller, w.c.ack, maxOldReplies, maxOldRepliesSize)
	for _, o := range replies {
		if o.Seq <= w.start {
			w.reply(o)
		}
	}
}

// readReply reads a reply that the caller waits for, unless it is no longer retained.
func (w *gapScan) readReply() {
	seq := w.wanted[0]
	w.wanted = w.wanted[1:]
	outs, err := w.c.log.Stored(w.c.s.g.ctx, seq-1, 1, 1)
	if w.err = err; err == nil && len(outs) > 0 && outs[0].Seq == seq {
		w.reply(outs[0])
	}
}

// reply keeps a reply if the caller waits for it.
func (w *gapScan) reply(o *host.Output) {
	c := w.c
	if o.Producer != c.caller || o.Call <= c.ack {
		return
	}
	w.replies = append(w.replies, o)
	w.size += len(o.Data)
	for len(w.replies) > maxOldReplies || w.size > maxOldRepliesSize {
		w.size -= len(w.replies[0].Data)
		w.replies = w.replies[1:]
	}
}

// failed is called when run panicked.
func (w *gapScan) failed() {
	w.err = context.Canceled
	w.next()
}

func (w *gapScan) inexact(is bool) {
	if is && w.gap != nil {
		w.gap.Exact = false
	}
}

func (w *gapScan) see(o *host.Output) {
	c := w.c
	if o.Kind == host.OutputReply {
		if c.opening.info.KnownProducer {
			w.reply(o)
		}
		return
	}
	if w.gap == nil || o.Seq <= w.after {
		return
	}
	if c.opening.info.Resumed {
		if c.wants(o, 0) {
			w.gap.Missed++
		}
		return
	}
	// The connection that the client had before, and its number, are forgotten: what went
	// to some connections only may have been for it.
	_, subscribed := c.subs.Load().find(o.Event)
	switch {
	case o.Target.Mode == store.ToAll && (o.Direct || subscribed):
		w.gap.Missed++
	case o.Direct || subscribed:
		w.gap.Exact = false
	}
}
