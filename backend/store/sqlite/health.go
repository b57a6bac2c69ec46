package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/troupe-dev/troupe/backend/store"
)

// retryAfter is how long a store that cannot be written is left alone.
const retryAfter = 250 * time.Millisecond

// errFenced is why nothing is written once another process has taken over.
var errFenced = fmt.Errorf("another process has taken over the store: %w", store.ErrConflict)

// errClosed is why nothing works after Close.
var errClosed = errors.New("the store is closed")

// commitError is an error of the COMMIT itself: whatever it was, some of the
// transaction is on its way to the disk.
type commitError struct{ error }

func (e commitError) Unwrap() error { return e.error }

// inTransaction runs f as one transaction of the writer.
func (f *files) inTransaction(ctx context.Context, do func() error) error {
	if _, err := f.begin.ExecContext(ctx); err != nil {
		return err
	}
	err := do()
	if err == nil {
		if _, err = f.commit.ExecContext(ctx); err == nil {
			return nil
		}
		err = commitError{err}
	}
	_, _ = f.rollback.ExecContext(ctx) // SQLite has done so itself after most errors, and says so
	return err
}

// Health returns nil while the store can be written, else what keeps it from that.
// Damage that concerns single actors is in the log only. It may be called at the
// same time as anything.
func (s *Store) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// JournalBytes returns how large the journal is, without what SQLite adds. It may
// be called at the same time as anything.
func (s *Store) JournalBytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index.bytes
}

// writable returns nil if writing may be tried, and opens the file anew if an
// error has closed it.
func (s *Store) writable(ctx context.Context) error {
	s.mu.Lock()
	failure := s.failure
	s.mu.Unlock()
	switch {
	case s.closed:
		return errClosed
	case s.fenced:
		return errFenced
	case failure == nil:
		return nil
	case s.options.now().Before(s.retryAt):
		return failure
	}
	if s.files != nil {
		return nil
	}
	if err := s.open(ctx); errors.Is(err, errFenced) {
		return s.fence()
	} else if err != nil {
		return s.setUnavailable(err)
	}
	s.setAvailable()
	return nil
}

// recover opens the file anew if an error has closed it, and it is time to.
func (s *Store) recover(ctx context.Context) {
	s.mu.Lock()
	closed := s.reader == nil
	s.mu.Unlock()
	if closed {
		s.writing.Lock()
		defer s.writing.Unlock()
		_ = s.writable(ctx) // whoever asks finds no reader, and the trouble
	}
}

// failed notes that a transaction failed, and returns what that means for the
// commits in it.
func (s *Store) failed(err error) error {
	var e *sqlite.Error
	code := 0
	if errors.As(err, &e) {
		code = e.Code() & 0xff
	}
	switch {
	case errors.Is(err, errFenced):
		return s.fence()
	case code == sqlite3.SQLITE_FULL: // then the end of the transaction was not written
		return s.setUnavailable(fmt.Errorf("%w: %w", store.ErrFull, err))
	case code == sqlite3.SQLITE_BUSY, code == sqlite3.SQLITE_LOCKED:
		return s.setUnavailable(fmt.Errorf("another program keeps %s locked: %w", s.path(), err))
	}
	// After an error of the disk nobody knows what of the transaction will be
	// there after a crash. To open the file as after one decides it.
	_ = s.setUnavailable(err)
	s.discardFiles()
	if errors.As(err, new(commitError)) {
		return fmt.Errorf("%w: %w", store.ErrUnknown, err)
	}
	return err
}

// fence notes that another process has taken over: what this one has read may be
// stale, so that it answers nothing any more.
func (s *Store) fence() error {
	s.fenced = true
	_ = s.setUnavailable(errFenced)
	if s.files != nil {
		s.discardFiles()
	}
	return errFenced
}

// discardFiles lets go of the file after an error, which is worse than one of that.
func (s *Store) discardFiles() {
	if err := s.closeFiles(); err != nil {
		s.options.Logger.Warn("the store's file cannot be closed", "error", err)
	}
}

// setUnavailable notes why the store cannot be written, and returns it.
func (s *Store) setUnavailable(err error) error {
	s.retryAt = s.options.now().Add(retryAfter)
	s.mu.Lock()
	known := s.failure != nil
	s.failure = err
	s.mu.Unlock()
	if !known {
		s.options.Logger.Error("the store cannot be written: actors fail what changes them until it can", "file", s.path(), "error", err)
	}
	return err
}

// setAvailable notes that the store works.
func (s *Store) setAvailable() {
	s.mu.Lock()
	known := s.failure != nil
	s.failure = nil
	s.mu.Unlock()
	if known {
		s.options.Logger.Info("the store works again", "file", s.path())
	}
}

// damaged reports whether an error means that the file's content is wrong.
func damaged(err error) bool {
	var e *sqlite.Error
	return errors.Is(err, errDamaged) ||
		errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB)
}
