package runtime_test

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// countedOnce returns a store after two processes that have ended while each of n suspects had a
// message on its way to another: all are counted once.
func countedOnce(t *testing.T, n int) *refusingLoads {
	s := &refusingLoads{Store: memory.New(memory.Options{})}
	deaths := runProcesses(t, 2, s, func(b *bench, process int) {
		for i := range n {
			if process == 0 {
				call(t, b.node, host.Ref{Name: "suspect", Key: host.Key{fmt.Sprint("a", i)}}, "send", fmt.Sprint("b", i), true)
			}
		}
	})
	if fatal := fatalOf(t, s, n); deaths != 2 || len(fatal) != n || fatal[0] != 1 || fatal[n-1] != 1 {
		t.Fatalf("%d processes died, and the messages are counted %v times", deaths, fatal)
	}
	return s
}

// fatalOf returns how often each message that the suspects have left is counted.
func fatalOf(t *testing.T, s *refusingLoads, n int) (fatal []int) {
	for i := range n {
		snap, err := s.Store.Load(t.Context(), host.ActorID("suspect", host.Key{fmt.Sprint("a", i)}))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range snap.Messages {
			fatal = append(fatal, m.Fatal)
		}
	}
	return fatal
}

// A sender whose message waits to be alone stays in memory until that is sent.
func TestG12_WhoWaitsToBeAloneStaysInMemory(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const n = 20
		s := countedOnce(t, n)
		before := map[string]int{}
		for id, times := range s.loads {
			before[id] = len(times)
		}
		nothing := func() {}
		onGuilt.Store(&nothing)
		b := &bench{t: t, reg: suspects, store: &dyingStore{Store: s, unclean: true}}
		b.start()
		time.Sleep(10 * time.Minute)
		b.stop()
		for id, times := range s.loads {
			if got := len(times) - before[id]; got > 1 {
				t.Errorf("%s was loaded %d times", id, got)
			}
		}
		if fatal := fatalOf(t, s, n); len(fatal) > 0 {
			t.Errorf("messages are left, counted %v times", fatal)
		}
	})
}

// An orderly end takes back what its process has counted, and not what those before it have.
func TestG12_AnOrderlyEndTakesBackItsOwnCount(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const n = 20
		s := countedOnce(t, n)
		nothing := func() {}
		onGuilt.Store(&nothing)
		b := &bench{t: t, reg: suspects, store: &dyingStore{Store: s, unclean: true}}
		b.start()
		for len(fatalOf(t, s, n)) > n/2 {
			time.Sleep(100 * time.Millisecond)
		}
		for !slices.Contains(fatalOf(t, s, n), 2) { // one is on its way
			time.Sleep(time.Millisecond)
		}
		b.stop()
		if fatal := fatalOf(t, s, n); len(fatal) < n/4 || slices.Min(fatal) != 1 || slices.Max(fatal) != 1 {
			t.Errorf("the messages are counted %v times, want once", fatal)
		}
	})
}

// A message that was due for days, and waits to be alone, does not wait for longer because the
// clock is set back.
func TestG11_TheClockIsSetBackWhileMessagesWaitToBeAlone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const n = 10
		s := memory.New(memory.Options{})
		runProcesses(t, 2, s, func(b *bench, process int) {
			for i := range n {
				if process == 0 {
					call(t, b.node, host.Ref{Name: "suspect", Key: host.Key{fmt.Sprint(i)}}, "plan", true)
				}
			}
		})
		nothing := func() {}
		onGuilt.Store(&nothing)
		time.Sleep(5 * 24 * time.Hour)
		var clock testClock
		node := runtime.New(suspects, &dyingStore{Store: s, unclean: true}, runtime.WithClock(runtime.Options{Logger: slog.New(slog.DiscardHandler)}, clock.now))
		time.Sleep(1500 * time.Millisecond) // the second one runs
		clock.jump(-24 * time.Hour)
		time.Sleep(time.Minute)
		done := 0
		for i := range n {
			snap, err := s.Load(t.Context(), host.ActorID("suspect", host.Key{fmt.Sprint(i)}))
			if err != nil {
				t.Fatal(err)
			}
			if string(snap.State) == `{"Done":1}` {
				done++
			}
		}
		if done != n {
			t.Errorf("%d messages have run, want %d", done, n)
		}
		if err := node.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
