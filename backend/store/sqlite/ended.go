package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// tombstones removes the tombstones of destroyed actors that nobody needs any more. Its
// fields belong to the writer.
type tombstones struct {
	w    *writer
	nums []int64 // to be removed
}

// find finds the tombstones that the process before has not removed.
func (t *tombstones) find(ctx context.Context, f *files) error {
	rows, err := f.conn.QueryContext(ctx, fmt.Sprint("SELECT actor FROM snapshots WHERE ended > 0 AND ended = ", forgottenMark))
	if err != nil {
		return err
	}
	defer rows.Close() // rows.Err has its error
	t.nums = nil
	for rows.Next() {
		var num int64
		if err := rows.Scan(&num); err != nil {
			return err
		}
		t.nums = append(t.nums, num)
	}
	return rows.Err()
}

// remove removes the tombstones that have no commit in the journal: a new life of the
// same actor begins with its first revision.
func (t *tombstones) remove(ctx context.Context) bool {
	removing := t.removable()
	if len(removing) == 0 {
		return true
	}
	err := t.w.files.inFencedTransaction(ctx, t.w.epoch, func() error {
		for _, num := range removing {
			if err := t.w.files.remove(ctx, num); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && diskError(err) {
		_ = t.w.failed(err)
		return false
	}
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.nums = slices.DeleteFunc(t.nums, func(num int64) bool { return slices.Contains(removing, num) })
	if err != nil { // the store works without
		t.w.options.Logger.Error("tombstones cannot be removed: the file is damaged there", "file", t.w.path, "numbers", removing, "error", err)
		return true
	}
	for _, num := range removing {
		if r := t.w.index.ByNum[num]; r != nil {
			t.w.index.Forget(r)
		}
		t.w.index.Swept++ // what was read of it is no longer true
	}
	return true
}

// removable returns the numbers of tombstones to remove now, and forgets those that have
// begun a new life.
func (t *tombstones) removable() (removing []int64) {
	const atOnce = 64
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.nums = slices.DeleteFunc(t.nums, func(num int64) bool {
		r := t.w.index.ByNum[num]
		if r != nil && (r.Rev != r.Saved && r.Record != nil || r.Record != nil && !r.Record.Forgotten) {
			return true // it is saved again
		}
		if (r == nil || len(r.Locations) == 0) && len(removing) < atOnce {
			removing = append(removing, num)
		}
		return false
	})
	return removing
}

// remove removes an actor. Its number is not given again, because it owns garbage.
func (f *files) remove(ctx context.Context, num int64) error {
	var owner int64
	err := f.conn.QueryRowContext(ctx, `SELECT CASE a.owner WHEN 0 THEN a.num ELSE a.owner END
		FROM actors a JOIN snapshots s ON s.actor = a.num WHERE a.num = ? AND s.ended = ?`, num, forgottenMark).Scan(&owner)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // it has begun a new life
	}
	if err == nil {
		err = f.garbage.add(ctx, owner, allRows)
	}
	for _, query := range []string{
		"DELETE FROM snapshots WHERE actor = ?", "DELETE FROM actors WHERE num = ?", "UPDATE meta SET last = max(last, ?)",
	} {
		if err == nil {
			_, err = f.conn.ExecContext(ctx, query, num)
		}
	}
	return err
}

// forgottenMark is the column ended of a tombstone that is to be removed.
const forgottenMark = 1
