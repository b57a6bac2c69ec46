package sqlite

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// Limits of the upkeep.
const (
	trimEvery  = 8        // groups
	spareBytes = 16 << 20 // of free pages that the file may keep
)

// How long an actor is not snapshotted after that has failed: because of its snapshot,
// or because it cannot even be set aside.
const (
	blockFor = time.Minute
	forever  = 100 * 365 * 24 * time.Hour
)

// plan chooses the snapshots that are due and, if trim is set, the rows to trim.
func (s *Store) plan(trim bool) journal.Upkeep {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.planner.Plan(&s.index, trim, s.options.now())
	s.slice(u.Large)
	return u
}

// withUpkeep runs a transaction that does something and then upkeep. A snapshot that
// cannot be written does not fail it: its actor is blocked and left out.
func (s *Store) withUpkeep(ctx context.Context, u *journal.Upkeep, do func() error) error {
	for {
		err := s.files.inTransaction(ctx, func() error {
			if err := do(); err != nil {
				return err
			}
			return s.maintain(ctx, u)
		})
		if !errors.As(err, new(blockedError)) {
			return err
		}
		u.Drop(s.options.now())
	}
}

// maintain does the upkeep inside a transaction.
func (s *Store) maintain(ctx context.Context, u *journal.Upkeep) error {
	s.saves = s.saves[:0]
	for i := range u.Save {
		r := u.Save[i].Actor
		if !s.isComplete(r) {
			err := s.completeByNum(ctx, r)
			if damaged(err) {
				s.options.Logger.Error("an actor cannot be read: its part of the journal is set aside", "file", s.path(), "error", err)
				if err = s.files.setAside(ctx, r); err == nil {
					continue // its rows may be trimmed
				}
			}
			if damaged(err) {
				// Its commits may still be rescued: they must stay, and all later rows
				// with them.
				s.planner.Stuck, r.Blocked = true, s.options.now().Add(forever).UnixNano()
				s.options.Logger.Error("the journal is no longer trimmed: the file is damaged; restore a backup", "file", s.path(), "error", err)
				return blockedError{err}
			} else if err != nil {
				return err
			}
		}
		s.mu.Lock()
		id, record, saved := r.ID, r.Record, r.Saved
		s.mu.Unlock()
		if r.Rev == saved {
			continue // loading it showed that its snapshot is up to date
		}
		switch err := s.saveWhole(ctx, r); {
		case err == nil:
		case diskError(err):
			return err
		default:
			s.block(r, id, record, err)
			if damaged(err) {
				return blockedError{err}
			}
		}
	}
	u.Drop(s.options.now())
	if u.Trim == 0 {
		return nil
	}
	_, err := s.files.trim.ExecContext(ctx, s.index.Rows[u.Trim-1].ID)
	return err
}

// blockedError is the error of an actor that is now blocked. The transaction must be
// rolled back: SQLite cannot commit one that has come upon damage.
type blockedError struct{ error }

func (e blockedError) Unwrap() error { return e.error }

// applyUpkeep updates the index with upkeep that is durable. Hold mu.
func (s *Store) applyUpkeep(u *journal.Upkeep) {
	for _, saved := range u.Save {
		r := saved.Actor
		r.Saved, r.Unsaved = saved.Rev, 0
		s.index.UpdateDirty(r)
	}
	for _, v := range s.saves {
		v.apply(s)
	}
	s.saves = nil
	s.index.Pop(u.Trim)
}

// tick checks whether the files are still there and whether a disk that failed works
// again, and does upkeep.
func (s *Store) tick(ctx context.Context) {
	s.decoded.clear()
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.writable(ctx) != nil || s.checkFiles() != nil {
		return
	}
	u := s.plan(true)
	if s.doUpkeep(ctx, &u) && s.idle(ctx) && s.removeForgotten(ctx) {
		s.shrink(ctx)
	}
}

// doUpkeep does upkeep in a transaction of its own. It reports whether that
// succeeded.
func (s *Store) doUpkeep(ctx context.Context, u *journal.Upkeep) bool {
	troubled := s.Health() != nil
	if len(u.Save) == 0 && u.Trim == 0 && !troubled {
		return true
	}
	err := s.withUpkeep(ctx, u, func() error { return s.files.fence(ctx, s.epoch) })
	if err != nil {
		_ = s.failed(err) // which logs it and sets Health
		return false
	}
	s.setAvailable()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applyUpkeep(u)
	return true
}

// idle snapshots a batch of the actors that were not used for some time, and drops
// their states from memory.
func (s *Store) idle(ctx context.Context) bool {
	now := s.options.now()
	before := now.Add(-s.options.idleAfter)
	s.mu.Lock()
	if len(s.idling) == 0 && now.Sub(s.idleAt) >= s.options.idleAfter/3 {
		s.idleAt = now
		for _, r := range s.index.ByNum {
			if r.Used.Before(before) && (r.Record != nil || len(r.Locations) == 0) {
				s.idling = append(s.idling, r)
			}
		}
	}
	var u journal.Upkeep
	n := 0
	for budget := int64(journal.SaveBytes); n < len(s.idling) && budget > 0; n++ {
		budget -= u.AddSlice(s.idling[n], now)
	}
	s.slice(u.Large)
	s.mu.Unlock()
	batch := s.idling[:n]
	s.idling = s.idling[n:]
	if !s.doUpkeep(ctx, &u) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range batch {
		if r.Rev == r.Saved && r.Used.Before(before) {
			s.index.Forget(r)
		}
	}
	return true
}

// chunks splits the snapshots of actors into transactions.
func (s *Store) chunks(actors []*journal.Resident) iter.Seq[*journal.Upkeep] {
	return func(yield func(*journal.Upkeep) bool) {
		u, budget := &journal.Upkeep{}, int64(journal.SaveBytes)
		for _, r := range actors {
			s.mu.Lock()
			budget -= u.Add(r, s.options.now())
			s.mu.Unlock()
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
func (s *Store) saveAll(ctx context.Context) error {
	s.slicing = nil // each is saved whole
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.index.ByNum))
	s.mu.Unlock()
	for u := range s.chunks(all) {
		if !s.doUpkeep(ctx, u) {
			return s.Health()
		}
	}
	return nil
}

// shrink returns some of the file's free pages to the system if there are many, as
// after a flood.
func (s *Store) shrink(ctx context.Context) {
	var free, size int64
	err := s.files.conn.QueryRowContext(ctx, "SELECT (SELECT * FROM pragma_freelist_count), (SELECT * FROM pragma_page_size)").Scan(&free, &size)
	if err == nil && free*size > max(spareBytes, s.index.Bytes) {
		_, err = s.files.conn.ExecContext(ctx, "PRAGMA incremental_vacuum(512)")
	}
	if err != nil {
		_ = s.failed(err)
	}
}
