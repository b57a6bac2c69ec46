package gateway

import (
	"sync"
	"sync/atomic"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

const (
	feedBatch = 256 // outputs that a feed looks at under one lock

	// The channels of a room this small are marked by the goroutine that published,
	// which saves a switch to a worker. Workers drain them all the same: see queue.pop.
	inlineChannels = 4

	// Channels that an output is not for are not woken. So that their cursors do
	// not fall out of the log's memory, all are woken after this much.
	stragglerOutputs = 64
	stragglerBytes   = 128 << 10
)

// A feed watches the log of one actor for all channels that this gateway has on
// it: it tells the channels that an output may concern to look.
//
// Whoever publishes runs the feed, so that it does not fall behind the log. What
// takes long in a large room, waking everybody, is left to a worker (everybody).
type feed struct {
	g   *Gateway
	key string
	ref host.Ref

	followed chan struct{} // closed when Follow has returned; what follows is known then
	log      *host.Log
	err      error // of Follow; then there is no log

	count atomic.Int32 // of channels, also those that join; it grows under feeds.mu only
	lag   atomic.Bool  // there are channels that were not woken for the newest outputs

	turn    turnstile // of run; what follows belongs to it
	pos     host.Pos
	outs    []*host.Output
	touched []*channel
	skipped int // outputs since all channels were woken
	bytes   int // and their size

	everybody everybody

	mu       sync.Mutex
	channels []*channel                   // channel.index is the place
	attached map[host.Attachment]*channel // by attachment
	numbers  map[uint32]*channel          // by connection number, those that are open
}

// everybody is the job to wake all channels of a feed.
type everybody struct {
	f    *feed
	turn turnstile // of run
	jobs []job     // its
}

// feeds are the feeds of a gateway. No lock is held while the host is called: it may
// have to speak to another machine.
type feeds struct {
	g    *Gateway
	mu   sync.Mutex
	open map[string]*feed
}

// join makes c a reader of the actor's log, from the visible end on. It waits for the
// host's Follow, if the gateway does not follow the actor yet. The error is that of
// Follow.
func (fs *feeds) join(ref host.Ref, c *channel) error {
	f, isNew := fs.enter(ref)
	if isNew {
		f.follow()
	}
	<-f.followed
	if f.err != nil {
		return f.err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c.feed, c.log, c.index = f, f.log, len(f.channels)
	f.channels = append(f.channels, c)
	f.attached[c.attachment] = c
	return nil
}

// enter returns the feed of an actor and counts one more channel of it, so that it is not
// released meanwhile. If it is new, the caller has to have it follow the actor.
func (fs *feeds) enter(ref host.Ref) (f *feed, isNew bool) {
	key := "id\x00" + ref.ID
	if ref.ID == "" {
		key = "key\x00" + ref.Name + "\x00" + ref.Key.String()
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f = fs.open[key]
	if f == nil {
		isNew = true
		f = &feed{
			g: fs.g, key: key, ref: ref, followed: make(chan struct{}),
			attached: map[host.Attachment]*channel{}, numbers: map[uint32]*channel{},
		}
		f.everybody.f = f
		f.turn.begin() // nothing may run before the log is known
		fs.open[key] = f
	}
	f.count.Add(1)
	return f, isNew
}

// follow has the feed follow its actor. If that fails, all joins that wait for it get the
// error, and the next join tries again.
func (f *feed) follow() {
	f.err = errFollow // if the host panics
	defer func() {
		if f.err != nil {
			f.g.feeds.remove(f)
		}
		close(f.followed)
	}()
	log, err := f.g.host.Follow(f.ref, f)
	if err != nil {
		f.err = err
		return
	}
	f.log, f.pos, f.err = log, log.Visible(), nil
	// What was published meanwhile asked in vain. Until that is done the feed is
	// still this goroutine's: else nobody could begin again.
	for f.turn.end() {
		f.g.guard(f)
	}
}

var errFollow = host.Faultf(wire.CodeInternal, "the server failed; its log has the cause")

// remove takes a feed out, and reports whether it was there.
func (fs *feeds) remove(f *feed) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.open[f.key] != f {
		return false
	}
	delete(fs.open, f.key)
	return true
}

// leave ends c's reading. It may be called more than once.
func (f *feed) leave(c *channel) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.attached[c.attachment] != c {
		return
	}
	delete(f.attached, c.attachment)
	if f.numbers[c.member] == c {
		delete(f.numbers, c.member)
	}
	last := len(f.channels) - 1
	f.channels[c.index] = f.channels[last]
	f.channels[c.index].index = c.index
	f.channels[last] = nil
	f.channels = f.channels[:last]
	if f.count.Add(-1) == 0 {
		// Not here: the caller may be the actor, with locks of its own.
		f.g.drains.push(release{f})
	}
}

// release is the job to give up a feed without channels.
type release struct{ f *feed }

func (r release) run() { r.f.g.feeds.release(r.f) }

// release gives up a feed, unless a channel has joined it meanwhile.
func (fs *feeds) release(f *feed) {
	fs.mu.Lock()
	unused := f.count.Load() == 0 && fs.open[f.key] == f
	if unused {
		delete(fs.open, f.key) // the next join makes another one, with a Follow of its own
	}
	fs.mu.Unlock()
	if unused {
		fs.g.host.Unfollow(f.ref, f)
	}
}

// tend wakes channels that have not been woken for the newest outputs: else they
// would fall out of the log when it grows after a long silence.
func (fs *feeds) tend() {
	fs.mu.Lock()
	var lagging []*feed
	for _, f := range fs.open {
		if f.lag.Load() {
			lagging = append(lagging, f)
		}
	}
	fs.mu.Unlock()
	for _, f := range lagging {
		f.everybody.wake()
	}
}

// close gives up all feeds. No channel may join any more.
func (fs *feeds) close() {
	fs.mu.Lock()
	open := fs.open
	fs.open = map[string]*feed{}
	fs.mu.Unlock()
	for _, f := range open {
		if <-f.followed; f.err == nil {
			fs.g.host.Unfollow(f.ref, f)
		}
	}
}

// Published implements host.Follower.
func (f *feed) Published() {
	if !f.turn.begin() {
		return
	}
	for {
		f.g.guard(f)
		if !f.turn.end() {
			return
		}
	}
}

// failed is called when run panicked.
func (f *feed) failed() { f.missed() }

// run looks at the outputs that have become visible.
func (f *feed) run() {
	for {
		outs, next, ok := f.log.Read(f.pos, f.outs[:0], feedBatch)
		f.outs = outs
		if !ok {
			f.missed()
			continue
		}
		if len(outs) == 0 {
			break
		}
		f.look(outs)
		f.pos = next
		clear(outs)
	}
	for i, c := range f.touched {
		f.touched[i] = nil
		c.s.wake()
	}
	f.touched = f.touched[:0]
}

// look finds the channels that outputs at f.pos concern.
func (f *feed) look(outs []*host.Output) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := false
	for i, o := range outs {
		f.skipped++
		f.bytes += len(o.Data)
		switch {
		case !o.To.IsZero():
			if c := f.attached[o.To]; c != nil {
				if o.Kind == host.OutputOpened {
					c.member = o.Opened.Num
					f.numbers[c.member] = c
				}
				c.addressed(o, f.pos+host.Pos(i))
				f.touch(c)
			}
		case !o.Numbered && o.Kind != host.OutputEvent: // the answer of a single call
		case o.Target.Mode == store.ToOnly && len(o.Target.Conns) <= max(4, len(f.channels)/4):
			for _, n := range o.Target.Conns {
				if c := f.numbers[n]; c != nil {
					f.touch(c)
				}
			}
		default:
			all = true
		}
	}
	switch {
	case !all && f.skipped < stragglerOutputs && f.bytes < stragglerBytes:
		f.lag.Store(true)
	case len(f.channels) <= inlineChannels:
		f.skipped, f.bytes = 0, 0
		for _, c := range f.channels {
			f.touch(c)
		}
	default:
		f.skipped, f.bytes = 0, 0
		f.everybody.wake()
	}
}

// touch notes that c has something to look at.
func (f *feed) touch(c *channel) {
	if c.mark() {
		f.touched = append(f.touched, c)
	}
}

// missed is called when outputs were gone before the feed saw them. Entries can
// be read from the store. But an opened, a failure or a reply without a number
// may have been among them: who waits for one has to come back.
func (f *feed) missed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pos = f.log.Visible()
	for _, c := range f.channels {
		if c.waits() {
			c.s.tooSlow()
		} else {
			f.touch(c)
		}
	}
}

// wake has all channels of the feed woken by a worker.
func (e *everybody) wake() {
	e.f.lag.Store(false)
	if e.turn.begin() {
		e.f.g.drains.push(e)
	}
}

// run marks all channels and puts their sockets on the queue.
func (e *everybody) run() {
	e.f.mu.Lock()
	for _, c := range e.f.channels {
		if c.mark() && c.s.turn.begin() {
			e.jobs = append(e.jobs, c.s)
		}
	}
	e.f.mu.Unlock()
	e.f.g.drains.push(e.jobs...)
	clear(e.jobs)
	e.jobs = e.jobs[:0]
	if e.turn.end() {
		e.f.g.drains.push(e)
	}
}
