package sqlite_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
	"github.com/troupe-dev/troupe/backend/store/storetest"
)

// startTime is the time of the tests' commits.
var startTime = time.UnixMilli(1_700_000_000_000).UTC()

// quiet are options of a store that logs nothing.
var quiet = sqlite.Options{Logger: slog.New(slog.DiscardHandler)}

func open(t testing.TB, dir string, o sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t testing.TB, s store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestStore(t *testing.T) {
	dirs := map[store.Store]string{}
	storetest.Run(t, opener(dirs, quiet), func(t *testing.T, s store.Store) store.Store {
		closeStore(t, s)
		again := open(t, dirs[s], quiet)
		dirs[again] = dirs[s]
		return again
	})
}

// After a crash the snapshots of a clean stop are missing: the journal has everything.
func TestStore_crashing(t *testing.T) {
	o := quiet.WithoutSync() // a crash of the process is no loss of power
	dirs := map[store.Store]string{}
	storetest.Run(t, opener(dirs, o), func(t *testing.T, s store.Store) store.Store {
		return crash(t, dirs, s, o)
	})
}

// A store with a small journal whose actors keep leaving memory, also across crashes.
func TestStore_trimmed(t *testing.T) {
	c := newClockThatRuns()
	o := quiet.WithoutSync().WithClock(c.now).WithIdleAfter(2 * time.Second)
	o.MaxBytes = 30 << 10
	dirs := map[store.Store]string{}
	open := opener(dirs, o)
	storetest.RunTrimmed(t, func(t *testing.T) store.Store {
		return &ticking{Store: open(t).(*sqlite.Store)}
	}, func(t *testing.T, s store.Store) store.Store {
		return &ticking{Store: crash(t, dirs, s.(*ticking).Store, o).(*sqlite.Store)}
	})
}

// ticking is a store that ticks with every few commits.
type ticking struct {
	*sqlite.Store
	commits atomic.Int64
}

func (s *ticking) Commit(ctx context.Context, group []*store.Commit) []error {
	if s.commits.Add(1)%5 == 0 {
		s.Tick()
	}
	return s.Store.Commit(ctx, group)
}

func opener(dirs map[store.Store]string, o sqlite.Options) func(t *testing.T) store.Store {
	return func(t *testing.T) store.Store {
		dir := filepath.Join(t.TempDir(), "data")
		s := open(t, dir, o)
		dirs[s] = dir
		return s
	}
}

// crash opens a copy of the files of a store as after a crash, and closes the store.
func crash(t *testing.T, dirs map[store.Store]string, s store.Store, o sqlite.Options) store.Store {
	dir := crashed(t, dirs[s])
	again := open(t, dir, o)
	dirs[again] = dir
	closeStore(t, s)
	return again
}

// crashed returns a directory with a copy of a directory's files, as a killed process
// leaves them.
func crashed(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	for _, name := range []string{"troupe.db", "troupe.db-wal"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func commit(t testing.TB, s store.Store, group ...*store.Commit) {
	t.Helper()
	if errs := s.Commit(t.Context(), group); errs != nil {
		t.Fatalf("Commit: %v", errs)
	}
}
