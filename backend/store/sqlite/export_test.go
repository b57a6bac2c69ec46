package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// WithVFS returns the options with another file system of SQLite.
func (o Options) WithVFS(name string) Options {
	o.vfs = name
	return o
}

// WithBusy returns the options with a time to wait for locks.
func (o Options) WithBusy(d time.Duration) Options {
	o.busy = d
	return o
}

// WithIdleAfter returns the options with another time after which an unused actor
// leaves memory.
func (o Options) WithIdleAfter(d time.Duration) Options {
	o.idleAfter = d
	return o
}

// WithClock returns the options with a clock, and without upkeep by itself: see Tick.
func (o Options) WithClock(now func() time.Time) Options {
	o.now, o.tick = now, -1
	return o
}

// WithoutSync returns the options of a store that does not wait for the disk, for
// tests without a loss of power: they take a fraction of the time.
func (o Options) WithoutSync() Options {
	o.unsynced = true
	return o
}

// WithAfterRead returns the options with a function that is called after each read of
// Load and Entries.
func (o Options) WithAfterRead(f func()) Options {
	o.afterRead = f
	return o
}

// Tick does the upkeep of each second.
func (s *Store) Tick() {
	s.tick(context.Background())
	for s.writer.slicer.slice(context.Background()) {
	}
}

// Slice writes one slice, and reports whether there may be more.
func (s *Store) Slice() bool { return s.writer.slicer.slice(context.Background()) }

// Touched returns how many callers the next snapshot of a resident actor would write.
func (s *Store) Touched(actor string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.index.ByID[actor].Stored.Touched)
}

// Resident returns how many actors are in memory, and how many with their state.
func (s *Store) Resident() (actors, states int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.index.ByNum {
		actors++
		if r.Record != nil {
			states++
		}
	}
	return actors, states
}

// Migrate changes a file to the version len(steps).
func Migrate(ctx context.Context, conn *sql.Conn, steps []string) error {
	return migrate(ctx, conn, steps)
}

// Versions returns the number of versions of the file's format.
func Versions() int { return len(migrations) }

// LimitRow limits the length of a row to n bytes, as SQLite does at 1 GB.
func (s *Store) LimitRow(t testing.TB, n int) {
	s.writer.writing.Lock()
	defer s.writer.writing.Unlock()
	if _, err := sqlite.Limit(s.writer.files.conn, sqlite3.SQLITE_LIMIT_LENGTH, n); err != nil {
		t.Fatal(err)
	}
	s.writer.encoder.MaxRow = n
}

// SyncOff makes the store acknowledge commits that are not on disk.
func (s *Store) SyncOff(ctx context.Context) {
	s.writer.writing.Lock()
	defer s.writer.writing.Unlock()
	if _, err := s.writer.files.conn.ExecContext(ctx, "PRAGMA synchronous = OFF"); err != nil {
		panic(err)
	}
}

// CloseUnsaved closes the store without writing snapshots.
func (s *Store) CloseUnsaved(t testing.TB) {
	s.writer.writing.Lock()
	defer s.writer.writing.Unlock()
	if err := errors.Join(s.writer.closeFiles(), unlockDir(s.lock)); err != nil {
		t.Error(err)
	}
}

// Checksum is the checksum of a snapshot with these texts.
func Checksum(parts ...string) int64 {
	sum := uint32(0)
	for _, p := range parts {
		sum = journal.AddChecksum(sum, []byte(p))
	}
	return int64(sum)
}

// Unsaved reports whether the newest commits of an actor are in no snapshot.
func (s *Store) Unsaved(actor string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.index.ByID[actor]
	return r != nil && r.Rev != r.Saved
}
