package gateway

import (
	"sync"
	"sync/atomic"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/store"
)

const (
	feedBatch = 256 // outputs that a feed looks at under one lock

	// A room this small is served by whoever published: two switches of
	// goroutines less than by a worker.
	inlineChannels = 4

	// Channels that an output is not for are not woken. So that their cursors do
	// not fall out of the log's memory, all are woken after this much.
	stragglerOutputs = 64
	stragglerBytes   = 128 << 10
)

// A feed watches the log of one actor for all channels that this gateway has on
// it: it tells the channels that an output may concern to look.
type feed struct {
	g   *Gateway
	key string
	ref actor.Ref
	log *actor.Log

	count atomic.Int32 // of channels
	lag   atomic.Bool  // there are channels that were not woken for the newest outputs
	sweep atomic.Bool  // wake them
	turn  turnstile    // of run; what follows belongs to it

	pos     actor.Pos
	outs    []*actor.Output
	touched []*channel
	skipped int // outputs since all channels were woken
	bytes   int // and their size

	mu       sync.Mutex
	channels []*channel          // channel.index is the place
	attached map[uint64]*channel // by attachment
	numbers  map[uint32]*channel // by connection number, those that are open
}

// feeds are the feeds of a gateway.
type feeds struct {
	g    *Gateway
	mu   sync.Mutex
	open map[string]*feed
}

// join makes c a reader of the actor's log, from the visible end on. The error
// is an *actor.Error.
func (fs *feeds) join(ref actor.Ref, c *channel) (*feed, error) {
	key := "id\x00" + ref.ID
	if ref.ID == "" {
		key = "key\x00" + ref.Name + "\x00" + ref.Key.String()
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := fs.open[key]
	if f == nil {
		f = &feed{g: fs.g, key: key, ref: ref, attached: map[uint64]*channel{}, numbers: map[uint32]*channel{}}
		f.turn.begin() // nothing may run before the log is known
		log, err := fs.g.port.Follow(ref, f)
		if err != nil {
			return nil, err
		}
		f.log, f.pos = log, log.Visible()
		fs.open[key] = f
		f.done()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c.feed, c.log, c.index = f, f.log, len(f.channels)
	f.channels = append(f.channels, c)
	f.attached[c.attachment] = c
	f.count.Add(1)
	return f, nil
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

func (fs *feeds) release(f *feed) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.count.Load() == 0 && fs.open[f.key] == f {
		delete(fs.open, f.key)
		fs.g.port.Unfollow(f.ref, f)
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
		f.sweep.Store(true)
		f.Published()
	}
}

// close gives up all feeds.
func (fs *feeds) close() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for key, f := range fs.open {
		delete(fs.open, key)
		fs.g.port.Unfollow(f.ref, f)
	}
}

// Published implements actor.Follower.
func (f *feed) Published() {
	switch {
	case !f.turn.begin():
	case f.count.Load() <= inlineChannels:
		f.g.guard(f)
	default:
		f.g.drains.push(f)
	}
}

// done ends a run, or has another one made.
func (f *feed) done() {
	if f.turn.end() {
		f.g.drains.push(f)
	}
}

// failed is called when run panicked.
func (f *feed) failed() {
	f.missed()
	f.done()
}

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
	if f.sweep.Swap(false) {
		f.mu.Lock()
		f.touchAllLocked()
		f.mu.Unlock()
	}
	inline := f.count.Load() <= inlineChannels
	for i, c := range f.touched {
		f.touched[i] = nil
		c.s.wake(inline)
	}
	f.touched = f.touched[:0]
	f.done()
}

// look finds the channels that outputs at f.pos concern.
func (f *feed) look(outs []*actor.Output) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := false
	for i, o := range outs {
		f.skipped++
		f.bytes += len(o.Data)
		switch {
		case o.To != 0:
			if c := f.attached[o.To]; c != nil {
				if o.Kind == actor.OutputOpened {
					c.member = o.Opened.Num
					f.numbers[c.member] = c
				}
				c.addressed(o, f.pos+actor.Pos(i))
				f.touch(c)
			}
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
	if all || f.skipped >= stragglerOutputs || f.bytes >= stragglerBytes {
		f.touchAllLocked()
	} else {
		f.lag.Store(true)
	}
}

func (f *feed) touchAllLocked() {
	f.skipped, f.bytes = 0, 0
	f.lag.Store(false)
	for _, c := range f.channels {
		f.touch(c)
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
