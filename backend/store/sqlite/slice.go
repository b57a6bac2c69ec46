package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// What is in the column tbl of garbage, besides numbers of tables.
const allRows = -1

// piecesBefore is the tbl for the pieces of generations before one.
func piecesBefore(gen int64) int { return int(-1 - gen) }

// piecesOf is the tbl for the pieces of one generation. They are garbage while the save that
// writes them has not ended, so that they do not stay if it never does: garbage is deleted
// only when nothing is being saved.
func piecesOf(gen int64) int { return int(unfinished + gen) }

// unfinished is below all other values of tbl.
const unfinished = -1 << 30

// forgottenMark is the column ended of a tombstone that is to be removed.
const forgottenMark = 1

// discard notes rows that are to be deleted.
func (f *files) discard(ctx context.Context, owner int64, tbl int) error {
	_, err := f.conn.ExecContext(ctx, "INSERT OR IGNORE INTO garbage (owner, tbl) VALUES (?, ?)", owner, tbl)
	f.discarded = true
	return err
}

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

func (s *Store) isDone() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
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
	if s.garbage || s.files.discarded {
		return s.deleteSlice(ctx)
	}
	return false
}

// saveSlice writes a slice of a snapshot.
func (s *Store) saveSlice(ctx context.Context, v *save) bool {
	done := false
	err := s.files.inTransaction(ctx, func() (err error) {
		if err = s.files.fence(ctx, s.epoch); err == nil {
			done, err = v.step(ctx, s)
		}
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
	err := s.files.inTransaction(ctx, func() (err error) {
		if err = s.files.fence(ctx, s.epoch); err == nil {
			more, err = s.files.deleteGarbage(ctx)
		}
		return err
	})
	if err != nil && diskError(err) {
		_ = s.failed(err)
		return false
	}
	if err != nil { // everything else works, and so would opening the file again
		s.options.Logger.Error("rows that nobody needs cannot be deleted: the file is damaged there", "file", s.path(), "error", err)
	}
	s.garbage, s.files.discarded = more && err == nil, false
	return s.garbage
}

// source is a table in which an owner has rows.
type source struct {
	table, key, size string
	where            string // of garbage, with ?2 for its tbl
}

var (
	itemRows   = source{"items", "tbl, key", "length(key) + octet_length(value)", ""}
	tableRows  = source{"items", "tbl, key", "length(key) + octet_length(value)", "AND tbl = ?2"}
	pieceRows  = source{"pieces", "gen, n", "octet_length(part)", ""}
	oldPieces  = source{"pieces", "gen, n", "octet_length(part)", "AND gen < -1 - ?2"}
	leftPieces = source{"pieces", "gen, n", "octet_length(part)", fmt.Sprint("AND gen = ?2 - ", unfinished)}
	callerRows = source{"callers", "id, owner", "octet_length(record)", ""}
)

// deleteGarbage deletes a slice of the rows that nobody needs.
func (f *files) deleteGarbage(ctx context.Context) (more bool, err error) {
	var owner int64
	var tbl int
	err = f.conn.QueryRowContext(ctx, "SELECT owner, tbl FROM garbage LIMIT 1").Scan(&owner, &tbl)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	from := []source{oldPieces}
	switch {
	case tbl == allRows:
		from = []source{itemRows, pieceRows, callerRows}
	case tbl >= 0:
		from = []source{tableRows}
	case tbl < unfinished/2:
		from = []source{leftPieces}
	}
	budget := int64(sliceBytes)
	for _, source := range from {
		if budget, err = f.deleteRows(ctx, source, owner, tbl, budget); err != nil {
			return false, err
		}
		if budget <= 0 {
			return true, nil
		}
	}
	_, err = f.conn.ExecContext(ctx, "DELETE FROM garbage WHERE owner = ? AND tbl = ?", owner, tbl)
	return true, err
}

// deleteRows deletes the first rows of a source, until the budget is used up. It returns
// what is left of it.
func (f *files) deleteRows(ctx context.Context, source source, owner int64, tbl int, budget int64) (int64, error) {
	const rowsAtOnce, rowBytes = 1024, 64
	for budget > 0 {
		rows, err := f.conn.QueryContext(ctx, fmt.Sprintf("SELECT %s, %s FROM %s WHERE owner = ?1 %s ORDER BY %s LIMIT %d",
			source.key, source.size, source.table, source.where, source.key, rowsAtOnce), owner, tbl)
		if err != nil {
			return 0, err
		}
		n := 0
		var last [2]any // the key of the last row to delete
		for budget > 0 && rows.Next() {
			var size int64
			if err := rows.Scan(&last[0], &last[1], &size); err != nil {
				return 0, errors.Join(err, rows.Close())
			}
			budget -= size + rowBytes
			n++
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return 0, err
		}
		if n == 0 {
			return budget, nil
		}
		for i := range last {
			if key, isBytes := last[i].([]byte); isBytes {
				last[i] = nonNil(key) // the driver's empty key is nil, which would be NULL
			}
		}
		_, err = f.conn.ExecContext(ctx, fmt.Sprintf("DELETE FROM %s WHERE owner = ?1 %s AND (%s) <= (?3, ?4)",
			source.table, source.where, source.key), owner, tbl, last[0], last[1])
		if err != nil {
			return 0, err
		}
	}
	return budget, nil
}
