package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// writer commits to the file and keeps it small. What it shares with readers is in the
// catalog; the rest is its own, under writing.
type writer struct {
	*catalog
	options Options
	path    string

	// writing is held by Commit, Secret, the ticker or Close. It guards the fields
	// below, and the parts of the index that belong to the writer.
	writing sync.Mutex
	files   *files // nil after a disk error, until they are open again
	epoch   int64
	unclean bool // see Store.Unclean
	closed  bool
	fenced  bool      // another process has taken over
	retryAt time.Time // while unavailable: no write before this time

	encoder    journal.Encoder
	lastNum    int64 // the newest number of an actor or owner
	groups     int64 // number of groups so far
	planner    journal.Planner
	idling     []*journal.Resident // not used for some time, as of idleAt
	idleAt     time.Time
	saves      []*save // of the transaction that is being written
	slicer     slicer
	tombstones tombstones
}

func newWriter(path string, o Options) *writer {
	w := &writer{catalog: &catalog{}, options: o, path: path}
	w.planner.Limits = journal.Limits{Retention: o.Retention, MaxBytes: o.MaxBytes, CapBytes: o.CapBytes, SaveBytes: besideBytes}
	w.slicer = slicer{w: w, wake: make(chan struct{}, 1)}
	w.tombstones.w = w
	return w
}

// start opens the file for the first time.
func (w *writer) start(ctx context.Context) error {
	w.writing.Lock()
	defer w.writing.Unlock()
	return w.open(ctx)
}

// open opens the file, makes its index, and takes it over.
func (w *writer) open(ctx context.Context) error {
	f, x, err := openFiles(ctx, w.path, w.options, w.epoch != 0)
	if err != nil {
		return err
	}
	epoch, clean, err := f.takeOver(ctx, w.epoch, w.options)
	if err == nil {
		f.opened, err = identify(w.path) // after a transaction: SQLite has made its log
	}
	if err == nil {
		err = f.conn.QueryRowContext(ctx, "SELECT max(coalesce(max(num), 0), (SELECT last FROM meta)), (SELECT coalesce(max(id), 0) FROM groups) FROM actors").Scan(&w.lastNum, &w.encoder.LastRow)
	}
	if err == nil && w.epoch == 0 {
		w.unclean = !clean
	}
	if err == nil {
		err = w.tombstones.find(ctx, f)
	}
	if err != nil {
		return errors.Join(refused(w.path, err), f.close())
	}
	w.files, w.epoch, w.encoder.MaxRow = f, epoch, f.maxRow
	w.mu.Lock()
	defer w.mu.Unlock()
	w.index, w.pool = *x, f.reader
	return nil
}

// close snapshots every actor that has changed, and closes the file.
func (w *writer) close(ctx context.Context) error {
	w.writing.Lock()
	defer w.writing.Unlock()
	w.closed = true
	var err error
	if w.files != nil {
		err = errors.Join(w.files.opened.checkFile(w.path), w.saveAll(ctx))
		if err == nil {
			err = w.markClean(ctx)
		}
	}
	w.mu.Lock()
	w.failure = errClosed
	w.mu.Unlock()
	if w.files != nil { // a failure has closed them
		err = errors.Join(err, w.closeFiles())
	}
	return err
}

// closeFiles closes the file and drops its index. Set failure before: readers
// that find no file return it.
func (w *writer) closeFiles() error {
	f := w.files
	w.files, w.planner.Due, w.idling, w.saves, w.slicer.current, w.slicer.queue = nil, nil, nil, nil, nil, nil
	w.mu.Lock()
	w.pool, w.index = nil, journal.NewIndex()
	w.mu.Unlock()
	return f.close()
}

// markClean notes that the file is closed and nothing is missing.
func (w *writer) markClean(ctx context.Context) error {
	_, err := w.files.conn.ExecContext(ctx, "UPDATE meta SET clean = 1 WHERE epoch = ?", w.epoch)
	return err
}

// complete reads an actor from the file and makes it resident with its record. It
// uses the reader: SQLite cannot commit a transaction that has read damaged pages.
func (w *writer) complete(ctx context.Context, actor string) (*journal.Resident, error) {
	loaded, err := readSnapshot(ctx, w.files.reader, actor)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	r := w.index.ByNum[loaded.Num]
	w.mu.Unlock()
	if r != nil { // only the writer changes its locations, and this is the writer
		if err := replay(ctx, w.files.reader, loaded, r.Locations, r.First()); err != nil {
			return nil, err
		}
		if loaded.Rev > r.Rev {
			return nil, errAhead
		}
	}
	if loaded.Rev == 0 {
		return nil, errNothing
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.index.Keep(loaded, w.options.now()), nil
}

// completeByNum is complete for an actor whose id is not in the index.
func (w *writer) completeByNum(ctx context.Context, r *journal.Resident) error {
	id, err := readID(ctx, w.files.reader, r.Num)
	if err != nil {
		return err
	}
	_, err = w.complete(ctx, id)
	if errors.Is(err, store.ErrNotFound) { // though its number was just found
		err = errNoID
	}
	if err != nil {
		return fmt.Errorf("actor %s (number %d): %w", id, r.Num, err)
	}
	return nil
}

// await returns when the group that is being written is in the index.
func (w *writer) await() {
	w.writing.Lock()
	defer w.writing.Unlock()
}
