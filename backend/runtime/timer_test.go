package runtime_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/host"
)

// clock runs timers.
type clock struct {
	Ticks int `json:"ticks"`
	stop  func()
	self  *actor.Self[actor.NoState]
	kept  *actor.Context[actor.NoState]
}

func (k *clock) OnStart(c *actor.Context[actor.NoState]) {
	k.self = c.Self()
	k.stop = c.Every(time.Second, func(c *actor.Context[actor.NoState]) error {
		k.Ticks++
		c.Broadcast(note{"tick"})
		return nil
	})
}

func (k *clock) Later(c *actor.Context[actor.NoState], fail bool) error {
	c.After(1500*time.Millisecond, func(*actor.Context[actor.NoState]) error {
		k.Ticks += 100
		return nil
	})
	if fail {
		return actor.Errorf("failed", "as asked")
	}
	return nil
}

func (k *clock) Tick(*actor.Context[actor.NoState])              { k.Ticks++ }
func (k *clock) Hang(*actor.Context[actor.NoState])              { stick("clock.Hang") }
func (k *clock) Halt(*actor.Context[actor.NoState])              { k.stop() }
func (k *clock) Keep(c *actor.Context[actor.NoState])            { k.kept = c }
func (k *clock) UseKept(*actor.Context[actor.NoState]) actor.Key { return k.kept.Key() }
func (k clock) Get(*actor.Context[actor.NoState]) int            { return k.Ticks }

// HaltAndFail stops the timer in a turn that fails.
func (k *clock) HaltAndFail(*actor.Context[actor.NoState]) error {
	k.stop()
	return actor.Errorf("failed", "as asked")
}

// Point tells where the state is.
func (k *clock) Point(*actor.Context[actor.NoState]) {
	p := weak.Make(k)
	pointedAt.Store(&p)
}

var pointedAt atomic.Pointer[weak.Pointer[clock]]

// BusyAndHalt stops the timer when a tick of it is waiting.
func (k *clock) BusyAndHalt(*actor.Context[actor.NoState]) {
	time.Sleep(1500 * time.Millisecond)
	k.stop()
}

// Busy does not look at its context.
func (k *clock) Busy(_ *actor.Context[actor.NoState], ms int) {
	time.Sleep(time.Duration(ms) * time.Millisecond)
}

// Deadlock asks for a turn of its own actor from inside a turn.
func (k *clock) Deadlock(c *actor.Context[actor.NoState]) error {
	return k.self.Do(c, func(*actor.Context[actor.NoState]) error { return nil })
}

// Background changes the actor from a goroutine, and tells done.
func (k *clock) Background(c *actor.Context[actor.NoState]) {
	self := c.Self()
	go func() {
		_ = self.Do(context.Background(), func(*actor.Context[actor.NoState]) error {
			k.Ticks += 10
			return nil
		})
		_ = self.Do(context.Background(), func(*actor.Context[actor.NoState]) error {
			k.Ticks += 1000
			return fmt.Errorf("fails")
		})
	}()
}

var clocks = actor.NewRegistry(actor.Define[clock]("clock", actor.Emits[note]()))

var clockRef = host.Ref{Name: "clock", Key: host.Key{"a"}}

func TestTimersAndTurnsFromOutside(t *testing.T) {
	actortest.Run(t, clocks, func(n *actortest.Node) {
		room := n.Actor("clock", "a")
		ticks := func(want int, when string) {
			t.Helper()
			synctest.Wait()
			if got := actortest.Call[int](room, "get"); got != want {
				t.Errorf("%s: got %d ticks, want %d", when, got, want)
			}
		}
		ticks(0, "at the start")
		time.Sleep(3500 * time.Millisecond)
		ticks(3, "after 3.5 s")
		room.Fail("later", true)
		actortest.Call[any](room, "later", false)
		time.Sleep(2 * time.Second)
		ticks(105, "with an After that fired, and one of a failed turn that did not")
		actortest.Call[any](room, "background")
		ticks(115, "after a Do that succeeded and one that failed")
		if err := room.Fail("deadlock"); err.Code != "internal_error" {
			t.Errorf("Do inside a turn: got %v, want an error", err)
		}
		actortest.Call[any](room, "keep")
		if err := room.Fail("useKept"); err.Code != "internal_error" {
			t.Errorf("a context that was kept: got %v, want an error", err)
		}
		actortest.Call[any](room, "halt")
		time.Sleep(5 * time.Second)
		ticks(115, "after stop")
	})
}

func TestIdleActorsLeaveMemoryAndComeBack(t *testing.T) {
	actortest.Run(t, clocks, func(n *actortest.Node) {
		room := n.Actor("clock", "a")
		actortest.Call[any](room, "keep") // changes nothing that is stored
		time.Sleep(25500 * time.Millisecond)
		if got := actortest.Call[int](room, "get"); got != 25 {
			t.Errorf("got %d ticks after 25 s, want 25", got)
		}
		time.Sleep(10 * time.Minute) // timers do not keep it awake
		got := actortest.Call[int](room, "get")
		if got < 50 || got > 300 { // it stays for another 30 s if a tick comes at the very moment
			t.Errorf("got %d ticks, want those of about a minute after the last call", got)
		}
		time.Sleep(2500 * time.Millisecond)
		if again := actortest.Call[int](room, "get"); again != got+2 {
			t.Errorf("got %d ticks, want %d: OnStart starts the timer again", again, got+2)
		}
	})
}

func TestAConnectionKeepsItsActorAwake(t *testing.T) {
	actortest.Run(t, clocks, func(n *actortest.Node) {
		room := n.Actor("clock", "a")
		c := room.Connect(nil)
		time.Sleep(10*time.Minute + time.Second/2)
		if got := actortest.Call[int](c, "get"); got != 600 {
			t.Errorf("got %d ticks in 10 minutes, want 600", got)
		}
	})
}

func TestLateTicksAreSkipped(t *testing.T) {
	actortest.Run(t, clocks, func(n *actortest.Node) {
		room := n.Actor("clock", "a")
		actortest.Call[any](room, "busy", 6250) // six ticks are due meanwhile
		time.Sleep(time.Second / 2)
		if got := actortest.Call[int](room, "get"); got != 1 {
			t.Errorf("got %d ticks at 6.75 s, want the one that waited", got)
		}
		time.Sleep(time.Second)
		if got := actortest.Call[int](room, "get"); got != 2 {
			t.Errorf("got %d ticks at 7.75 s, want 2: the timer keeps its times", got)
		}
	})
}

func TestAWaitingTickOfAStoppedTimerDoesNotRun(t *testing.T) {
	actortest.Run(t, clocks, func(n *actortest.Node) {
		room := n.Actor("clock", "a")
		actortest.Call[any](room, "busyAndHalt")
		time.Sleep(time.Second)
		if got := actortest.Call[int](room, "get"); got != 0 {
			t.Errorf("got %d ticks, want none", got)
		}
	})
}

func TestATimerThatAFailedTurnStoppedStaysStopped(t *testing.T) {
	actortest.Run(t, clocks, func(n *actortest.Node) {
		room := n.Actor("clock", "a")
		ada := room.Connect(nil)
		time.Sleep(1500 * time.Millisecond)
		room.Fail("haltAndFail")
		time.Sleep(5 * time.Second)
		if got := actortest.Call[int](ada, "get"); got != 1 {
			t.Errorf("got %d ticks, want the one before the stop", got)
		}
	})
}

func TestStoppedTimersAreForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, hostiles)
		ref := host.Ref{Name: "hostile", Key: host.Key{"a"}}
		for range 1000 {
			if _, err := b.node.CallOnce(t.Context(), ref, host.DirectCall{Create: true, Action: "startAndStop"}); err != nil {
				t.Fatal(err)
			}
		}
		if got := b.node.Timers(ref); got > 200 {
			t.Errorf("%d timers are kept after 1,000 were stopped", got)
		}
	})
}
