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

// takeLock locks the directory for this process. The system releases the lock when
// the process ends for any reason.
func (s *Store) takeLock(ctx context.Context) error {
	s.lock = flock.New(filepath.Join(s.dir, lockName), flock.SetPermissions(0o600))
	locked, err := s.lock.TryLock()
	if err == nil && !locked && s.options.LockWait > 0 {
		s.options.Logger.Info("waiting for another process to let go of the data directory", "directory", s.dir)
		wait, cancel := context.WithTimeout(ctx, s.options.LockWait)
		defer cancel()
		locked, err = s.lock.TryLockContext(wait, 20*time.Millisecond)
		if errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
	}
	var failed *fs.PathError
	switch {
	case errors.As(err, &failed): // its path is that of the lock file, an internal detail
		return fmt.Errorf("the data directory %s cannot be written: %w", s.dir, failed.Err)
	case err != nil:
		return fmt.Errorf("lock the data directory %s: %w", s.dir, err)
	case !locked:
		return fmt.Errorf("the data directory %s is in use by %s: stop it first, or choose another directory", s.dir, owner(s.path()))
	}
	return nil
}
