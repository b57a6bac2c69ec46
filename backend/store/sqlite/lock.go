package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// lockDir locks a directory for this process. The system releases the lock when
// the process ends for any reason.
func lockDir(ctx context.Context, dir string, o Options) (*flock.Flock, error) {
	lock := flock.New(filepath.Join(dir, lockName), flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err == nil && !locked && o.LockWait > 0 {
		o.Logger.Info("waiting for another process to let go of the data directory", "directory", dir)
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
		return nil, fmt.Errorf("the data directory %s is in use by %s: stop it first, or choose another directory", dir, owner(filepath.Join(dir, fileName)))
	}
	return lock, nil
}
