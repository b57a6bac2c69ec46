package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// Due implements store.Store.
func (rd *reader) Due(ctx context.Context, after store.Wake, before time.Time, limit int) ([]store.Wake, error) {
	wakes, err := rd.dueAfter(ctx, after, before, limit)
	if err != nil {
		return nil, fmt.Errorf("find actors that are due: %w", err)
	}
	return wakes, nil
}

// dueActor is an actor that is due. Its id is empty if it is not known yet.
type dueActor struct {
	journal.Due
	id string
}

func (rd *reader) dueAfter(ctx context.Context, after store.Wake, before time.Time, limit int) ([]store.Wake, error) {
	reader, err := rd.openReader(ctx)
	if err != nil || limit <= 0 {
		return nil, err
	}
	var from journal.Due
	if after != (store.Wake{}) {
		from.At = after.At.UnixMilli()
		err := reader.QueryRowContext(ctx, "SELECT num FROM actors WHERE id = ?", after.Actor).Scan(&from.Num)
		if err != nil && !errors.Is(err, sql.ErrNoRows) { // one that is gone: those at its time come again
			return nil, err
		}
	}
	// Times are stored in milliseconds: one in the last millisecond is not before it.
	end := before.UnixMilli()
	if before.After(time.UnixMilli(end)) {
		end++
	}
	found := rd.dueResidents(from, end, limit)
	for read := from; ; {
		page, err := readDue(ctx, reader, read, end, limit)
		if err != nil {
			return nil, err
		}
		kept := rd.dropResidents(slices.Clone(page))
		found = append(found, kept...)
		slices.SortFunc(found, func(a, b dueActor) int { return a.Compare(b.Due) })
		if len(page) < limit {
			break
		}
		read = page[len(page)-1].Due
		if len(found) >= limit && found[limit-1].Compare(read) <= 0 { // no other snapshot comes before
			break
		}
	}
	var wakes []store.Wake
	for _, a := range found[:min(len(found), limit)] {
		id, err := a.id, error(nil)
		if id == "" {
			id, err = readID(ctx, reader, a.Num)
		}
		if damaged(err) {
			rd.options.Logger.Error("an actor is due, but is not woken", "number", a.Num, "error", err)
			continue
		} else if err != nil {
			return nil, err
		}
		wakes = append(wakes, store.Wake{At: time.UnixMilli(a.At).UTC(), Actor: id})
	}
	return wakes, nil
}

// dueResidents returns those that the index has.
func (rd *reader) dueResidents(from journal.Due, before int64, limit int) []dueActor {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	var found []dueActor
	for _, d := range rd.index.DueAfter(from, before, limit) {
		found = append(found, dueActor{d, rd.index.ByNum[d.Num].ID})
	}
	return found
}

// dropResidents drops the actors of which the index knows better when they are due.
func (rd *reader) dropResidents(found []dueActor) []dueActor {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	return slices.DeleteFunc(found, func(a dueActor) bool {
		r := rd.index.ByNum[a.Num]
		return r != nil && r.Due >= 0
	})
}

// readDue returns those that the snapshots have.
func readDue(ctx context.Context, reader *pool, from journal.Due, before int64, limit int) ([]dueActor, error) {
	rows, err := reader.QueryContext(ctx, `SELECT s.due, s.actor, a.id FROM snapshots s JOIN actors a ON a.num = s.actor
		WHERE s.due > 0 AND (s.due, s.actor) > (?, ?) AND s.due < ? ORDER BY s.due, s.actor LIMIT ?`, from.At, from.Num, before, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // rows.Err has its error
	var found []dueActor
	for rows.Next() {
		var a dueActor
		if err := rows.Scan(&a.At, &a.Num, &a.id); err != nil {
			return nil, err
		}
		found = append(found, a)
	}
	return found, rows.Err()
}
