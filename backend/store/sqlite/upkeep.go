package sqlite

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// Limits of the upkeep in one transaction.
const (
	saveBytes  = 4 << 20  // of snapshots, or twice the bytes written if that is more
	trimRows   = 256      // unless the journal is over Options.CapBytes
	trimEvery  = 8        // groups
	spareBytes = 16 << 20 // of free pages that the file may keep
)

// How long an actor is not snapshotted after that has failed: because of its snapshot,
// or because it cannot even be set aside.
const (
	blockFor = time.Minute
	forever  = 100 * 365 * 24 * time.Hour
)

// upkeep is the work of a transaction besides its group: snapshots of actors, and
// trimming of the journal.
type upkeep struct {
	save []saving
	trim int // rows, the oldest ones
}

// saving is an actor that is being snapshotted.
type saving struct {
	actor *resident
	rev   uint64
}

// plan chooses the snapshots that are due and, if trim is set, the rows to trim.
func (s *Store) plan(trim bool) upkeep {
	s.mu.Lock()
	defer s.mu.Unlock()
	var u upkeep
	budget := max(saveBytes, 2*s.written)
	for len(s.due) > 0 && budget > 0 {
		r := s.due[0]
		s.due = s.due[1:]
		r.due = false
		budget -= u.add(r, s.options.now())
	}
	if trim {
		s.planTrim(&u, budget)
	}
	return u
}

// add adds an actor to those that are saved, and returns about how many bytes that
// takes. Hold mu.
func (u *upkeep) add(r *resident, now time.Time) int64 {
	if r.rev == r.saved || r.isBlocked(now) {
		return 0
	}
	u.save = append(u.save, saving{r, r.rev})
	if r.record == nil { // it must be read first
		return 16 << 10
	}
	return 1<<10 + r.dirty
}

// planTrim adds the oldest rows of the journal that are over a limit, and the
// snapshots that must be written before those rows are deleted. Hold mu.
func (s *Store) planTrim(u *upkeep, budget int64) {
	if s.stuck {
		return
	}
	s.plans++
	s.written = 0
	for _, saved := range u.save {
		saved.actor.plan, saved.actor.planned, saved.actor.trimmed = s.plans, true, 0
	}
	limit := min(max(s.options.MaxBytes, 2*s.index.dirty), s.options.CapBytes)
	bytes, now := s.index.bytes, s.options.now()
	for _, row := range s.index.rows {
		if bytes <= limit && now.Sub(row.at) <= s.options.Retention {
			return
		}
		must := bytes > s.options.CapBytes // regardless of the budget
		if u.trim >= trimRows && !must {
			return
		}
		for _, r := range row.actors {
			if r.plan != s.plans {
				r.plan, r.planned, r.trimmed = s.plans, false, 0
			}
			r.trimmed++
			if !r.planned && r.first()+uint64(r.trimmed)-1 > r.saved {
				if budget <= 0 && !must || r.isBlocked(now) {
					return
				}
				r.planned = true
				budget -= u.add(r, now)
			}
		}
		bytes -= row.bytes
		u.trim++
	}
}

// withUpkeep runs a transaction that does something and then upkeep. A snapshot that
// cannot be written does not fail it: its actor is blocked and left out.
func (s *Store) withUpkeep(ctx context.Context, u *upkeep, do func() error) error {
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
		u.drop(s.options.now())
	}
}

// maintain does the upkeep inside a transaction.
func (s *Store) maintain(ctx context.Context, u *upkeep) error {
	for i := range u.save {
		r := u.save[i].actor
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
				s.stuck, r.blocked = true, s.options.now().Add(forever).UnixNano()
				s.options.Logger.Error("the journal is no longer trimmed: the file is damaged; restore a backup", "file", s.path(), "error", err)
				return blockedError{err}
			} else if err != nil {
				return err
			}
		}
		s.mu.Lock()
		id, record, saved := r.id, r.record, r.saved
		s.mu.Unlock()
		if r.rev == saved {
			continue // loading it showed that its snapshot is up to date
		}
		switch err := s.files.saveSnapshot(ctx, r.num, record.Snapshot(id)); {
		case err == nil:
		case diskError(err):
			return err
		default:
			r.blocked = s.options.now().Add(blockFor).UnixNano()
			s.options.Logger.Error("an actor cannot be snapshotted: its commits stay in the journal, which is not trimmed past them",
				"actor", id, "name", record.Name, "key", record.Key, "bytes", record.State.Len(), "error", err)
			if damaged(err) {
				return blockedError{err}
			}
		}
	}
	u.drop(s.options.now())
	if u.trim == 0 {
		return nil
	}
	_, err := s.files.trim.ExecContext(ctx, s.index.rows[u.trim-1].id)
	return err
}

// drop drops the actors that are blocked. If there are any it also drops the trimming:
// their commits may have to stay.
func (u *upkeep) drop(now time.Time) {
	n := len(u.save)
	if u.save = slices.DeleteFunc(u.save, func(s saving) bool { return s.actor.isBlocked(now) }); len(u.save) < n {
		u.trim = 0
	}
}

// blockedError is the error of an actor that is now blocked. The transaction must be
// rolled back: SQLite cannot commit one that has come upon damage.
type blockedError struct{ error }

func (e blockedError) Unwrap() error { return e.error }

// isComplete reports whether an actor's record is in memory. Only the writer, which
// calls this, removes it.
func (s *Store) isComplete(r *resident) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.record != nil
}

// applyUpkeep updates the index with upkeep that is durable. Hold mu.
func (s *Store) applyUpkeep(u *upkeep) {
	for _, saved := range u.save {
		r := saved.actor
		r.saved, r.unsaved = saved.rev, 0
		s.index.updateDirty(r)
	}
	s.index.pop(u.trim)
}

// completeByNum is complete for an actor whose id is not in the index.
func (s *Store) completeByNum(ctx context.Context, r *resident) error {
	id, err := readID(ctx, s.files.reader, r.num)
	if err != nil {
		return err
	}
	_, err = s.complete(ctx, id)
	if errors.Is(err, store.ErrNotFound) { // though its number was just found
		err = errNoID
	}
	if err != nil {
		return fmt.Errorf("actor %s (number %d): %w", id, r.num, err)
	}
	return nil
}

// tickLoop does upkeep when there are no commits.
func (s *Store) tickLoop() {
	ticker := time.NewTicker(s.options.tick)
	defer ticker.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-ticker.C:
			s.tick(context.Background())
		}
	}
}

// tick checks whether the files are still there and whether a disk that failed works
// again, and does upkeep.
func (s *Store) tick(ctx context.Context) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.writable(ctx) != nil || s.checkFiles() != nil {
		return
	}
	u := s.plan(true)
	if s.doUpkeep(ctx, &u) && s.idle(ctx) {
		s.shrink(ctx)
	}
}

// doUpkeep does upkeep in a transaction of its own. It reports whether that
// succeeded.
func (s *Store) doUpkeep(ctx context.Context, u *upkeep) bool {
	troubled := s.Health() != nil
	if len(u.save) == 0 && u.trim == 0 && !troubled {
		return true
	}
	err := s.withUpkeep(ctx, u, func() error {
		// This writes if nothing else does, and fences.
		result, err := s.files.conn.ExecContext(ctx, "UPDATE meta SET epoch = epoch WHERE epoch = ?", s.epoch)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			return errors.Join(errFenced, err)
		}
		return nil
	})
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
		for _, r := range s.index.byNum {
			if r.used.Before(before) && (r.record != nil || len(r.locations) == 0) {
				s.idling = append(s.idling, r)
			}
		}
	}
	var u upkeep
	n := 0
	for budget := int64(saveBytes); n < len(s.idling) && budget > 0; n++ {
		budget -= u.add(s.idling[n], now)
	}
	s.mu.Unlock()
	batch := s.idling[:n]
	s.idling = s.idling[n:]
	if !s.doUpkeep(ctx, &u) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range batch {
		if r.rev == r.saved && r.used.Before(before) {
			s.index.forget(r)
		}
	}
	return true
}

// chunks splits the snapshots of actors into transactions.
func (s *Store) chunks(actors []*resident) iter.Seq[*upkeep] {
	return func(yield func(*upkeep) bool) {
		u, budget := &upkeep{}, int64(saveBytes)
		for _, r := range actors {
			s.mu.Lock()
			budget -= u.add(r, s.options.now())
			s.mu.Unlock()
			if budget > 0 {
				continue
			}
			if !yield(u) {
				return
			}
			u, budget = &upkeep{}, saveBytes
		}
		yield(u)
	}
}

// saveAll snapshots every actor that has changed.
func (s *Store) saveAll(ctx context.Context) error {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.index.byNum))
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
	if err == nil && free*size > max(spareBytes, s.index.bytes) {
		_, err = s.files.conn.ExecContext(ctx, "PRAGMA incremental_vacuum(512)")
	}
	if err != nil {
		_ = s.failed(err)
	}
}
