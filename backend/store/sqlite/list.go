package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// Names implements store.Store. It reads a few bytes of each actor.
func (rd *reader) Names(ctx context.Context) (map[string]int, error) {
	names := map[string]int{}
	count := func(query string, f func(num int64, name string) error) error {
		reader, err := rd.openReader(ctx)
		if err != nil {
			return err
		}
		rows, err := reader.QueryContext(ctx, query)
		if err != nil {
			return err
		}
		defer rows.Close() // rows.Err has its error
		for rows.Next() {
			var num int64
			var name string
			if err := rows.Scan(&num, &name); err != nil {
				return err
			}
			if err := f(num, name); err != nil {
				return err
			}
		}
		return rows.Err()
	}
	err := count("SELECT count(*), name FROM actors GROUP BY name", func(n int64, name string) error {
		names[name] = int(n)
		return nil
	})
	if err != nil {
		return nil, err
	}
	ended := map[int64]string{} // tombstones, with their names
	err = count("SELECT a.num, a.name FROM snapshots s JOIN actors a ON a.num = s.actor WHERE s.ended > 0", func(num int64, name string) error {
		ended[num] = name
		return nil
	})
	if err == nil {
		err = rd.updateEnded(ctx, ended)
	}
	for _, name := range ended {
		if names[name]--; names[name] <= 0 {
			delete(names, name)
		}
	}
	return names, err
}

// updateEnded brings the tombstones among snapshots, with their names, up to date.
func (rd *reader) updateEnded(ctx context.Context, ended map[int64]string) error {
	var newer []int64
	rd.mu.Lock()
	for num, r := range rd.index.ByNum {
		if _, known := ended[num]; r.Rev != r.Saved && (known || r.Ended) {
			newer = append(newer, num)
		}
	}
	rd.mu.Unlock()
	reader, err := rd.openReader(ctx)
	if err != nil {
		return err
	}
	for _, num := range newer {
		id, err := readID(ctx, reader, num)
		if err == nil {
			err = rd.withRecord(ctx, id, func(_ *journal.Resident, r *record.Record) {
				if delete(ended, num); r.Tombstone {
					ended[num] = r.Name
				}
			})
		}
		if err != nil && !damaged(err) && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// Connected implements store.Store.
func (rd *reader) Connected(ctx context.Context, partition int, f func(actor string) bool) error {
	err := rd.connected(ctx, func(actor string) bool {
		return partition != store.AllPartitions && store.Partition(actor) != partition || f(actor)
	})
	if err != nil {
		return fmt.Errorf("find connections: %w", err)
	}
	return nil
}

func (rd *reader) connected(ctx context.Context, f func(actor string) bool) error {
	rd.writer.reopen(ctx)
	rd.mu.Lock()
	reader, failure := rd.pool, rd.failure
	seen := map[int64]bool{} // true: the index is newer than the snapshot
	for num, r := range rd.index.ByNum {
		seen[num] = r.Record != nil || r.Saved != r.Rev
	}
	rd.mu.Unlock()
	if reader == nil {
		return failure
	}
	for num, resident := range seen {
		if !resident {
			continue
		}
		id, err := readID(ctx, reader, num)
		if err != nil && !damaged(err) {
			return err
		}
		var snapshot *store.Snapshot
		if err == nil {
			snapshot, err = rd.load(ctx, id)
		}
		if err != nil {
			rd.options.Logger.Error("the connections of an actor cannot be ended: it cannot be loaded", "actor", id, "number", num, "error", err)
			continue // the other actors are not affected
		}
		if len(snapshot.Conns) > 0 && !f(id) {
			return nil
		}
	}
	// In pages: f may take long, and SQLite cannot restart its log while a statement
	// is open.
	type actor struct {
		num int64
		id  string
	}
	for last, page := int64(0), []actor(nil); ; page = page[:0] {
		rows, err := reader.QueryContext(ctx, `SELECT a.num, a.id FROM snapshots s JOIN actors a ON a.num = s.actor
			WHERE s.connected > 0 AND s.actor > ? ORDER BY s.actor LIMIT 256`, last)
		if err != nil {
			return err
		}
		for rows.Next() {
			var a actor
			if err := rows.Scan(&a.num, &a.id); err != nil {
				return errors.Join(err, rows.Close())
			}
			page = append(page, a)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		if len(page) == 0 {
			return nil
		}
		for _, a := range page {
			if !seen[a.num] && !f(a.id) {
				return nil
			}
		}
		last = page[len(page)-1].num
	}
}

// List implements store.Store. The order is that in which the actors were made.
func (rd *reader) List(ctx context.Context, q store.ListQuery) (store.ListPage, error) {
	page, err := rd.list(ctx, q)
	if err != nil {
		return store.ListPage{}, fmt.Errorf("list actors: %w", err)
	}
	return page, nil
}

// listRows is how many actors List looks at for a page.
const listRows = 1024

func (rd *reader) list(ctx context.Context, q store.ListQuery) (page store.ListPage, err error) {
	after := int64(0)
	if q.After != "" {
		if after, err = strconv.ParseInt(q.After, 10, 64); err != nil {
			return page, fmt.Errorf("the After of a query: %w", err)
		}
	}
	reader, err := rd.openReader(ctx)
	if err != nil || q.Limit <= 0 {
		return page, err
	}
	rows, err := rd.listed(ctx, reader, q, after)
	if err != nil {
		return page, err
	}
	for i := range rows {
		a := &rows[i]
		if len(page.Actors) == q.Limit {
			page.Next = strconv.FormatInt(rows[i-1].num, 10)
			return page, nil
		}
		if !q.Matches(a.info.Key) {
			continue
		}
		if rd.isNewer(a) {
			err := rd.withRecord(ctx, a.info.Actor, func(_ *journal.Resident, r *record.Record) { a.info = r.Info(a.info.Actor) })
			if damaged(err) {
				rd.options.Logger.Error("an actor is listed as its snapshot has it: it cannot be loaded", "actor", a.info.Actor, "error", err)
			} else if err != nil && !errors.Is(err, store.ErrNotFound) {
				return page, err
			}
		}
		page.Actors = append(page.Actors, a.info)
	}
	if len(rows) == listRows {
		page.Next = strconv.FormatInt(rows[len(rows)-1].num, 10)
	}
	return page, nil
}

// listedActor is a row of List.
type listedActor struct {
	num  int64
	info store.ActorInfo
}

// isNewer reports whether an actor has changed since its snapshot.
func (rd *reader) isNewer(a *listedActor) bool {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	r := rd.index.ByNum[a.num]
	return a.info.Rev == 0 || r != nil && r.Rev != a.info.Rev
}

func (rd *reader) listed(ctx context.Context, reader *pool, q store.ListQuery, after int64) ([]listedActor, error) {
	query, args := "", []any{after}
	if q.Name != "" {
		query, args = "AND a.name = ?", append(args, q.Name)
	}
	rows, err := reader.QueryContext(ctx, `SELECT a.num, a.id, a.name, a.key, coalesce(s.rev, 0), coalesce(iif(s.bytes = 0, octet_length(s.state), s.bytes), 0),
			coalesce(s.connected, 0), coalesce(s.parked, 0), coalesce(s.due, 0), coalesce(s.changed, 0), coalesce(s.ended, 0)
		FROM actors a LEFT JOIN snapshots s ON s.actor = a.num WHERE a.num > ? `+query+fmt.Sprint(" ORDER BY a.num LIMIT ", listRows), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // rows.Err has its error
	var actors []listedActor
	for rows.Next() {
		var a listedActor
		var key []byte
		var rev, due, changed, ended int64
		if err := rows.Scan(&a.num, &a.info.Actor, &a.info.Name, &key, &rev, &a.info.Bytes, &a.info.Conns, &a.info.Parked, &due, &changed, &ended); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(key, &a.info.Key); err != nil {
			return nil, fmt.Errorf("the key of actor %s: %w: %w", a.info.Actor, journal.ErrDamaged, err)
		}
		a.info.Rev, a.info.Due, a.info.Changed, a.info.Destroyed = uint64(rev), record.Milli(due), record.Milli(changed), ended != 0
		actors = append(actors, a)
	}
	return actors, rows.Err()
}
