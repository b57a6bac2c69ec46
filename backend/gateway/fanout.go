package gateway

import (
	"sync"
	"sync/atomic"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

const (
	fanoutBatch = 256 // outputs that a fanout routes under one lock

	// The channels of a room this small are marked by the goroutine that published,
	// which saves a switch to a worker. Workers still flush them: see queue.pop.
	inlineChannels = 4

	// Channels that an output is not for are not woken. So that their cursors do
	// not fall out of the log's memory, all are woken after this much.
	stragglerOutputs = 64
	stragglerBytes   = 128 << 10
)

// A fanout watches the log of one actor for all channels that this gateway has on it: it
// marks the channels that may want an output.
//
// The goroutine that publishes runs the fanout, so that it does not fall behind the log. What
// takes long in a large room, waking all channels, is left to a worker (wakeAll).
type fanout struct {
	g   *Gateway
	key string
	ref host.Ref

	followed chan struct{} // closed when Follow has returned; what follows is known then
	log      *host.Log
	err      error // of Follow; then there is no log

	count atomic.Int32 // of channels, also those that join; it grows under fanouts.mu only
	lag   atomic.Bool  // there are channels that were not woken for the newest outputs

	reading coalescer // of run; what follows belongs to it
	pos     host.Pos
	outs    []*host.Output
	touched []*channel
	skipped int // outputs since all channels were woken
	bytes   int // and their size

	wakeAll wakeAll

	mu       sync.Mutex
	channels []*channel                   // channel.index is the index
	attached map[host.Attachment]*channel // by attachment
	numbers  map[uint32]*channel          // by connection number, those that are open
}

// A wakeAll is the job to wake all channels of a fanout.
type wakeAll struct {
	f       *fanout
	running coalescer // of run
	jobs    []job     // of run; reused
}

// fanouts are the fanouts of a gateway. No lock is held while the host is called: it may
// have to speak to another machine.
type fanouts struct {
	g    *Gateway
	mu   sync.Mutex
	open map[string]*fanout
}

// join makes c a reader of the actor's log, from the visible end on. It waits for the
// host's Follow, if the gateway does not follow the actor yet. The error is that of
// Follow.
func (fs *fanouts) join(ref host.Ref, c *channel) error {
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
	c.fanout, c.log, c.index = f, f.log, len(f.channels)
	f.channels = append(f.channels, c)
	f.attached[c.attachment] = c
	return nil
}

// enter returns the fanout of an actor and counts one more channel of it, so that it is not
// released meanwhile. If it is new, the caller has to have it follow the actor.
func (fs *fanouts) enter(ref host.Ref) (f *fanout, isNew bool) {
	key := keyOf(ref)
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f = fs.open[key]
	if f == nil {
		isNew = true
		f = &fanout{
			g: fs.g, key: key, ref: ref, followed: make(chan struct{}),
			attached: map[host.Attachment]*channel{}, numbers: map[uint32]*channel{},
		}
		f.wakeAll.f = f
		f.reading.begin() // nothing may run before the log is known
		fs.open[key] = f
	}
	f.count.Add(1)
	return f, isNew
}

// keyOf returns the key of a fanout in fanouts.open.
func keyOf(ref host.Ref) string {
	if ref.ID == "" {
		return "key\x00" + ref.Name + "\x00" + ref.Key.String()
	}
	return "id\x00" + ref.ID
}

// follow has the fanout follow its actor. If that fails, every channel that waits for it
// gets the error, and the next one tries again.
func (f *fanout) follow() {
	f.err = errFollow // if the host panics
	defer func() {
		if f.err != nil {
			f.g.fanouts.remove(f)
		}
		close(f.followed)
	}()
	log, err := f.g.host.Follow(f.ref, f)
	if err != nil {
		f.err = err
		return
	}
	f.log, f.pos, f.err = log, log.Visible(), nil
	// What was published meanwhile did not start it. Until that is done the fanout
	// belongs to this goroutine; afterwards the next output starts it again.
	for f.reading.end() {
		f.g.runJob(f)
	}
}

var errFollow = host.Faultf(wire.CodeInternal, "internal error; see the server log")

// remove takes a fanout out, and reports whether it was there.
func (fs *fanouts) remove(f *fanout) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.open[f.key] != f {
		return false
	}
	delete(fs.open, f.key)
	return true
}

// leave ends c's reading. It may be called more than once.
func (f *fanout) leave(c *channel) {
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
		f.g.queue.push(release{f})
	}
}

// release is the job to give up a fanout without channels.
type release struct{ f *fanout }

func (r release) run() { r.f.g.fanouts.release(r.f) }

// release gives up a fanout, unless a channel has joined it meanwhile.
func (fs *fanouts) release(f *fanout) {
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
func (fs *fanouts) tend() {
	fs.mu.Lock()
	var lagging []*fanout
	for _, f := range fs.open {
		if f.lag.Load() {
			lagging = append(lagging, f)
		}
	}
	fs.mu.Unlock()
	for _, f := range lagging {
		f.wakeAll.wake()
	}
}

// close gives up all fanouts. No channel may join any more.
func (fs *fanouts) close() {
	fs.mu.Lock()
	open := fs.open
	fs.open = map[string]*fanout{}
	fs.mu.Unlock()
	for _, f := range open {
		if <-f.followed; f.err == nil {
			fs.g.host.Unfollow(f.ref, f)
		}
	}
}

// Published implements host.Follower.
func (f *fanout) Published() {
	if !f.reading.begin() {
		return
	}
	for {
		f.g.runJob(f)
		if !f.reading.end() {
			return
		}
	}
}

// failed is called when run panicked.
func (f *fanout) failed() {
	f.pos = f.log.Visible()
	f.gap(true)
}

// run looks at the outputs that have become visible.
func (f *fanout) run() {
	for {
		outs, next, ok := f.log.Read(f.pos, f.outs[:0], fanoutBatch)
		f.outs = outs
		if !ok {
			var lost bool
			f.pos, lost = f.log.Resume(f.pos)
			f.gap(lost)
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

// look finds the channels to which outputs starting at f.pos go.
func (f *fanout) look(outs []*host.Output) {
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
		f.wakeAll.wake()
	}
}

// touch marks c as having outputs to deliver.
func (f *fanout) touch(c *channel) {
	if c.mark() {
		f.touched = append(f.touched, c)
	}
}

// gap is called when outputs were gone before the fanout saw them. Entries can be read
// from the store. But an opened, a failure or a reply without a number may be lost
// with them: a channel that waits for one has to come back on a new socket.
func (f *fanout) gap(lost bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.channels {
		if lost && c.waits() {
			c.s.tooSlow()
		} else {
			f.touch(c)
		}
	}
}

// wake has all channels of the fanout woken by a worker.
func (e *wakeAll) wake() {
	e.f.lag.Store(false)
	if e.running.begin() {
		e.f.g.queue.push(e)
	}
}

// run marks all channels and puts their sockets on the queue.
func (e *wakeAll) run() {
	e.f.mu.Lock()
	for _, c := range e.f.channels {
		if c.mark() && c.s.flushing.begin() {
			e.jobs = append(e.jobs, c.s)
		}
	}
	e.f.mu.Unlock()
	e.f.g.queue.push(e.jobs...)
	clear(e.jobs)
	e.jobs = e.jobs[:0]
	if e.running.end() {
		e.f.g.queue.push(e)
	}
}
