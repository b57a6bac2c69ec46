package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// lockDir locks a directory for this process. The system releases the lock when
// the process ends for any reason.
func lockDir(ctx context.Context, dir string, o Options) (*flock.Flock, error) {
	lock := flock.New(filepath.Join(dir, lockName), flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err == nil && !locked && o.LockWait > 0 {
		o.Logger.Warn("the data directory is in use: waiting for another process to end. Send it SIGTERM and this process takes over, or choose another directory (-data)",
			"directory", dir, "owner", owner(dir), "wait", o.LockWait)
		wait, cancel := context.WithTimeout(ctx, o.LockWait)
		defer cancel()
		locked, err = lock.TryLockContext(wait, 20*time.Millisecond)
		if errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
	}
	var failed *fs.PathError
	switch {
	case errors.As(err, &failed): // its path is that of the lock file, an internal detail
		return nil, fmt.Errorf("the data directory %s cannot be written: %w", dir, failed.Err)
	case err != nil:
		return nil, fmt.Errorf("lock the data directory %s: %w", dir, err)
	case !locked:
		return nil, fmt.Errorf("the data directory %s is in use by %s: send it SIGTERM and start again, or choose another directory (-data)", dir, owner(dir))
	}
	writeOwner(lock, thisProcess())
	return lock, nil
}

// unlockDir releases a directory.
func unlockDir(lock *flock.Flock) error {
	writeOwner(lock, "")
	return lock.Close()
}

// Announce adds the address of the server that uses the store to the error of a second
// process that opens the directory.
func (s *Store) Announce(address string) {
	writeOwner(s.lock, thisProcess()+", listening on "+address)
}

// writeOwner writes a description of this process into the lock file. It is for people
// only, so errors do not matter.
func writeOwner(lock *flock.Flock, text string) {
	f, err := os.OpenFile(lock.Path(), os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	ours, err := lock.Stat()
	if now, statErr := f.Stat(); err != nil || statErr != nil || !os.SameFile(ours, now) {
		return // the directory was replaced
	}
	if f.Truncate(0) == nil {
		_, _ = f.WriteString(text)
	}
}

// thisProcess describes this process.
var thisProcess = sync.OnceValue(func() string {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	return fmt.Sprintf("process %d on %s since %s", os.Getpid(), host, time.Now().Format(time.DateTime))
})

// owner describes the process that has a directory locked, as far as it is known.
func owner(dir string) string {
	const unknown = "another process"
	if text, err := os.ReadFile(filepath.Join(dir, lockName)); err == nil && len(text) > 0 {
		return strings.TrimSpace(string(text))
	}
	// A version that does not write the lock file.
	db, err := sql.Open("sqlite", dsn(filepath.Join(dir, fileName), "ro", "", "busy_timeout=1000"))
	if err != nil {
		return unknown
	}
	defer db.Close() // read-only
	var owner string
	if db.QueryRow("SELECT owner FROM meta").Scan(&owner) != nil || owner == "" {
		return unknown
	}
	return owner
}
