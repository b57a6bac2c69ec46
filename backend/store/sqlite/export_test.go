package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"
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

// WithClock returns the options with a clock, and without anything that happens
// by itself: see Tick.
func (o Options) WithClock(now func() time.Time) Options {
	o.now, o.tick = now, -1
	return o
}

// Tick does what happens by itself every second.
func (s *Store) Tick() { s.tick(context.Background()) }

// Resident returns how many actors are in memory, and how many with their state.
func (s *Store) Resident() (actors, states int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.index.byNum {
		actors++
		if r.record != nil {
			states++
		}
	}
	return actors, states
}

// JournalBytes returns the size of the journal.
func (s *Store) JournalBytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index.bytes
}

// Migrate brings a file to the version len(steps).
func Migrate(ctx context.Context, conn *sql.Conn, steps []string) error {
	return migrate(ctx, conn, steps)
}

// Versions is how many versions of the file's format there have been.
func Versions() int { return len(migrations) }

// SyncOff makes the store acknowledge what is not on the disk.
func (s *Store) SyncOff(ctx context.Context) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if _, err := s.files.conn.ExecContext(ctx, "PRAGMA synchronous = OFF"); err != nil {
		panic(err)
	}
}

// LetGo closes the store without saving anything, as far as a process can do
// that to itself.
func (s *Store) LetGo(t testing.TB) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := errors.Join(s.letGo(), s.lock.Close()); err != nil {
		t.Error(err)
	}
}
