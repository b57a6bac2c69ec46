package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/troupe-dev/troupe/backend/store"
)

// Names of the files in the data directory. SQLite adds troupe.db-wal and
// troupe.db-shm while it runs.
const (
	fileName = "troupe.db"
	lockName = "troupe.lock"
)

// Options of a Store. The zero value is right for most.
type Options struct {
	// Retention is the minimum time for which entries are kept, room permitting.
	// Zero means 3 minutes: the resume window of 2 minutes and 60 seconds more.
	// If it is shorter than the resume window, connections that come back in time
	// may have lost events.
	Retention time.Duration

	// MaxBytes limits the journal; the oldest commits are trimmed first, of any
	// actor. Zero means 64 MiB. The journal may exceed it, up to CapBytes, by twice
	// the size of the states that have changed: a smaller journal would write the
	// same snapshots over and over.
	MaxBytes int64

	// CapBytes is the hard limit of the journal: over it, a commit waits until
	// enough snapshots are written to trim it. Zero means 1 GiB. The commits of a
	// few groups come on top.
	CapBytes int64

	// AutoCheckpoint is the number of pages (of 8 KiB) after which a commit moves
	// SQLite's log into the file. Zero means 500: small and often, which keeps the
	// tail of latencies short and the log at about 4 MiB. Less than zero means
	// never, for use with a program that does it, such as Litestream; without one
	// the log grows until the disk is full.
	AutoCheckpoint int

	// NoSecureDelete leaves what is deleted or replaced in unused parts of the file until
	// something else takes their place. It saves 13 to 15 % of the store's processor time.
	NoSecureDelete bool

	// LockWait is how long Open waits for another process to release the
	// directory. Zero means 10 s; less than zero, not at all.
	LockWait time.Duration

	// Logger gets disk errors and recoveries. Nil means slog.Default().
	Logger *slog.Logger

	idleAfter time.Duration    // after this long without use, an actor's state leaves memory
	tick      time.Duration    // between upkeep without commits; less than zero: never
	now       func() time.Time // for tests
	vfs       string           // SQLite's name of a file system; empty: the system's
	busy      time.Duration    // to wait for another program that has the file locked

	// For tests.
	unsynced  bool   // commits do not wait for the disk
	afterRead func() // called whenever Load or Entries has read something from the file
}

func (o Options) withDefaults() Options {
	o.Retention = cmp.Or(o.Retention, 3*time.Minute)
	o.MaxBytes = cmp.Or(o.MaxBytes, 64<<20)
	o.CapBytes = max(cmp.Or(o.CapBytes, 1<<30), o.MaxBytes)
	o.AutoCheckpoint = max(cmp.Or(o.AutoCheckpoint, 500), 0)
	o.LockWait = cmp.Or(o.LockWait, 10*time.Second)
	o.idleAfter = cmp.Or(o.idleAfter, 30*time.Second)
	o.tick = cmp.Or(o.tick, time.Second)
	o.busy = cmp.Or(o.busy, 5*time.Second)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.now == nil {
		o.now = time.Now
	}
	if o.afterRead == nil {
		o.afterRead = func() {}
	}
	return o
}

// Store is a store.Store in a directory. Make one with Open.
type Store struct {
	*reader
	writer *writer
	lock   *flock.Flock // of the directory

	done     chan struct{} // closed by Close
	ticker   sync.WaitGroup
	closing  sync.Once
	closeErr error
}

var _ store.Store = (*Store)(nil)

// Open opens the store in a directory, and makes both if they do not exist. If
// another process has the store open, it waits for that process to end. It refuses a
// file that is damaged, is not a store or was written by a newer version, and leaves
// it unchanged.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	o = o.withDefaults()
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	lock, err := lockDir(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	w := newWriter(filepath.Join(dir, fileName), o)
	if err := w.start(ctx); err != nil {
		return nil, errors.Join(err, unlockDir(lock))
	}
	s := &Store{reader: &reader{catalog: w.catalog, options: o, writer: w}, writer: w, lock: lock, done: make(chan struct{})}
	if o.tick > 0 {
		s.ticker.Go(s.tickLoop)
	}
	return s, nil
}

// makeDir makes a directory, and those above it, so that they survive the loss of
// power.
func makeDir(dir string) error {
	var missing []string // their names must be made durable in their parents
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) || filepath.Dir(at) == at {
			break
		}
		missing = append(missing, at)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, made := range missing {
		_ = syncFile(filepath.Dir(made)) // not every system can do that
	}
	return nil
}

// Commit implements store.Store: it writes the group as one transaction, which
// is on disk when it returns.
func (s *Store) Commit(ctx context.Context, commits []*store.Commit) []error {
	return s.writer.commit(ctx, commits)
}

// Secret implements store.Store.
func (s *Store) Secret(ctx context.Context, name string, generate func() []byte) ([]byte, error) {
	value, err := s.writer.secret(ctx, name, generate)
	if err != nil {
		return nil, fmt.Errorf("the secret %s: %w", name, err)
	}
	return value, nil
}

// Unclean reports whether the process that had the store open before ended without
// closing it, for example because it was killed.
func (s *Store) Unclean() bool { return s.writer.unclean }

// Immediate implements store.Store: commits wait for the disk.
func (s *Store) Immediate() bool { return false }

// Close snapshots every actor that has changed, so that the next start need not read
// the journal, and releases the directory. Only the first call does something.
func (s *Store) Close() error {
	s.closing.Do(func() { s.closeErr = s.end() })
	return s.closeErr
}

func (s *Store) end() error {
	close(s.done)
	s.ticker.Wait()
	return errors.Join(s.writer.close(context.Background()), unlockDir(s.lock))
}

// tick does the upkeep of each second.
func (s *Store) tick(ctx context.Context) {
	s.decoded.Clear()
	s.writer.tick(ctx)
}

// tickLoop does upkeep when there are no commits.
func (s *Store) tickLoop() {
	ticker := time.NewTicker(s.reader.options.tick)
	defer ticker.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-ticker.C:
			s.tick(context.Background())
		case <-s.writer.slicer.wake:
		}
		for !s.isDone() && s.writer.slicer.slice(context.Background()) {
			runtime.Gosched() // a commit that waits goes first
		}
	}
}

func (s *Store) isDone() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}
