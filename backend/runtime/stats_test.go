package runtime_test

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// counted is an actor whose turns end in all ways.
type counted struct{ N int }

func (c *counted) Count(*actor.Context[actor.NoState]) { c.N++ }
func (c *counted) Refuse(*actor.Context[actor.NoState]) error {
	return actor.Errorf("no", "no")
}
func (c *counted) Panic(*actor.Context[actor.NoState]) { panic("broken") }
func (c *counted) Dawdle(c2 *actor.Context[actor.NoState]) error {
	<-c2.Done()
	return c2.Err()
}
func (c *counted) Hang(*actor.Context[actor.NoState]) { time.Sleep(24 * time.Hour) }

// Every turn is counted, as what it came to.
func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := actor.NewRegistry(actor.Define[counted]("counted", actor.WithOptions(actor.Options{ActionTimeout: time.Second})))
		node := runtime.New(registry, memory.New(memory.Options{}), runtime.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
		for _, action := range []string{"count", "count", "refuse", "panic", "dawdle", "hang", "missing"} {
			_, _ = node.CallOnce(context.Background(), host.Ref{Name: "counted", Key: host.Key{"a"}}, host.DirectCall{Create: true, Action: action})
		}
		s := node.Stats()
		if s.Turns.Count != 6 || s.Refused != 2 || s.Failed != 1 || s.TimedOut != 1 || s.Abandoned != 1 || s.Resets != 1 {
			t.Errorf("turns: got %d, %d refused, %d failed, %d timed out, %d abandoned, %d resets; want 6, 2, 1, 1, 1, 1",
				s.Turns.Count, s.Refused, s.Failed, s.TimedOut, s.Abandoned, s.Resets)
		}
		if s.Turns.Sum < time.Second || s.Turns.Sum > 2*time.Second {
			t.Errorf("they took %v, want the second of the one that dawdled", s.Turns.Sum)
		}
		of := map[string]uint64{}
		for _, kind := range s.TurnsOf {
			of[kind.Actor+" "+kind.Action] = kind.Took.Count
		}
		want := map[string]uint64{"counted count": 2, "counted refuse": 1, "counted panic": 1, "counted dawdle": 1, "counted other": 1}
		if !maps.Equal(of, want) {
			t.Errorf("turns by what ran: got %v, want %v", of, want)
		}
		if s.Awake != 1 || s.Commits != 2 || s.Unsaved != 0 || s.Entries != 0 {
			t.Errorf("got %d awake, %d commits, %d that failed, %d entries; want 1, 2, 0, 0", s.Awake, s.Commits, s.Unsaved, s.Entries)
		}
		time.Sleep(25 * time.Hour) // until the one that hangs ends
		if err := node.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
