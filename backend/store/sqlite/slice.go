package sqlite

import (
	"context"

	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// slice adds actors to those that are saved in slices.
func (s *Store) slice(actors []*journal.Resident) {
	for _, r := range actors {
		if !r.Slicing {
			r.Slicing = true
			s.large = append(s.large, r)
		}
	}
	if len(s.large) > 0 {
		s.wakeTicker()
	}
}

func (s *Store) wakeTicker() {
	select {
	case s.wake <- struct{}{}:
	default: // it is awake
	}
}

// saveWhole snapshots an actor inside a transaction, however large it is.
func (s *Store) saveWhole(ctx context.Context, r *journal.Resident) error {
	if s.slicing != nil && s.slicing.actor == r {
		s.slicing, r.Slicing = nil, false // this one is newer
	}
	v := s.newSave(r)
	for {
		done, err := v.step(ctx, s)
		if err != nil {
			return err
		}
		if done {
			s.saves = append(s.saves, v)
			return nil
		}
	}
}

// block stops snapshots of an actor for some time.
func (s *Store) block(r *journal.Resident, id string, record *record.Record, err error) {
	r.Blocked = s.options.now().Add(blockFor).UnixNano()
	s.options.Logger.Error("an actor cannot be snapshotted: its commits stay in the journal, which is not trimmed past them",
		"actor", id, "name", record.Name, "key", record.Key, "bytes", record.State.Len(), "error", err)
}

// doSlice writes one slice, in a transaction of its own, so that no commit waits for
// long. It reports whether there may be more to write.
func (s *Store) doSlice(ctx context.Context) bool {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.closed || s.writable(ctx) != nil {
		return false
	}
	for s.slicing == nil && len(s.large) > 0 {
		r := s.large[0]
		s.large = s.large[1:]
		if r.Rev == r.Saved || r.IsBlocked(s.options.now()) || !s.isComplete(r) {
			r.Slicing = false
			continue
		}
		s.slicing = s.newSave(r)
	}
	if s.slicing != nil {
		return s.saveSlice(ctx, s.slicing)
	}
	if s.files.garbage.pending {
		return s.deleteSlice(ctx)
	}
	return false
}

// saveSlice writes a slice of a snapshot.
func (s *Store) saveSlice(ctx context.Context, v *save) bool {
	done := false
	err := s.files.inFencedTransaction(ctx, s.epoch, func() (err error) {
		done, err = v.step(ctx, s)
		return err
	})
	if err != nil { // v says that more is written than is: it begins again
		s.slicing, v.actor.Slicing = nil, false
	}
	if err != nil && diskError(err) {
		_ = s.failed(err) // which logs it and sets Health
		return false
	}
	if err != nil {
		s.block(v.actor, v.actor.ID, v.actor.Record, err)
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v.actor.Stored.Owner = v.owner
	if done {
		v.apply(s)
		s.slicing, v.actor.Slicing = nil, false
	}
	return true
}

// deleteSlice deletes some garbage.
func (s *Store) deleteSlice(ctx context.Context) bool {
	more := false
	err := s.files.inFencedTransaction(ctx, s.epoch, func() (err error) {
		more, err = s.files.garbage.deleteSlice(ctx)
		return err
	})
	if err != nil && diskError(err) {
		_ = s.failed(err)
		return false
	}
	if err != nil { // everything else works, and so would opening the file again
		s.options.Logger.Error("rows that nobody needs cannot be deleted: the file is damaged there", "file", s.path(), "error", err)
	}
	s.files.garbage.pending = more && err == nil
	return more && err == nil
}
