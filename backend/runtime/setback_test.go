package runtime_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// onSetBackBanks is onLateBanks with a clock that can be set, and with lose, which says whether what is
// sent is lost.
func onSetBackBanks(t *testing.T, test func(b *bank, clock *testClock, lose func(lost bool))) {
	onLateBanks(t, func(b *bank, c *holdingCourier) {
		var clock testClock
		b.options = func() (*actor.Registry, runtime.Options) {
			return actor.NewRegistry(actor.Define[penpal]("penpal", actor.Handles((*penpal).missive))),
				runtime.WithClock(runtime.Options{Courier: c}, clock.now)
		}
		b.restart()
		test(b, &clock, func(lost bool) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.lost = lost
		})
	})
}

// A sender that sleeps until its next try does not wait for longer because the clock is set
// back.
func TestG12_TheClockIsSetBackWhileASenderSleeps(t *testing.T) {
	onSetBackBanks(t, func(b *bank, clock *testClock, lose func(lost bool)) {
		lose(true)
		b.post("a", "b", "one")
		time.Sleep(time.Hour)
		lose(false)
		clock.jump(-24 * time.Hour)
		time.Sleep(31 * time.Second)
		if got, want := b.penpal("b"), `["a:one",""]`; got != want {
			b.t.Errorf("the receiver has %s, want %s", got, want)
		}
	})
}

// A sender that was loaded after the clock was set back, and has not reached its receiver, is
// woken after another restart.
func TestG12_TheClockIsSetBackBeforeTwoRestarts(t *testing.T) {
	onSetBackBanks(t, func(b *bank, clock *testClock, lose func(lost bool)) {
		lose(true)
		b.post("a", "b", "one")
		time.Sleep(time.Second)
		clock.jump(-24 * time.Hour)
		b.restart() // before anything has noticed that
		b.penpal("a")
		time.Sleep(time.Second)
		lose(false)
		b.restart()
		time.Sleep(6 * time.Minute)
		if got, want := b.penpal("b"), `["a:one",""]`; got != want {
			b.t.Errorf("the receiver has %s, want %s", got, want)
		}
	})
}

// Nor does one that is awake then, and leaves memory before its next try.
func TestG12_TheClockIsSetBackWhileSendersAreAwake(t *testing.T) {
	onSetBackBanks(t, func(b *bank, clock *testClock, lose func(lost bool)) {
		lose(true)
		const senders = 10
		use := func(do func(name string)) {
			for i := range senders {
				do(fmt.Sprint("a", i))
			}
		}
		use(func(name string) { b.post(name, "b", "one") })
		time.Sleep(time.Hour) // their waits are long
		use(func(name string) { b.penpal(name) })
		clock.jump(-24 * time.Hour)
		for range 4 {
			time.Sleep(10 * time.Second)
			use(func(name string) { b.penpal(name) })
		}
		lose(false)
		time.Sleep(6 * time.Minute)
		if got := strings.Count(b.penpal("b"), "one"); got != senders {
			b.t.Errorf("the receiver has %d messages, want %d", got, senders)
		}
	})
}

// A sender that waits for its next try is woken after a restart before which the clock was set
// back, though nobody uses it.
func TestG12_TheClockIsSetBackBeforeARestart(t *testing.T) {
	for _, wait := range []time.Duration{time.Second, time.Hour} { // awake and asleep
		onSetBackBanks(t, func(b *bank, clock *testClock, lose func(lost bool)) {
			lose(true)
			b.post("a", "b", "one")
			time.Sleep(wait)
			clock.jump(-24 * time.Hour)
			b.restart() // before anything has noticed that
			lose(false)
			time.Sleep(6 * time.Minute)
			if got, want := b.penpal("b"), `["a:one",""]`; got != want {
				b.t.Errorf("after %s the receiver has %s, want %s", wait, got, want)
			}
		})
	}
}

// After a clock was set back, all that are due in the time that comes again are loaded, once,
// and none runs before its time.
func TestG11_TheClockIsSetBackWhileManySleep(t *testing.T) {
	const many = 1500
	inBubble(t, func(t *testing.T) {
		var clock testClock
		loads := new(atomic.Int64)
		s := loadCounter{memory.New(memory.Options{}), loads}
		n := runtime.New(sleepers, s, runtime.WithClock(runtime.Options{Logger: slog.New(slog.DiscardHandler)}, clock.now))
		defer n.Shutdown(context.Background())
		sleeperRuns.take()
		for i := range many {
			sleep(t, n, i, clock.now().Add(2*time.Minute+time.Duration(i)*100*time.Millisecond), 0)
		}
		time.Sleep(time.Minute) // they leave
		loads.Store(0)
		clock.jump(-24 * time.Hour)
		time.Sleep(time.Hour)
		if got := loads.Load(); got != many {
			t.Errorf("%d loads, want one of each of the %d", got, many)
		}
		time.Sleep(23*time.Hour + time.Minute - time.Second)
		if got := sleeperRuns.take(); len(got) > 0 {
			t.Errorf("%d messages ran before their time", len(got))
		}
		time.Sleep(time.Hour)
		late := sleeperRuns.take()
		if len(late) != many {
			t.Errorf("%d messages ran, want %d", len(late), many)
		}
		for _, d := range late {
			if d -= 24 * time.Hour; d < 0 || d > 50*time.Millisecond { // c.Now is another clock
				t.Fatalf("a message ran %s after its time", d)
			}
		}
	})
}

// Nor does one that could not be loaded for a while.
func TestG12_TheClockIsSetBackWhileASenderCannotBeLoaded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var clock testClock
		s := &refusingLoads{Store: memory.New(memory.Options{}), bad: map[string]bool{}}
		registry := actor.NewRegistry(actor.Define[penpal]("penpal", actor.Handles((*penpal).missive)))
		n := runtime.New(registry, s, runtime.WithClock(runtime.Options{Logger: slog.New(slog.DiscardHandler)}, clock.now))
		defer n.Shutdown(context.Background())
		a, b := host.Ref{Name: "penpal", Key: host.Key{"a"}}, host.Ref{Name: "penpal", Key: host.Key{"b"}}
		refuse := func(refs ...host.Ref) {
			s.mu.Lock()
			defer s.mu.Unlock()
			clear(s.bad)
			for _, r := range refs {
				s.bad[host.ActorID(r.Name, r.Key)] = true
			}
		}
		refuse(b)
		call(t, n, a, "post", "b", []string{"one"})
		time.Sleep(10 * time.Minute)
		refuse(a, b)
		time.Sleep(10 * time.Minute)
		refuse()
		clock.jump(-24 * time.Hour)
		time.Sleep(6 * time.Minute)
		if got := string(call(t, n, b, "get")); !strings.Contains(got, "a:one") {
			t.Errorf("the receiver has %s", got)
		}
	})
}

// The tests above set a clock that has no monotonic reading, as no time in a bubble has one. With
// a reading, differences of two times would not show that the clock was set.
func TestG12_TheClockHasNoMonotonicReading(t *testing.T) {
	n := runtime.New(actor.NewRegistry(), memory.New(memory.Options{}), runtime.Options{Logger: slog.New(slog.DiscardHandler)})
	defer n.Shutdown(context.Background())
	if !strings.Contains(time.Now().String(), " m=") {
		t.Fatal("the process has no monotonic clock")
	}
	if now := n.Now().String(); strings.Contains(now, " m=") {
		t.Errorf("the clock says %s", now)
	}
}

// An actor that was once changed in the far future does not have others loaded that are due before
// that, at each start. Those of them that may wait for a try are.
func TestG12_AnActorWasChangedInTheFarFuture(t *testing.T) {
	for _, years := range []int{10, 400} { // a time.Duration has no 400
		inBubble(t, func(t *testing.T) {
			loads := new(atomic.Int64)
			s := loadCounter{memory.New(memory.Options{}), loads}
			begin := time.Now()
			future := begin.AddDate(years, 0, 0)
			const many = 300
			var commits []*store.Commit
			put := func(i int, changed, due time.Time) {
				ref := sleeperRef(i)
				commits = append(commits, &store.Commit{
					Actor: host.ActorID(ref.Name, ref.Key), Name: ref.Name, Key: ref.Key, Log: "l", Rev: 1, Time: changed, Born: 1,
					State: []byte(`{"ran":[]}`), NextMessage: 1, Due: due,
					Messages: []store.Message{{ID: 1, Order: 1, Type: "wakeUp", Data: []byte(`{"again":0}`), Due: due}},
				})
			}
			for i := range many {
				put(i, begin, begin.Add(time.Hour+time.Duration(i)*24*time.Hour))
			}
			put(many, future, future.Add(time.Hour))       // by itself
			put(many+1, future, future.Add(5*time.Minute)) // it may be a try
			put(many+2, begin, begin.Add(45*time.Second))  // runs in time
			commitAll(t, s, commits)
			sleeperRuns.take()
			for start := range 2 {
				loads.Store(0)
				n := runtime.New(sleepers, s, runtime.Options{Logger: slog.New(slog.DiscardHandler)})
				time.Sleep(10 * time.Minute)
				if got, want := loads.Load(), int64(2-start); got != want {
					t.Errorf("start %d, %d years: %d loads, want %d", start, years, got, want)
				}
				if late := sleeperRuns.take(); len(late) != 1-start || start == 0 && late[0] > 50*time.Millisecond {
					t.Errorf("start %d, %d years: messages ran %v after their times", start, years, late)
				}
				if err := n.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
