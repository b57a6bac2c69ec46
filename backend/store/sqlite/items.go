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
	var start itemStart
	err = rd.withRecord(ctx, actor, func(r *journal.Resident, rec *record.Record) { start = pageStart(r, rec, q) })
	if err != nil {
		return store.ItemPage{}, err
	}
	rd.options.afterRead()
	return itemPage(ctx, reader, start, q)
}

// itemStart is what a record has for a page of items, before the rows are read.
type itemStart struct {
	page   *record.Pager
	edits  []overlay.Item
	owner  int64
	hidden bool // there are no rows, or they are of an earlier life or a dropped table
}

// pageStart returns the edits of an actor's record for a page of items.
func pageStart(r *journal.Resident, rec *record.Record, q store.ItemRange) itemStart {
	s := itemStart{page: record.NewPager(q, rec.Rev), owner: r.Stored.Owner}
	table, known := rec.Tables[q.Table]
	s.hidden = rec.Wiped != 0 || rec.Dropped[q.Table] != 0 || known && table.Field == ""
	// More edits than these cannot be on the page.
	live, size := 0, 0
	rec.Items.Range(q, func(e overlay.Item) bool {
		s.edits = append(s.edits, e)
		if e.Value != nil {
			live, size = live+1, size+len(e.Key)+len(e.Value)
		}
		return live <= q.Limit && (live < 2 || size <= q.MaxBytes)
	})
	return s
}

// itemPage adds the rows. They are read after the edits: an edit that has left the edits
// since then is in the rows.
func itemPage(ctx context.Context, db itemReader, s itemStart, q store.ItemRange) (store.ItemPage, error) {
	edits := s.edits
	if !s.hidden {
		var err error
		if edits, err = addRows(ctx, db, s.page, edits, s.owner, q); err != nil {
			return store.ItemPage{}, err
		}
	}
	for _, e := range edits {
		if e.Value != nil && !s.page.Add(e.Item) {
			break
		}
	}
	return s.page.Page, nil
}

// addRows adds the rows of a range to a page, and the edits that come before them or take
// their place. It returns the edits that come after the last row; none if the page is full.
func addRows(ctx context.Context, db itemReader, page *record.Pager, edits []overlay.Item, owner int64, q store.ItemRange) ([]overlay.Item, error) {
	rows, err := db.readItems(ctx, owner, q)
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
