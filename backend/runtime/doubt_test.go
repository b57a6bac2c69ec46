package runtime_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// mayfly sends notes to others. The test says what its OnStart does.
type mayfly struct{ N int }

type mayflyNote struct{}

var (
	mayflyStarts atomic.Pointer[func(*nothing) error]
	mayflies     = actor.NewRegistry(actor.Define[mayfly]("mayfly", actor.Handles((*mayfly).mayflyNote)))
)

func onMayflyStart(f func(*nothing) error) { mayflyStarts.Store(&f) }

func (m *mayfly) OnStart(c *nothing) error { return (*mayflyStarts.Load())(c) }
func (m mayfly) Get(*nothing) int          { return m.N }

func (m *mayfly) Post(c *nothing, to string) {
	m.N = 100
	c.Send(actor.Of("mayfly", to), mayflyNote{})
}

func (m *mayfly) mayflyNote(*nothing, mayflyNote) error {
	m.N++
	return nil
}

func mayflyRef(key string) host.Ref { return host.Ref{Name: "mayfly", Key: host.Key{key}} }

// uncleanBench is a node after one that has ended with a message of a to b, which cannot be
// loaded.
func uncleanBench(t *testing.T) (b *bench, s *refusingLoads) {
	onMayflyStart(func(*nothing) error { return nil })
	s = &refusingLoads{Store: memory.New(memory.Options{}), bad: map[string]bool{host.ActorID("mayfly", host.Key{"b"}): true}}
	b = newBench(t, &dyingStore{Store: s}, mayflies)
	call(t, b.node, mayflyRef("a"), "post", "b")
	time.Sleep(time.Second)
	b.stop()
	b.store = &dyingStore{Store: s, unclean: true}
	return b, s
}

func (s *refusingLoads) mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.bad)
}

// An actor that comes and goes while its receiver does not answer counts once that its message
// may have ended the process before.
func TestG12_AProcessDoubtsAMessageOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, s := uncleanBench(t)
		b.start()
		time.Sleep(time.Hour)
		snap, err := s.Load(t.Context(), host.ActorID("mayfly", host.Key{"a"}))
		if err != nil || len(snap.Messages) != 1 || snap.Messages[0].Fatal != 1 {
			t.Errorf("after an hour the sender has %+v, %v, want one message that is counted once", snap.Messages, err)
		}
		s.mend()
		time.Sleep(10 * time.Minute)
		if n := string(call(t, b.node, mayflyRef("b"), "get")); n != "1" {
			t.Errorf("the receiver has %s, want 1", n)
		}
	})
}

// What may have ended the process is not counted by an instance that its own OnStart has
// destroyed: the actor would live again.
func TestG12_AnActorThatOnStartDestroysStaysDestroyed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, s := uncleanBench(t)
		destroyed := false
		onMayflyStart(func(c *nothing) error {
			if c.Key()[0] == "a" && !destroyed {
				destroyed = true
				c.Destroy()
			}
			return nil
		})
		b.start()
		time.Sleep(time.Minute)
		snap, err := s.Load(t.Context(), host.ActorID("mayfly", host.Key{"a"}))
		if err != nil || !destroyed || !snap.Tombstone {
			t.Errorf("the sender is %+v, %v, want a tombstone", snap, err)
		}
		s.mend()
		time.Sleep(10 * time.Minute)
		if n := string(call(t, b.node, mayflyRef("b"), "get")); n != "1" {
			t.Errorf("the receiver has %s, want 1", n)
		}
		if n := string(call(t, b.node, mayflyRef("a"), "get")); n != "0" {
			t.Errorf("the sender's new life has %s, want 0", n)
		}
	})
}

// An instance whose OnStart has failed makes no commit.
func TestG12_AnActorThatDoesNotStartSendsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, s := uncleanBench(t)
		s.mend()
		onMayflyStart(func(c *nothing) error {
			if c.Key()[0] == "a" {
				return errors.New("as asked")
			}
			return nil
		})
		before, err := s.Load(t.Context(), host.ActorID("mayfly", host.Key{"a"}))
		if err != nil {
			t.Fatal(err)
		}
		b.start()
		time.Sleep(time.Hour)
		after, err := s.Load(t.Context(), host.ActorID("mayfly", host.Key{"a"}))
		if err != nil || after.Rev != before.Rev {
			t.Errorf("the sender is at revision %d, %v, want %d", after.Rev, err, before.Rev)
		}
		onMayflyStart(func(*nothing) error { return nil })
		time.Sleep(10 * time.Minute)
		if n := string(call(t, b.node, mayflyRef("b"), "get")); n != "1" {
			t.Errorf("the receiver has %s, want 1", n)
		}
	})
}

// dawdler has a message whose handler takes a while.
type dawdler struct{ N int }

type dawdle struct{ Seconds int }

var dawdlers = actor.NewRegistry(actor.Define[dawdler]("dawdler", actor.Handles((*dawdler).dawdle)),
	actor.Define[sleeper]("sleeper", actor.Handles(func(s *sleeper, c *nothing, m wakeUp) error {
		s.wakeUp(c, m)
		return nil
	})))

func (s *dawdler) Plan(c *nothing, at time.Time, seconds int) {
	for range 20 {
		c.Schedule(at, dawdle{seconds})
	}
}

func (s *dawdler) dawdle(_ *nothing, m dawdle) error {
	time.Sleep(time.Duration(m.Seconds) * time.Second)
	return nil
}

// Actors whose handlers are slow do not keep others from being woken, nor, if they are very
// many, the clock from being looked at.
func TestSlowHandlersDoNotDelayOthers(t *testing.T) {
	for _, slow := range []int{100, 300} {
		inBubble(t, func(t *testing.T) {
			var clock testClock
			n := runtime.New(dawdlers, store.Store(memory.New(memory.Options{})),
				runtime.WithClock(runtime.Options{Logger: slog.New(slog.DiscardHandler)}, clock.now))
			defer n.Shutdown(context.Background())
			at := clock.now().Add(10 * time.Minute)
			for i := range slow {
				call(t, n, host.Ref{Name: "dawdler", Key: host.Key{string(rune('A' + i))}}, "plan", at, 50)
			}
			sleep(t, n, 1, at.Add(time.Second), 0)
			sleep(t, n, 2, at.Add(24*time.Hour), 0)
			stay(t, n, sleeperRef(2))
			sleeperRuns.take()
			time.Sleep(10*time.Minute + 2*time.Second)
			if late := sleeperRuns.take(); slow < 256 && (len(late) != 1 || late[0] != 0) {
				t.Errorf("beside %d slow actors one is late by %v, want 0", slow, late)
			}
			clock.jump(24 * time.Hour)
			time.Sleep(time.Minute + time.Second)
			if late := sleeperRuns.take(); len(late) == 0 || late[0] > time.Minute+2*time.Second {
				t.Errorf("beside %d slow actors one that is awake is late by %v after the clock was set", slow, late)
			}
			time.Sleep(time.Hour)
		})
	}
}
