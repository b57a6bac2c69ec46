package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// Items implements store.Store.
func (rd *reader) Items(ctx context.Context, actor string, q store.ItemRange) (store.ItemPage, error) {
	page, err := rd.items(ctx, actor, q)
	if errors.Is(err, store.ErrNotFound) {
		return store.ItemPage{}, nil
	} else if err != nil {
		return store.ItemPage{}, fmt.Errorf("read items of actor %s: %w", actor, err)
	}
	return page, nil
}

func (rd *reader) items(ctx context.Context, actor string, q store.ItemRange) (store.ItemPage, error) {
	reader, err := rd.openReader(ctx)
	if err != nil {
		return store.ItemPage{}, err
	}
	var m *record.Merger
	var owner int64
	err = rd.withRecord(ctx, actor, func(r *journal.Resident, rec *record.Record) { m, owner = rec.Merge(q), r.Stored.Owner })
	if err != nil {
		return store.ItemPage{}, err
	}
	rd.options.afterRead()
	return itemPage(ctx, reader, m, owner, q)
}

// itemPage adds the rows of an owner to a page and returns it. They are read after the
// edits: an edit that has left the edits since then is in the rows.
func itemPage(ctx context.Context, db itemReader, m *record.Merger, owner int64, q store.ItemRange) (store.ItemPage, error) {
	if m.Hidden {
		return m.Finish(), nil
	}
	rows, err := db.readItems(ctx, owner, q)
	if err != nil {
		return store.ItemPage{}, err
	}
	defer rows.Close() // rows.Err has its error
	for rows.Next() {
		var item store.Item
		if err := rows.Scan(&item.Key, &item.Version, &item.Value); err != nil {
			return store.ItemPage{}, err
		}
		if !m.AddStored(item) {
			break
		}
	}
	return m.Finish(), rows.Err()
}
