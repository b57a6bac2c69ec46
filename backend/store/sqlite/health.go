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

// writable returns nil if the caller may try to write. It opens the file again if
// an error has closed it.
func (w *writer) writable(ctx context.Context) error {
	w.mu.Lock()
	failure := w.failure
	w.mu.Unlock()
	switch {
	case w.closed:
		return errClosed
	case w.fenced:
		return errFenced
	case failure == nil:
		return nil
	case w.options.now().Before(w.retryAt):
		return failure
	}
	if w.files != nil {
		return w.checkFiles()
	}
	if err := w.open(ctx); errors.Is(err, errFenced) {
		return w.fence()
	} else if err != nil {
		return w.setUnavailable(err)
	}
	w.setAvailable()
	return nil
}

// checkFiles makes the store unavailable if one of its files is no longer at its path.
func (w *writer) checkFiles() error {
	if err := w.files.opened.check(); err != nil {
		return w.setUnavailable(err)
	}
	return nil
}

// reopen opens the file again if an error has closed it and retryAt has come.
func (w *writer) reopen(ctx context.Context) {
	w.mu.Lock()
	closed := w.pool == nil
	w.mu.Unlock()
	if closed {
		w.writing.Lock()
		defer w.writing.Unlock()
		_ = w.writable(ctx) // if it fails, callers find no pool and return w.failure
	}
}

// failed handles the error of a transaction, and returns the error of its commits.
func (w *writer) failed(err error) error {
	var e *sqlite.Error
	code := 0
	if errors.As(err, &e) {
		code = e.Code() & 0xff
	}
	switch {
	case errors.Is(err, errFenced):
		return w.fence()
	case code == sqlite3.SQLITE_FULL: // the end of the transaction was not written
		return w.setUnavailable(fmt.Errorf("%w: %w", store.ErrFull, err))
	case code == sqlite3.SQLITE_BUSY, code == sqlite3.SQLITE_LOCKED:
		return w.setUnavailable(fmt.Errorf("another program keeps %s locked: %w", w.path, err))
	}
	// After a disk error it is not known which part of the transaction would survive
	// a crash. Opening the file as after a crash decides that.
	_ = w.setUnavailable(err)
	w.discardFiles()
	if errors.As(err, new(commitError)) {
		return fmt.Errorf("%w: %w", store.ErrUnknown, err)
	}
	return err
}

// fence makes the store unavailable because another process has taken over. What
// this one has read may be stale, so readers get an error, too.
func (w *writer) fence() error {
	w.fenced = true
	_ = w.setUnavailable(errFenced)
	if w.files != nil {
		w.discardFiles()
	}
	return errFenced
}

// discardFiles closes the file after an error. An error of closing is only logged.
func (w *writer) discardFiles() {
	if err := w.closeFiles(); err != nil {
		w.options.Logger.Warn("close the store's file", "file", w.path, "error", err)
	}
}

// setUnavailable sets why the store cannot be written, and returns it. It logs the
// first of several errors.
func (w *writer) setUnavailable(err error) error {
	w.retryAt = w.options.now().Add(retryAfter)
	w.mu.Lock()
	known := w.failure != nil
	w.failure = err
	w.mu.Unlock()
	if !known {
		w.options.Logger.Error("the store cannot be written: actions that change an actor fail until it can", "file", w.path, "error", err)
	}
	return err
}

// setAvailable records that the store works.
func (w *writer) setAvailable() {
	if w.closed { // Close writes what it can
		return
	}
	w.mu.Lock()
	known := w.failure != nil
	w.failure = nil
	w.mu.Unlock()
	if known {
		w.options.Logger.Info("the store works again", "file", w.path)
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
