package actortest_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

// bell rings at times.
type bell struct {
	Rings int `json:"rings"`
}

// bellRuns and bellStops are how often RingFor and OnStop have run, with an effect or not.
var bellRuns, bellStops atomic.Int32

type ring struct{ Slow, Bad bool }

func (b *bell) ring(_ *actor.Context[actor.NoState], r ring) error {
	b.Rings++
	if r.Slow {
		time.Sleep(time.Minute)
	}
	if r.Bad {
		return errors.New("cracked")
	}
	return nil
}

func (b *bell) RingIn(c *actor.Context[actor.NoState], seconds int, slow, bad bool) actor.MessageID {
	return c.Schedule(c.Now().Add(time.Duration(seconds)*time.Second), ring{slow, bad})
}

func (b *bell) RingNamed(c *actor.Context[actor.NoState], name string, seconds int) {
	c.Schedule(c.Now().Add(time.Duration(seconds)*time.Second), ring{}, actor.Named(name))
}

func (b *bell) RingFor(_ *actor.Context[actor.NoState], seconds int) {
	bellRuns.Add(1)
	b.Rings++
	time.Sleep(time.Duration(seconds) * time.Second)
}

func (b *bell) Tick(c *actor.Context[actor.NoState]) {
	c.After(time.Second, func(*actor.Context[actor.NoState]) error { b.Rings++; return nil })
}

func (b *bell) OnStop(*actor.Context[actor.NoState]) { bellStops.Add(1) }

func (b bell) Get(*actor.Context[actor.NoState]) bell { return b }

var bells = actor.NewRegistry(actor.Define[bell]("bell", actor.Handles((*bell).ring)),
	actor.WithOptions(actor.Options{ActionTimeout: 5 * time.Minute}))

func wantRings(t *testing.T, b actortest.Caller, rings int) {
	t.Helper()
	if got := actortest.Call[bell](b, "get"); got.Rings != rings {
		t.Errorf("got %+v, want %d rings", got, rings)
	}
}

func TestACrashLosesWhatIsNotDurable(t *testing.T) {
	bellRuns.Store(0)
	bellStops.Store(0)
	actortest.Run(t, bells, func(n *actortest.Node) {
		b := n.Actor("bell", "a")
		conn := b.Connect(nil)
		actortest.Call[any](b, "ringFor", 0)
		actortest.Call[any](b, "tick") // a timer, which is lost
		failed := make(chan *actor.Error, 2)
		go func() { failed <- b.Fail("ringFor", 60) }()
		time.Sleep(time.Second / 2)
		go func() { failed <- b.Fail("ringFor", 0) }() // waits for its turn, which never comes
		time.Sleep(time.Second / 4)
		n.Crash()
		wantRings(t, b, 1)
		if code, closed := conn.Closed(); closed {
			t.Errorf("the connection is closed: %s", code)
		}
		if !conn.Resume() {
			t.Error("it is another connection, want the same")
		}
		time.Sleep(2 * time.Minute)
		<-failed
		<-failed
		wantRings(t, conn, 1)
		if runs, stops := bellRuns.Load(), bellStops.Load(); runs != 2 || stops != 0 {
			t.Errorf("ringFor has run %d times and OnStop %d times, want 2 and 0", runs, stops)
		}
	})
}

func TestACallDuringACrashFails(t *testing.T) {
	actortest.Run(t, bells, func(n *actortest.Node) {
		conn := n.Actor("bell", "a").Connect(nil)
		done := make(chan bool)
		go func() {
			defer close(done)
			if err := conn.Fail("ringFor", 60); err.Code != "maybe_ran" {
				t.Errorf("got %v, want maybe_ran", err)
			}
		}()
		time.Sleep(time.Second)
		n.Crash()
		<-done
		conn.Resume()
		wantRings(t, conn, 0)
	})
}

func TestG11_MessagesSurviveACrash(t *testing.T) {
	actortest.Run(t, bells, func(n *actortest.Node) {
		b := n.Actor("bell", "a")
		actortest.Call[string](b, "ringIn", 60, false, false)
		actortest.Call[string](b, "ringIn", 120, true, false)
		n.Crash() // before they are due
		time.Sleep(61 * time.Second)
		wantRings(t, b, 1)
		time.Sleep(89 * time.Second)
		n.Crash() // while the second one is being handled
		time.Sleep(time.Second)
		if got := b.Scheduled(); len(got) != 1 {
			t.Errorf("got %+v, want the one that runs again", got)
		}
		time.Sleep(2 * time.Minute)
		wantRings(t, b, 2)
		if got := b.Scheduled(); len(got) != 0 {
			t.Errorf("got %+v, want none", got)
		}
	})
}

func TestScheduledReturnsWhatIsStored(t *testing.T) {
	actortest.Run(t, bells, func(n *actortest.Node) {
		b := n.Actor("bell", "a")
		if got := b.Scheduled(); len(got) != 0 {
			t.Errorf("of an actor that does not exist: got %+v", got)
		}
		start := time.Now()
		id := actortest.Call[actor.MessageID](b, "ringIn", 3600, false, false)
		actortest.Call[any](b, "ringNamed", "soon", 60)
		bad := actortest.Call[actor.MessageID](b, "ringIn", 1, false, true)
		got := b.Scheduled()
		if len(got) != 3 || got[0].ID != bad || got[1].Name != "soon" || got[2].ID != id || got[2].Type != "ring" || !got[2].Due.Equal(start.Add(time.Hour)) {
			t.Fatalf("got %+v", got)
		}
		time.Sleep(2 * time.Second)
		if got := b.Scheduled(); got[0].Tries == 0 {
			t.Errorf("got %+v, want one that has failed", got[0])
		}
		time.Sleep(50 * time.Minute)
		got = b.Scheduled()
		if len(got) != 2 || got[0].ID != id || got[1].ID != bad || got[1].Parked != "cracked" || got[1].Tries != 10 {
			t.Errorf("got %+v, want one that waits, and one that is parked", got)
		}
		wantRings(t, b, 1)
	})
}
