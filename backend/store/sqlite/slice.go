package sqlite

import (
	"context"

	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// slicer writes snapshots that are too large for one transaction, and deletes garbage,
// both a slice at a time. Its fields belong to the writer.
type slicer struct {
	w       *writer
	wake    chan struct{} // has an item when there is something to write
	current *save
	queue   []*journal.Resident // to be saved after current
}

// add adds actors to those that are saved in slices.
func (l *slicer) add(actors []*journal.Resident) {
	for _, r := range actors {
		if !r.Slicing {
			r.Slicing = true
			l.queue = append(l.queue, r)
		}
	}
	if len(l.queue) == 0 {
		return
	}
	select {
	case l.wake <- struct{}{}:
	default: // the ticker is awake
	}
}

// supersede drops the save of an actor of which a newer one is written.
func (l *slicer) supersede(r *journal.Resident) {
	if l.current != nil && l.current.actor == r {
		l.drop()
	}
}

// drop ends the current save.
func (l *slicer) drop() {
	l.current.actor.Slicing = false
	l.current = nil
}

// slice writes one slice, in a transaction of its own, so that no commit waits for
// long. It reports whether there may be more to write.
func (l *slicer) slice(ctx context.Context) bool {
	l.w.writing.Lock()
	defer l.w.writing.Unlock()
	if l.w.closed || l.w.writable(ctx) != nil {
		return false
	}
	for l.current == nil && len(l.queue) > 0 {
		r := l.queue[0]
		l.queue = l.queue[1:]
		if r.Rev == r.Saved || r.IsBlocked(l.w.options.now()) || !l.w.isComplete(r) {
			r.Slicing = false
			continue
		}
		l.current = newSave(l.w.catalog, r)
	}
	if l.current != nil {
		return l.save(ctx)
	}
	if l.w.files.garbage.pending {
		return l.deleteGarbage(ctx)
	}
	return false
}

// save writes a slice of the current snapshot.
func (l *slicer) save(ctx context.Context) bool {
	v, done := l.current, false
	err := l.w.files.inFencedTransaction(ctx, l.w.epoch, func() (err error) {
		done, err = v.step(ctx, l.w)
		return err
	})
	if err != nil { // v says that more is written than is: it begins again
		l.drop()
	}
	if err != nil && diskError(err) {
		_ = l.w.failed(err) // which logs it and sets Health
		return false
	}
	if err != nil {
		l.w.block(v.actor, v.actor.ID, v.actor.Record, err)
		return true
	}
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	v.actor.Stored.Owner = v.owner
	if done {
		v.apply(l.w)
		l.drop()
	}
	return true
}

// deleteGarbage deletes a slice of the garbage.
func (l *slicer) deleteGarbage(ctx context.Context) bool {
	f, more := l.w.files, false
	err := f.inFencedTransaction(ctx, l.w.epoch, func() (err error) {
		more, err = f.garbage.deleteSlice(ctx)
		return err
	})
	if err != nil && diskError(err) {
		_ = l.w.failed(err)
		return false
	}
	if err != nil { // everything else works, and so would opening the file again
		l.w.options.Logger.Error("rows that nobody needs cannot be deleted: the file is damaged there", "file", l.w.path, "error", err)
	}
	f.garbage.pending = more && err == nil
	return f.garbage.pending
}
