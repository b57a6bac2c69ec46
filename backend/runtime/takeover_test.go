package runtime_test

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/host"
)

// A turn that does not return is abandoned: another goroutine takes the actor
// over. These tests are about what it finds, and about what the lost one may
// still do: nothing.

func TestG7_AnAbandonedTurnCannotUseItsContextAnyMore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, stubborns)
		release := hold(t, "Hang")
		ada := b.open(stubbornRef, as("ada"))
		ada.call(1, "hang")
		time.Sleep(3 * time.Second)
		usedAfter.Store("nothing")
		release()
		synctest.Wait()
		if got := usedAfter.Load().(string); !strings.Contains(got, "used after its turn") {
			t.Errorf("the abandoned turn emitted, and that came of it: %s; want a panic", got)
		}
		if got, want := kinds(ada.read()), "opened fail:timeout "; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// Both the watchdog and the end of its goroutine would have the actor taken
// over: only the first may.
func TestG1_AGoroutineIsSupersededOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, held, ada, _ := heldBench(t, stubborns, stubbornRef)
		release := hold(t, "HangAndExit")
		ada.call(1, "inc")
		ada.call(2, "hangAndExit")
		time.Sleep(5 * time.Second) // abandoned: the next goroutine waits for the store
		release()                   // the abandoned goroutine ends
		synctest.Wait()
		held.ReleaseAll()
		advance()
		stubbornTurns.most.Store(0)
		for id := range uint64(6) {
			ada.call(3+id, "slow")
		}
		time.Sleep(10 * time.Second)
		if got := stubbornTurns.most.Load(); got != 1 {
			t.Errorf("%d turns ran at a time", got)
		}
		if got, err := result[int](b, stubbornRef, "inc"); got != 8 || err != nil {
			t.Errorf("got %d, %v, want 8", got, err)
		}
	})
}

func TestACallIsAnsweredThoughOnStartDoesNotReturn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, stubborns)
		if _, err := result[int](b, stubbornRef, "inc"); err != nil {
			t.Fatal(err)
		}
		b.restart()
		release := hold(t, "OnStart")
		if _, err := result[int](b, stubbornRef, "inc"); code(err) != "timeout" {
			t.Errorf("got %v, want timeout", err)
		}
		release()
		if got, err := result[int](b, stubbornRef, "inc"); got != 2 || err != nil {
			t.Errorf("once it returns, got %d, %v, want 2", got, err)
		}
	})
}

// The last envelope was answered long ago when OnStop is abandoned.
func TestACallIsAnsweredOnceThoughOnStopDoesNotReturn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, stubborns)
		hold(t, "OnStop")
		ada := b.open(stubbornRef, as("ada"))
		ada.call(1, "inc")
		ada.read()
		stopped := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			stopped <- b.node.Shutdown(ctx)
		}()
		time.Sleep(5 * time.Second)
		if got, want := kinds(ada.read()), "opened reply:1 "; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		<-stopped
	})
}

func TestAConnectionEndsThoughOnDisconnectDoesNotReturn(t *testing.T) {
	for how, end := range map[string]func(b *bench, name string, attachment host.Attachment){
		"it is closed": func(b *bench, _ string, attachment host.Attachment) { b.node.Close(stubbornRef, attachment) },
		"it expires":   func(b *bench, _ string, attachment host.Attachment) { b.node.Detach(stubbornRef, attachment) },
		"its resume is refused": func(b *bench, name string, _ host.Attachment) {
			if got, want := kinds(b.open(stubbornRef, as(name)).read()), ""; got != want {
				b.t.Errorf("got %q before the hook was abandoned, want %q", got, want)
			}
		},
	} {
		t.Run(how, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, nil, stubborns)
				hold(t, "OnDisconnect")
				gone, bob := b.open(stubbornRef, as("banned")), b.open(stubbornRef, as("bob"))
				gone.read()
				bob.read()
				end(b, "banned", gone.req.Attachment)
				time.Sleep(3 * time.Minute)
				bob.call(1, "count")
				if got, want := kinds(bob.read()), "opened reply:1 "; got != want {
					t.Errorf("another connection got %q, want %q", got, want)
				}
			})
		})
	}
}

// What is not stored of a connection moves on to the new instance.
func TestConnectionsKeepTheirParamsAndSocketsAcrossAReset(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, held, ada, _ := heldBench(t, clubs, clubRef)
		ada.call(1, "rename", "eve", false)
		held.Wait(1)
		held.Fail(errDisk)
		held.ReleaseAll()
		advance()
		ada.call(2, "params")
		ada.call(3, "online")
		want := `fail:unavailable reply:"ada" reply:"ada:true bob:true" `
		if got := kinds(ada.read()); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestAfterAResetOnStartStartsTimersAgain(t *testing.T) {
	actortest.Run(t, clocks, func(n *actortest.Node) {
		room := n.Actor("clock", "a")
		ada := room.Connect(nil)
		time.Sleep(2500 * time.Millisecond)
		release := hold(t, "clock.Hang")
		defer release()
		ada.Fail("hang") // from 2.5 s to 63.5 s
		if got := actortest.Call[int](ada, "get"); got != 2 {
			t.Errorf("got %d ticks at the reset, want 2: the one that waited for the turn was of the lost instance", got)
		}
		time.Sleep(2500 * time.Millisecond)
		if got := actortest.Call[int](ada, "get"); got != 4 {
			t.Errorf("got %d ticks 2.5 s after the reset, want 4: OnStart has started a timer, and the old one is stopped", got)
		}
		if got := len(actortest.Events[note](ada)); got != 4 {
			t.Errorf("got %d events of ticks, want 4", got)
		}
	})
}

// Its timers, among others, would hold it.
func TestADiscardedInstanceIsFreed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, held, ada, _ := heldBench(t, clocks, clockRef)
		ada.call(1, "point")
		ada.call(2, "later", false)
		ada.call(3, "tick")
		held.Wait(1)
		lost := *pointedAt.Load()
		held.Fail(errDisk)
		held.ReleaseAll()
		advance()
		ada.call(4, "get")
		if got, want := kinds(ada.read()), "fail:unavailable reply:0 "; !strings.HasSuffix(got, want) {
			t.Errorf("got %q, want %q at its end", got, want)
		}
		time.Sleep(2 * time.Minute) // the watchdog was stopped, but may stay where timers are kept until it would be due
		for range 3 {               // a goroutine that a collection interrupts may hold on to what it does not need
			runtime.GC()
			advance()
		}
		if lost.Value() != nil {
			t.Error("the state of the instance that was discarded is still in memory")
		}
	})
}

// moody fails to start while the test says so.
type moody struct {
	N int `json:"n"`
}

var moodyFails atomic.Bool

func (*moody) OnStart(*nothing) error {
	if moodyFails.Load() {
		return actor.Errorf("upstream", "the price feed is down")
	}
	return nil
}

func (m *moody) Inc(*nothing) int { m.N++; return m.N }

// A client that keeps trying must not keep it from starting either.
func TestAnActorWhoseOnStartFailedStartsWhenItCan(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, actor.NewRegistry(actor.Define[moody]("moody")))
		ref := host.Ref{Name: "moody", Key: host.Key{"a"}}
		if _, err := result[int](b, ref, "inc"); err != nil {
			t.Fatal(err)
		}
		b.restart()
		moodyFails.Store(true)
		defer moodyFails.Store(false)
		ada := b.open(ref, as("ada"))
		if got, want := kinds(ada.read()), "closed:upstream "; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		moodyFails.Store(false)
		time.Sleep(100 * time.Millisecond)
		if got, err := result[int](b, ref, "inc"); got != 2 || err != nil {
			t.Errorf("got %d, %v, want 2", got, err)
		}
	})
}
