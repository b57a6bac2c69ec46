package jetstream

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/storetest"
)

var quiet = Options{Logger: slog.New(slog.DiscardHandler)}

// fixture makes the stores of a suite.
type fixture struct {
	backend
	options Options
	places  map[store.Store]place
	crash   func() bool // when a store is reopened
	wrap    func(*Store) store.Store
}

func newFixture(b backend, o Options) *fixture {
	n := 0
	return &fixture{
		backend: b, options: o, places: map[store.Store]place{},
		crash: func() bool { n++; return n%2 == 0 },
		wrap:  func(s *Store) store.Store { return s },
	}
}

func (f *fixture) open(t *testing.T) store.Store {
	p := f.newPlace(f.options)
	t.Cleanup(func() { p.remove(t) })
	return f.in(t, p)
}

func (f *fixture) in(t *testing.T, p place) store.Store {
	s := f.wrap(p.takeOver(t))
	f.places[s] = p
	return s
}

func (f *fixture) reopen(t *testing.T, s store.Store) store.Store {
	if f.crash() {
		s.(interface{ crash() }).crash()
	} else if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	return f.in(t, f.places[s])
}

func TestStore(t *testing.T) {
	f := newFixture(oneServer(t), quiet)
	storetest.Run(t, f.open, f.reopen)
}

// On three servers in processes of their own, with every message on the disks of two.
func TestStore_threeServers(t *testing.T) {
	if testing.Short() {
		t.Skip("the long form")
	}
	f := newFixture(threeServers(t), quiet)
	storetest.Run(t, f.open, f.reopen)
}

// A store with a small journal whose actors keep leaving memory, also across crashes.
func TestStore_trimmed(t *testing.T) {
	trimmed(t, oneServer(t))
}

func TestStore_trimmedThreeServers(t *testing.T) {
	if testing.Short() {
		t.Skip("the long form")
	}
	trimmed(t, threeServers(t))
}

func trimmed(t *testing.T, b backend) {
	c := newClockThatRuns()
	o := quiet
	o.MaxBytes, o.now, o.idleAfter, o.tick = 30<<10, c.now, 2*time.Second, time.Hour
	f := newFixture(b, o)
	f.wrap = func(s *Store) store.Store { return &ticking{Store: s} }
	storetest.RunTrimmed(t, f.open, f.reopen)
}

// ticking is a store that ticks with every few commits.
type ticking struct {
	*Store
	commits atomic.Int64
}

func (s *ticking) Commit(ctx context.Context, group []*store.Commit) []error {
	if s.commits.Add(1)%5 == 0 {
		s.keeper.tick(context.Background())
	}
	return s.Store.Commit(ctx, group)
}

// clockThatRuns is a clock that goes on by a little each time that it is read.
type clockThatRuns struct{ at atomic.Int64 }

func newClockThatRuns() *clockThatRuns {
	c := &clockThatRuns{}
	c.at.Store(time.Now().UnixNano())
	return c
}

func (c *clockThatRuns) now() time.Time {
	return time.Unix(0, c.at.Add(int64(50*time.Millisecond)))
}
