package runtime_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
)

// loadCounter counts how often actors are loaded, and slows that down if it does not end.
type loadCounter struct {
	store.Store
	loads *atomic.Int64
}

func (s loadCounter) Load(ctx context.Context, id string) (*store.Snapshot, error) {
	if s.loads.Add(1) > 10_000 {
		time.Sleep(time.Hour)
	}
	return s.Store.Load(ctx, id)
}

// onTombstones runs f with a tombstone of penpal b, on each store. callerTTL may be changed
// before a restart.
func onTombstones(t *testing.T, f func(b *bank, callerTTL *time.Duration, loads *atomic.Int64)) {
	onBanks(t, func(b *bank) {
		if b.seed > 0 {
			return
		}
		loads, open := new(atomic.Int64), b.open
		b.open = func() store.Store { return loadCounter{open(), loads} }
		callerTTL := time.Hour
		b.options = func() (*actor.Registry, runtime.Options) {
			return actor.NewRegistry(actor.Define[penpal]("penpal", actor.Handles((*penpal).missive), actor.WithOptions(actor.Options{CallerTTL: callerTTL}))), runtime.Options{}
		}
		b.restart()
		b.post("b", "b", "to myself")
		if err := b.call(nil, "penpal", "b", "burn"); err != nil {
			b.t.Fatal(err)
		}
		time.Sleep(time.Minute)
		loads.Store(0)
		f(b, &callerTTL, loads)
	})
}

// A tombstone that has ended is not woken again, also while the store still has it.
func TestATombstoneEndsOnce(t *testing.T) {
	onTombstones(t, func(b *bank, _ *time.Duration, loads *atomic.Int64) {
		time.Sleep(time.Hour + time.Minute)
		if n := loads.Load(); n > 5 {
			b.t.Errorf("it was loaded %d times", n)
		}
	})
}

// A tombstone that has to stay for longer than it is due for is woken once for that.
func TestATombstoneOfWhichTheTimeChanges(t *testing.T) {
	onTombstones(t, func(b *bank, callerTTL *time.Duration, loads *atomic.Int64) {
		*callerTTL = 3 * time.Hour
		b.restart()
		time.Sleep(2 * time.Hour)
		if n := loads.Load(); n > 2 {
			b.t.Errorf("before its end it was loaded %d times", n)
		}
		time.Sleep(2 * time.Hour)
		if n := loads.Load(); n > 7 {
			b.t.Errorf("after its end it was loaded %d times", n)
		}
	})
}
