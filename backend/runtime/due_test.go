package runtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// sleeper schedules a message, and notes when its handler runs.
type sleeper struct {
	Ran []time.Time `json:"ran"`
}

type wakeUp struct {
	Again int `json:"again"` // seconds to the next one; 0: none
}

var (
	sleeperRuns   = &spans{}
	sleeperStarts counts
)

// spans notes how late messages are.
type spans struct {
	mu   sync.Mutex
	late []time.Duration
}

func (s *spans) add(late time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = append(s.late, late)
}

func (s *spans) take() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	late := s.late
	s.late = nil
	slices.Sort(late)
	return late
}

func (s *sleeper) OnStart(c *nothing) { sleeperStarts.add(c.ActorID()) }

func (s *sleeper) Sleep(c *nothing, at time.Time, again int) { c.Schedule(at, wakeUp{again}) }
func (s sleeper) GetRan(*nothing) []time.Time                { return s.Ran }

func (s *sleeper) wakeUp(c *nothing, m wakeUp) {
	sleeperRuns.add(c.Now().Sub(c.Due()))
	if len(s.Ran) < 20 {
		s.Ran = append(s.Ran, c.Now())
	}
	if m.Again > 0 {
		c.Schedule(c.Due().Add(time.Duration(m.Again)*time.Second), m)
	}
}

var sleepers = actor.NewRegistry(actor.Define[sleeper]("sleeper", actor.Handles(func(s *sleeper, c *nothing, m wakeUp) error {
	s.wakeUp(c, m)
	return nil
})))

func sleeperRef(i int) host.Ref { return host.Ref{Name: "sleeper", Key: host.Key{fmt.Sprint(i)}} }

// sleep makes an actor that has a message at a time.
func sleep(t testing.TB, n *runtime.Node, i int, at time.Time, again int) {
	t.Helper()
	args := []json.RawMessage{json.RawMessage(marshal(t, at)), json.RawMessage(fmt.Sprint(again))}
	if _, err := n.CallOnce(t.Context(), sleeperRef(i), host.DirectCall{Create: true, Action: "sleep", Args: args}); err != nil {
		t.Fatal(err)
	}
}

func TestASleepingActorWakesForItsMessage(t *testing.T) {
	actortest.Run(t, sleepers, func(n *actortest.Node) {
		sleeperRuns.take()
		a := n.Actor("sleeper", "a")
		start := time.Now()
		times := []time.Time{start.Add(2 * time.Minute), start.Add(25 * time.Hour), start.Add(40 * 24 * time.Hour)}
		for _, at := range times {
			actortest.Call[any](a, "sleep", at, 0)
		}
		time.Sleep(25*time.Hour + time.Millisecond)
		n.Restart()
		time.Sleep(40 * 24 * time.Hour)
		got := actortest.Call[[]time.Time](a, "getRan")
		if !slices.EqualFunc(got, times, time.Time.Equal) {
			t.Errorf("ran at %v, want %v", got, times)
		}
	})
}

// What was due while the server was down runs at its start, the oldest first.
func TestG11_MessagesOfADowntimeRunLate(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		sleeperRuns.take()
		b := newBench(t, nil, sleepers)
		for i := range 3 {
			sleep(t, b.node, i, time.Now().Add(time.Duration(i+1)*time.Hour), 0)
		}
		b.stop()
		time.Sleep(24 * time.Hour)
		b.start()
		time.Sleep(time.Millisecond)
		want := []time.Duration{21 * time.Hour, 22 * time.Hour, 23 * time.Hour}
		if got := sleeperRuns.take(); !slices.Equal(got, want) {
			t.Errorf("late by %v, want %v", got, want)
		}
	})
}

// An actor that is woken for a message leaves memory at once, unless the next one is soon.
func TestAWokenActorLeavesAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, sleepers)
		sleep(t, b.node, 1, time.Now().Add(time.Hour), 0)
		sleep(t, b.node, 2, time.Now().Add(time.Hour), 31)
		sleep(t, b.node, 3, time.Now().Add(time.Hour), 1)
		time.Sleep(59 * time.Minute)
		if n := b.node.Actors(); n != 0 {
			t.Fatalf("%d actors are in memory before the time", n)
		}
		id := host.ActorID("sleeper", host.Key{"3"})
		starts := sleeperStarts.get(id)
		sleeperRuns.take()
		time.Sleep(time.Minute + 500*time.Millisecond)
		if n := b.node.Actors(); n != 1 {
			t.Errorf("%d actors are in memory, want only the one with a message each second", n)
		}
		if got := sleeperRuns.take(); len(got) != 3 {
			t.Errorf("%d messages have run, want 3", len(got))
		}
		time.Sleep(time.Hour)
		if got := sleeperStarts.get(id) - starts; got != 1 {
			t.Errorf("the actor with a message each second was loaded %d times, want 1", got)
		}
		for _, late := range sleeperRuns.take() {
			if late != 0 {
				t.Fatalf("a message was %s late", late)
			}
		}
	})
}

// refusingLoads is a store in which some actors cannot be loaded.
type refusingLoads struct {
	store.Store
	mu    sync.Mutex
	bad   map[string]bool
	loads map[string][]time.Time
}

func (s *refusingLoads) Load(ctx context.Context, id string) (*store.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loads == nil {
		s.loads = map[string][]time.Time{}
	}
	s.loads[id] = append(s.loads[id], time.Now())
	if s.bad[id] {
		return nil, errDisk
	}
	return s.Store.Load(ctx, id)
}

// An actor that cannot be loaded is tried again after 1 s doubling to 5 min.
func TestAnActorThatCannotBeLoadedForAMessage(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &refusingLoads{Store: memory.New(memory.Options{}), bad: map[string]bool{}}
		b := newBench(t, s, sleepers)
		sleep(t, b.node, 1, time.Now().Add(time.Hour), 0)
		sleep(t, b.node, 2, time.Now().Add(time.Hour), 0)
		time.Sleep(30 * time.Minute)
		sleeperRuns.take()
		id := host.ActorID("sleeper", host.Key{"1"})
		s.mu.Lock()
		s.bad[id], s.loads = true, nil
		s.mu.Unlock()
		time.Sleep(31*time.Minute + 31*time.Second)
		s.mu.Lock()
		var waits []time.Duration
		for i := range s.loads[id][1:] {
			waits = append(waits, s.loads[id][i+1].Sub(s.loads[id][i]))
		}
		s.bad[id] = false
		s.mu.Unlock()
		want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second}
		if !slices.Equal(waits, want) {
			t.Errorf("waits between loads: got %v, want %v", waits, want)
		}
		if n := b.node.Actors(); n != 0 {
			t.Errorf("%d actors are in memory, want none", n)
		}
		if got := sleeperRuns.take(); len(got) != 1 {
			t.Errorf("%d messages of the good actor have run, want 1", len(got))
		}
		time.Sleep(time.Minute)
		if got := sleeperRuns.take(); len(got) != 1 {
			t.Errorf("%d messages have run when the actor could be loaded again, want 1", len(got))
		}
	})
}

// testClock is a clock that can be set.
type testClock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *testClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead).Round(0)
}

func (c *testClock) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// When the clock is set, messages run by the new one: within 30 s after a jump forward, and
// not before their time after one backward. Nothing runs twice.
func TestG11_TheClockIsSet(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour, -24 * time.Hour} {
		for _, awake := range []bool{false, true} {
			t.Run(fmt.Sprint(jump, " awake ", awake), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					var clock testClock
					s := memory.New(memory.Options{})
					n := runtime.New(sleepers, s, runtime.WithClock(runtime.Options{Logger: slog.New(slog.DiscardHandler)}, clock.now))
					defer n.Shutdown(context.Background())
					sleep(t, n, 1, clock.now().Add(2*time.Minute), 0)
					sleep(t, n, 1, clock.now().Add(3*time.Hour), 0)
					if awake {
						stay(t, n, sleeperRef(1))
					}
					time.Sleep(time.Minute)
					sleeperRuns.take()
					clock.jump(jump)
					if jump > 0 {
						time.Sleep(31 * time.Second)
					} else {
						time.Sleep(time.Minute - jump - time.Millisecond)
						if got := sleeperRuns.take(); len(got) > 0 {
							t.Errorf("a message ran before its time")
						}
						time.Sleep(time.Millisecond)
					}
					synctest.Wait()
					if got := sleeperRuns.take(); len(got) != 1 {
						t.Errorf("%d messages have run, want 1", len(got))
					}
					time.Sleep(4*time.Hour + jump.Abs())
					if got := sleeperRuns.take(); len(got) != 1 {
						t.Errorf("%d messages have run later, want 1", len(got))
					}
				})
			})
		}
	}
}

// stay keeps an actor in memory.
func stay(t testing.TB, n *runtime.Node, ref host.Ref) {
	t.Helper()
	if _, err := n.Follow(ref, followNothing{}); err != nil {
		t.Fatal(err)
	}
}

type followNothing struct{}

func (followNothing) Published() {}

// An actor that leaves memory shortly before its next message is woken in time.
func TestAnActorThatLeavesIsWokenInTime(t *testing.T) {
	hasty := actor.NewRegistry(actor.WithOptions(actor.Options{IdleAfter: time.Second}),
		actor.Define[sleeper]("sleeper", actor.Handles(func(s *sleeper, c *nothing, m wakeUp) error {
			s.wakeUp(c, m)
			return nil
		})))
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, hasty)
		sleeperRuns.take()
		for i := range 5 {
			sleep(t, b.node, i, time.Now().Add(time.Duration(i)*time.Second), 2+i)
		}
		time.Sleep(time.Hour)
		late := sleeperRuns.take()
		if len(late) < 3600/2+3600/3+3600/4+3600/5+3600/6-10 {
			t.Errorf("%d messages have run", len(late))
		}
		if late[len(late)-1] != 0 {
			t.Errorf("a message was late by %s", late[len(late)-1])
		}
	})
}
