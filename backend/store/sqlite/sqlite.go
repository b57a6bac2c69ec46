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
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
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
	options Options
	dir     string
	lock    *flock.Flock
	epoch   int64
	unclean bool // see Unclean

	done     chan struct{} // closed by Close
	wake     chan struct{} // has an item when there is something to write in slices
	ticker   sync.WaitGroup
	closing  sync.Once
	closeErr error

	// writing is held by the writer: Commit, the ticker or Close. It guards the
	// fields below, and the parts of the index that belong to the writer.
	writing sync.Mutex
	files   *files // nil after a disk error, until they are open again
	closed  bool
	fenced  bool      // another process has taken over
	retryAt time.Time // while unavailable: no write before this time

	encoder   journal.Encoder
	lastNum   int64 // the newest number of an actor or owner
	groups    int64 // number of groups so far
	planner   journal.Planner
	idling    []*journal.Resident // not used for some time, as of idleAt
	idleAt    time.Time
	saves     []*save             // of the transaction that is being written
	slicing   *save               // being written in slices
	large     []*journal.Resident // to be written in slices, after that
	forgotten []int64             // numbers of tombstones to remove

	decoded decodedCommits

	// mu is held briefly, by readers too. Lock writing before it.
	mu      sync.Mutex
	index   journal.Index
	reader  *pool // of files
	failure error // why writes do not work
}

var _ store.Store = (*Store)(nil)

// Open opens the store in a directory, and makes both if they do not exist. If
// another process has the store open, it waits for that process to end. It refuses a
// file that is damaged, is not a store or was written by a newer version, and leaves
// it unchanged.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	s := &Store{options: o.withDefaults(), dir: dir, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	var err error
	if s.lock, err = lockDir(ctx, dir, s.options); err != nil {
		return nil, err
	}
	o = s.options
	s.planner.Limits = journal.Limits{Retention: o.Retention, MaxBytes: o.MaxBytes, CapBytes: o.CapBytes}
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, unlockDir(s.lock))
	}
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

func (s *Store) path() string { return filepath.Join(s.dir, fileName) }

// Unclean reports whether the process that had the store open before ended without
// closing it, for example because it was killed.
func (s *Store) Unclean() bool { return s.unclean }

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
	s.writing.Lock()
	defer s.writing.Unlock()
	s.closed = true
	var err error
	if s.files != nil {
		err = errors.Join(s.files.opened.checkFile(s.path()), s.saveAll(context.Background()))
		if err == nil {
			err = s.markClean(context.Background())
		}
	}
	s.mu.Lock()
	s.failure = errClosed
	s.mu.Unlock()
	if s.files != nil { // a failure has closed them
		err = errors.Join(err, s.closeFiles())
	}
	return errors.Join(err, unlockDir(s.lock))
}

// tickLoop does upkeep when there are no commits.
func (s *Store) tickLoop() {
	ticker := time.NewTicker(s.options.tick)
	defer ticker.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-ticker.C:
			s.tick(context.Background())
		case <-s.wake:
		}
		for !s.isDone() && s.doSlice(context.Background()) {
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
