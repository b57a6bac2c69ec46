package sqlite

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// Limits of the upkeep.
const (
	trimEvery   = 8        // groups
	besideBytes = 1 << 20  // of snapshots beside a group
	spareBytes  = 16 << 20 // of free pages that the file may keep
)

// How long an actor is not snapshotted after that has failed: because of its snapshot,
// or because it cannot even be set aside.
const (
	blockFor = time.Minute
	forever  = 100 * 365 * 24 * time.Hour
)

// plan chooses the snapshots that are due and, if trim is set, the rows to trim.
func (w *writer) plan(trim bool) journal.Upkeep {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.planner.Plan(&w.index, trim, w.options.now())
	w.slicer.add(u.Large)
	return u
}

// withUpkeep runs a transaction that does something and then upkeep. A snapshot that
// cannot be written does not fail it: its actor is blocked and left out.
func (w *writer) withUpkeep(ctx context.Context, u *journal.Upkeep, do func() error) error {
	for {
		err := w.files.inTransaction(ctx, func() error {
			if err := do(); err != nil {
				return err
			}
			return w.maintain(ctx, u)
		})
		if !errors.As(err, new(blockedError)) {
			return err
		}
		u.Drop(w.options.now())
	}
}

// maintain does the upkeep inside a transaction.
func (w *writer) maintain(ctx context.Context, u *journal.Upkeep) error {
	w.saves = w.saves[:0]
	for i := range u.Save {
		r := u.Save[i].Actor
		if !w.isComplete(r) {
			err := w.completeByNum(ctx, r)
			if damaged(err) {
				w.options.Logger.Error("an actor cannot be read: its part of the journal is set aside", "file", w.path, "error", err)
				if err = w.files.setAside(ctx, r); err == nil {
					continue // its rows may be trimmed
				}
			}
			if damaged(err) {
				// Its commits may still be rescued: they must stay, and all later rows
				// with them.
				w.planner.Stuck, r.Blocked = true, w.options.now().Add(forever).UnixNano()
				w.options.Logger.Error("the journal is no longer trimmed: the file is damaged; restore a backup", "file", w.path, "error", err)
				return blockedError{err}
			} else if err != nil {
				return err
			}
		}
		w.mu.Lock()
		id, record, saved := r.ID, r.Record, r.Saved
		w.mu.Unlock()
		if r.Rev == saved {
			continue // loading it showed that its snapshot is up to date
		}
		switch err := w.saveWhole(ctx, r); {
		case err == nil:
		case diskError(err):
			return err
		default:
			w.block(r, id, record, err)
			if damaged(err) {
				return blockedError{err}
			}
		}
	}
	u.Drop(w.options.now())
	if u.Trim == 0 {
		return nil
	}
	_, err := w.files.trim.ExecContext(ctx, w.index.Rows[u.Trim-1].ID)
	return err
}

// blockedError is the error of an actor that is now blocked. The transaction must be
// rolled back: SQLite cannot commit one that has come upon damage.
type blockedError struct{ error }

func (e blockedError) Unwrap() error { return e.error }

// applyUpkeep updates the index with upkeep that is durable. Hold mu.
func (w *writer) applyUpkeep(u *journal.Upkeep) {
	for _, saved := range u.Save {
		r := saved.Actor
		r.Saved, r.Unsaved = saved.Rev, 0
		w.index.UpdateDirty(r)
	}
	for _, v := range w.saves {
		v.apply(w)
	}
	w.saves = nil
	w.index.Pop(u.Trim)
}

// tick checks whether the files are still there and whether a disk that failed works
// again, and does upkeep.
func (w *writer) tick(ctx context.Context) {
	w.writing.Lock()
	defer w.writing.Unlock()
	if w.writable(ctx) != nil || w.checkFiles() != nil {
		return
	}
	u := w.plan(true)
	if w.doUpkeep(ctx, &u) && w.idle(ctx) && w.tombstones.remove(ctx) {
		w.shrink(ctx)
	}
}

// doUpkeep does upkeep in a transaction of its own. It reports whether that
// succeeded.
func (w *writer) doUpkeep(ctx context.Context, u *journal.Upkeep) bool {
	troubled := w.Health() != nil
	if len(u.Save) == 0 && u.Trim == 0 && !troubled {
		return true
	}
	err := w.withUpkeep(ctx, u, func() error { return w.files.fence(ctx, w.epoch) })
	if err != nil {
		_ = w.failed(err) // which logs it and sets Health
		return false
	}
	w.setAvailable()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.applyUpkeep(u)
	return true
}

// idle snapshots a batch of the actors that were not used for some time, and drops
// their states from memory.
func (w *writer) idle(ctx context.Context) bool {
	now := w.options.now()
	before := now.Add(-w.options.idleAfter)
	w.mu.Lock()
	if len(w.idling) == 0 && now.Sub(w.idleAt) >= w.options.idleAfter/3 {
		w.idleAt = now
		for _, r := range w.index.ByNum {
			if r.Used.Before(before) && (r.Record != nil || len(r.Locations) == 0) {
				w.idling = append(w.idling, r)
			}
		}
	}
	var u journal.Upkeep
	n := 0
	for budget := int64(journal.SaveBytes); n < len(w.idling) && budget > 0; n++ {
		budget -= u.AddSlice(w.idling[n], now)
	}
	w.slicer.add(u.Large)
	w.mu.Unlock()
	batch := w.idling[:n]
	w.idling = w.idling[n:]
	if !w.doUpkeep(ctx, &u) {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range batch {
		if r.Rev == r.Saved && r.Used.Before(before) {
			w.index.Forget(r)
		}
	}
	return true
}

// chunks splits the snapshots of actors into transactions.
func (w *writer) chunks(actors []*journal.Resident) iter.Seq[*journal.Upkeep] {
	return func(yield func(*journal.Upkeep) bool) {
		u, budget := &journal.Upkeep{}, int64(journal.SaveBytes)
		for _, r := range actors {
			w.mu.Lock()
			budget -= u.Add(r, w.options.now())
			w.mu.Unlock()
			if budget > 0 {
				continue
			}
			if !yield(u) {
				return
			}
			u, budget = &journal.Upkeep{}, journal.SaveBytes
		}
		yield(u)
	}
}

// saveAll snapshots every actor that has changed.
func (w *writer) saveAll(ctx context.Context) error {
	w.slicer.current = nil // each is saved whole
	w.mu.Lock()
	all := slices.Collect(maps.Values(w.index.ByNum))
	w.mu.Unlock()
	for u := range w.chunks(all) {
		if !w.doUpkeep(ctx, u) {
			return w.Health()
		}
	}
	return nil
}

// shrink returns some of the file's free pages to the system if there are many, as
// after a flood.
func (w *writer) shrink(ctx context.Context) {
	var free, size int64
	err := w.files.conn.QueryRowContext(ctx, "SELECT (SELECT * FROM pragma_freelist_count), (SELECT * FROM pragma_page_size)").Scan(&free, &size)
	if err == nil && free*size > max(spareBytes, w.index.Bytes) {
		_, err = w.files.conn.ExecContext(ctx, "PRAGMA incremental_vacuum(512)")
	}
	if err != nil {
		_ = w.failed(err)
	}
}

// saveWhole snapshots an actor inside a transaction, however large it is.
func (w *writer) saveWhole(ctx context.Context, r *journal.Resident) error {
	w.slicer.supersede(r)
	v := newSave(w.catalog, r)
	for {
		done, err := v.step(ctx, w)
		if err != nil {
			return err
		}
		if done {
			w.saves = append(w.saves, v)
			return nil
		}
	}
}

// block stops snapshots of an actor for some time.
func (w *writer) block(r *journal.Resident, id string, record *record.Record, err error) {
	r.Blocked = w.options.now().Add(blockFor).UnixNano()
	w.options.Logger.Error("an actor cannot be snapshotted: its commits stay in the journal, which is not trimmed past them",
		"actor", id, "name", record.Name, "key", record.Key, "bytes", record.State.Len(), "error", err)
}
