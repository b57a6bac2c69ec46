package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
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
	// Retention is for how long entries are kept at least, room permitting.
	// Zero means 3 minutes: the resume window of 2 minutes and 60 seconds more.
	// Shorter than the resume window, connections that come back in time are
	// told that they lost events.
	Retention time.Duration

	// MaxBytes is how large the journal may grow; the oldest commits go first,
	// whoever's they are. Zero means 64 MiB. It may be exceeded, up to CapBytes,
	// by twice the size of the states that have changed: a smaller journal would
	// write the same snapshots over and over.
	MaxBytes int64

	// CapBytes bounds that: over it, a commit may have to wait until as many
	// snapshots are written as it takes. Zero means 1 GiB. What a few groups of
	// commits take comes on top.
	CapBytes int64

	// AutoCheckpoint is after how many pages (of 8 KiB) a commit moves SQLite's
	// log into the file. Zero means 500: small and often, which keeps the tail of
	// latencies short and the log at about 4 MiB. Less than zero means never, for
	// a program that does it itself, as Litestream does; without one the log
	// grows until the disk is full.
	AutoCheckpoint int

	// LockWait is how long Open waits for another process to let go of the
	// directory. Zero means 10 s; less than zero, not at all.
	LockWait time.Duration

	// Logger gets what goes wrong with the disk, and when it is well again.
	// Nil means slog.Default().
	Logger *slog.Logger

	idleAfter time.Duration    // without a use, an actor's state leaves memory
	tick      time.Duration    // of what happens without commits; less than zero: never
	now       func() time.Time // for tests
	vfs       string           // SQLite's name of a file system; empty: the system's
	busy      time.Duration    // to wait for another program that has the file locked

	// Of tests.
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

	done     chan struct{} // closed by Close
	ticker   sync.WaitGroup
	closing  sync.Once
	closeErr error

	// writing is held by whoever writes: Commit, the ticker, Close. It guards the
	// fields below, and the index's parts that are said to be the writer's.
	writing sync.Mutex
	files   *files // nil after an error of the disk, until they are open again
	closed  bool
	fenced  bool      // another process has taken over
	retryAt time.Time // with trouble: writes are not tried before

	encoder   encoder
	lastActor int64       // number of the newest actor
	groups    int64       // counts them
	plans     int64       // counts them
	written   int64       // bytes of the journal since it was last trimmed
	stuck     bool        // the journal cannot be trimmed any more
	due       []*resident // to be snapshotted soon
	idling    []*resident // that nobody used for some time, as of idleAt
	idleAt    time.Time

	// mu is held for moments only, by readers too, and after writing.
	mu      sync.Mutex
	index   index
	reader  *sql.DB // of files
	failure error   // why writes do not work
}

var _ store.Store = (*Store)(nil)

// Open opens the store in a directory, and makes both if need be. It waits for a
// process that has it open to end. A file that is damaged, that is not a store's
// or that a newer version wrote is refused and left as it is.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	s := &Store{options: o.withDefaults(), dir: dir, done: make(chan struct{})}
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("the data directory cannot be made: %w", err)
	}
	if err := s.takeLock(ctx); err != nil {
		return nil, err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	if s.options.tick > 0 {
		s.ticker.Go(s.tickLoop)
	}
	return s, nil
}

// makeDir makes a directory, and those above it, so that they survive the loss of
// power.
func makeDir(dir string) error {
	var missing []string // its name is to be made durable in the one above it
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

// open opens the file, makes its index, and takes it over.
func (s *Store) open(ctx context.Context) error {
	f, x, err := openFiles(ctx, s.path(), s.options, s.epoch != 0)
	if err != nil {
		return err
	}
	epoch, err := f.takeOver(ctx, s.epoch)
	if err == nil {
		err = f.conn.QueryRowContext(ctx, "SELECT coalesce(max(num), 0), (SELECT coalesce(max(id), 0) FROM groups) FROM actors").Scan(&s.lastActor, &s.encoder.lastRow)
	}
	if err != nil {
		return errors.Join(refused(s.path(), err), f.close())
	}
	s.files, s.epoch = f, epoch
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index, s.reader = *x, f.reader
	return nil
}

func (s *Store) path() string { return filepath.Join(s.dir, fileName) }

// Immediate implements store.Store: commits wait for the disk.
func (s *Store) Immediate() bool { return false }

// Close snapshots what has changed, so that the file says all without its
// journal, and lets go of the directory. Only the first call does something.
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
		err = s.saveAll(context.Background())
	}
	s.mu.Lock()
	s.failure = errClosed
	s.mu.Unlock()
	if s.files != nil { // still: what failed has let go of them
		err = errors.Join(err, s.closeFiles())
	}
	return errors.Join(err, s.lock.Close())
}

// closeFiles closes the file, and forgets all that was known of it. The trouble that
// is the reason must be noted before: who finds no file is told it.
func (s *Store) closeFiles() error {
	f := s.files
	s.files, s.due, s.idling = nil, nil, nil
	s.mu.Lock()
	s.reader, s.index = nil, newIndex()
	s.mu.Unlock()
	return f.close()
}
