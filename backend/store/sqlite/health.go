package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// retryAfter is the minimum time between attempts to write an unavailable store.
const retryAfter = 250 * time.Millisecond

// errFenced fails everything once another process has taken over.
var errFenced = fmt.Errorf("another process has taken over the store: %w", store.ErrConflict)

// errClosed fails everything after Close.
var errClosed = errors.New("the store is closed")

// Health returns nil while the store can be written, else the reason why not. Damage
// of single actors is in the log only. It may be called at any time.
func (s *Store) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// JournalBytes returns the size of the journal, without SQLite's overhead. It may
// be called at any time.
func (s *Store) JournalBytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index.Bytes
}

// writable returns nil if the caller may try to write. It opens the file again if
// an error has closed it.
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
		return s.checkFiles()
	}
	if err := s.open(ctx); errors.Is(err, errFenced) {
		return s.fence()
	} else if err != nil {
		return s.setUnavailable(err)
	}
	s.setAvailable()
	return nil
}

// checkFiles makes the store unavailable if one of its files is no longer at its path.
func (s *Store) checkFiles() error {
	if err := s.files.opened.check(); err != nil {
		return s.setUnavailable(err)
	}
	return nil
}

// recover opens the file again if an error has closed it and retryAt has come.
func (s *Store) recover(ctx context.Context) {
	s.mu.Lock()
	closed := s.reader == nil
	s.mu.Unlock()
	if closed {
		s.writing.Lock()
		defer s.writing.Unlock()
		_ = s.writable(ctx) // if it fails, callers find no reader and return s.failure
	}
}

// failed handles the error of a transaction, and returns the error of its commits.
func (s *Store) failed(err error) error {
	var e *sqlite.Error
	code := 0
	if errors.As(err, &e) {
		code = e.Code() & 0xff
	}
	switch {
	case errors.Is(err, errFenced):
		return s.fence()
	case code == sqlite3.SQLITE_FULL: // the end of the transaction was not written
		return s.setUnavailable(fmt.Errorf("%w: %w", store.ErrFull, err))
	case code == sqlite3.SQLITE_BUSY, code == sqlite3.SQLITE_LOCKED:
		return s.setUnavailable(fmt.Errorf("another program keeps %s locked: %w", s.path(), err))
	}
	// After a disk error it is not known which part of the transaction would survive
	// a crash. Opening the file as after a crash decides that.
	_ = s.setUnavailable(err)
	s.discardFiles()
	if errors.As(err, new(commitError)) {
		return fmt.Errorf("%w: %w", store.ErrUnknown, err)
	}
	return err
}

// fence makes the store unavailable because another process has taken over. What
// this one has read may be stale, so readers get an error, too.
func (s *Store) fence() error {
	s.fenced = true
	_ = s.setUnavailable(errFenced)
	if s.files != nil {
		s.discardFiles()
	}
	return errFenced
}

// discardFiles closes the file after an error. An error of closing is only logged.
func (s *Store) discardFiles() {
	if err := s.closeFiles(); err != nil {
		s.options.Logger.Warn("close the store's file", "file", s.path(), "error", err)
	}
}

// setUnavailable sets why the store cannot be written, and returns it. It logs the
// first of several errors.
func (s *Store) setUnavailable(err error) error {
	s.retryAt = s.options.now().Add(retryAfter)
	s.mu.Lock()
	known := s.failure != nil
	s.failure = err
	s.mu.Unlock()
	if !known {
		s.options.Logger.Error("the store cannot be written: actions that change an actor fail until it can", "file", s.path(), "error", err)
	}
	return err
}

// setAvailable records that the store works.
func (s *Store) setAvailable() {
	if s.closed { // Close writes what it can
		return
	}
	s.mu.Lock()
	known := s.failure != nil
	s.failure = nil
	s.mu.Unlock()
	if known {
		s.options.Logger.Info("the store works again", "file", s.path())
	}
}

// diskError reports whether an error of a statement concerns the disk, the whole file
// or the process, and not only the data that the statement writes.
func diskError(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return true
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_CORRUPT:
		return false
	}
	return true
}

// damaged reports whether an error means that the file's content is damaged.
func damaged(err error) bool {
	var e *sqlite.Error
	return errors.Is(err, journal.ErrDamaged) ||
		errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB)
}
