package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/troupe-dev/troupe/backend/internal/overlay"
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
	var page *record.Pager
	var edits []overlay.Item
	var owner int64
	hidden := false // there are no rows, or they are of an earlier life or a dropped table
	err = rd.withRecord(ctx, actor, func(r *journal.Resident, rec *record.Record) {
		page, owner = record.NewPager(q, rec.Rev), r.Stored.Owner
		table, known := rec.Tables[q.Table]
		hidden = rec.Wiped != 0 || rec.Dropped[q.Table] != 0 || known && table.Field == ""
		// More edits than these cannot be on the page.
		live, size := 0, 0
		rec.Items.Range(q, func(e overlay.Item) bool {
			edits = append(edits, e)
			if e.Value != nil {
				live, size = live+1, size+len(e.Key)+len(e.Value)
			}
			return live <= q.Limit && (live < 2 || size <= q.MaxBytes)
		})
	})
	if err != nil {
		return store.ItemPage{}, err
	}
	rd.options.afterRead()
	// The rows are read after the edits: an edit that has left the edits since then is in
	// the rows.
	if !hidden {
		if edits, err = addRows(ctx, reader, page, edits, owner, q); err != nil {
			return store.ItemPage{}, err
		}
	}
	for _, e := range edits {
		if e.Value != nil && !page.Add(e.Item) {
			break
		}
	}
	return page.Page, nil
}

// addRows adds the rows of a range to a page, and the edits that come before them or take
// their place. It returns the edits that come after the last row; none if the page is full.
func addRows(ctx context.Context, reader *pool, page *record.Pager, edits []overlay.Item, owner int64, q store.ItemRange) ([]overlay.Item, error) {
	query, args := "", []any{owner, q.Table}
	if q.From != nil {
		query, args = query+" AND key >= ?", append(args, q.From)
	}
	if q.To != nil {
		query, args = query+" AND key < ?", append(args, q.To)
	}
	order := ""
	if q.Backward {
		order = "DESC"
	}
	rows, err := reader.QueryContext(ctx, "SELECT key, version, CAST(value AS BLOB) FROM items WHERE owner = ? AND tbl = ?"+query+" ORDER BY key "+order, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // rows.Err has its error
	for rows.Next() {
		var item store.Item
		if err := rows.Scan(&item.Key, &item.Version, &item.Value); err != nil {
			return nil, err
		}
		replaced := false
		for len(edits) > 0 {
			c := bytes.Compare(edits[0].Key, item.Key)
			if q.Backward {
				c = -c
			}
			if c > 0 {
				break
			}
			if edits[0].Value != nil && !page.Add(edits[0].Item) {
				return nil, nil
			}
			edits = edits[1:]
			replaced = replaced || c == 0
		}
		if !replaced && !page.Add(item) {
			return nil, nil
		}
	}
	return edits, rows.Err()
}
