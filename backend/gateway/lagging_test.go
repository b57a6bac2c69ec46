package gateway_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
)

// laggingHost is like a host on another machine: it passes requests on, but its logs are
// copies, which are filled some time after the originals, in pieces. If it skips, they also
// fall behind: of some pieces they get the answers only. (Volatile events may be lost then; the
// tests want them.)
type laggingHost struct {
	host.Host
	t      testing.TB
	store  store.Store
	maxLag time.Duration
	bytes  int    // that a copy keeps in memory
	skips  bool   // some outputs, see LogWriter.Skip
	seed   uint64 // of the lag, and of what is skipped

	mu     sync.Mutex
	copies map[string]*logCopy
}

type logCopy struct {
	host     *laggingHost
	ref      host.Ref
	original *host.Log
	copied   *host.LogWriter
	pos      host.Pos
	behind   atomic.Bool // there is something to copy
	wake     chan struct{}
	done     chan struct{}
	wait     sync.WaitGroup
}

func newLaggingHost(t testing.TB, p host.Host, s store.Store, maxLag time.Duration, bytes int, seed uint64) *laggingHost {
	return &laggingHost{Host: p, t: t, store: s, maxLag: maxLag, bytes: bytes, seed: seed, copies: map[string]*logCopy{}}
}

func (p *laggingHost) Follow(r host.Ref, f host.Follower) (*host.Log, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.copies[refKey(r)]
	if c == nil {
		c = &logCopy{host: p, ref: r, wake: make(chan struct{}, 1), done: make(chan struct{})}
		original, err := p.Host.Follow(r, c)
		if err != nil {
			return nil, err
		}
		c.original = original
		c.copied = host.NewLog(original.Actor(), p.bytes, storedIn(p.store, original.Actor()))
		c.copied.ReadReplies(func(ctx context.Context, producer string, above uint64, limit, maxBytes int) ([]store.Entry, error) {
			return p.store.Replies(ctx, original.Actor(), producer, above, limit, maxBytes)
		})
		for {
			c.pos = original.Visible()
			c.copied.Start(original.Identity(), original.Head())
			if c.pos == original.Visible() {
				break
			}
		}
		p.copies[refKey(r)] = c
		c.wait.Go(c.run)
	}
	c.copied.Follow(f)
	return c.copied.Log(), nil
}

func (p *laggingHost) Unfollow(r host.Ref, f host.Follower) {
	p.mu.Lock()
	c := p.copies[refKey(r)]
	none := c.copied.Unfollow(f)
	if none {
		delete(p.copies, refKey(r))
	}
	p.mu.Unlock()
	if none {
		p.Host.Unfollow(r, c)
		close(c.done)
		c.wait.Wait()
	}
}

// Published implements host.Follower, on the original.
func (c *logCopy) Published() {
	c.behind.Store(true)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// behind reports whether some copy has not got everything.
func (p *laggingHost) behind() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.copies {
		if c.behind.Load() {
			return true
		}
	}
	return false
}

// run fills the copy.
func (c *logCopy) run() {
	chance := chanceOf(c.host.seed, refKey(c.ref))
	for {
		select {
		case <-c.done:
			return
		case <-c.wake:
		}
		for {
			select {
			case <-c.done:
				return
			case <-time.After(upTo(chance, c.host.maxLag)):
			}
			c.behind.Store(false) // before it looks: what comes later sets it again
			outs, next, ok := c.original.Read(c.pos, nil, 1+chance.IntN(8))
			if !ok {
				c.host.t.Error("the original log has forgotten what the copy has not got")
				return
			}
			if len(outs) == 0 {
				break
			}
			c.behind.Store(true)
			c.pos = next
			for i, o := range outs {
				outs[i] = cloneOutput(o)
			}
			if id := c.original.Identity(); id != c.copied.Log().Identity() { // loaded meanwhile
				head := outs[0].Seq
				if outs[0].Numbered {
					head--
				}
				c.copied.Start(id, head)
			}
			if c.host.skips && chance.IntN(3) == 0 && !slices.ContainsFunc(outs, func(o *host.Output) bool { return o.Volatile }) {
				head := outs[len(outs)-1].Seq
				outs = slices.DeleteFunc(outs, func(o *host.Output) bool { return o.To.IsZero() })
				c.copied.Skip(c.copied.Log().Identity(), head, outs, false)
				continue
			}
			c.copied.Release(c.copied.Put(outs...))
		}
	}
}

// cloneOutput is an output as it would arrive over a network.
func cloneOutput(o *host.Output) *host.Output {
	return &host.Output{
		Kind: o.Kind, Numbered: o.Numbered, Seq: o.Seq, TimeMs: o.TimeMs,
		Event: o.Event, Target: o.Target, Direct: o.Direct, Volatile: o.Volatile, Latest: o.Latest,
		Producer: o.Producer, Call: o.Call, Data: o.Data, To: o.To, Err: o.Err, Opened: o.Opened,
	}
}

func refKey(r host.Ref) string { return r.Name + "\x00" + r.Key.String() + "\x00" + r.ID }

// storedIn reads the entries of an actor, for host.NewLog.
func storedIn(s store.Store, id string) func(context.Context, uint64, int, int) ([]store.Entry, error) {
	return func(ctx context.Context, after uint64, limit, maxBytes int) ([]store.Entry, error) {
		return s.Entries(ctx, id, after, limit, maxBytes)
	}
}
