package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/troupe-dev/troupe/backend/internal/overlay"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// Items implements store.Store. An actor's record and its head have all of its items.
func (rd *reader) Items(ctx context.Context, actor string, q store.ItemRange) (page store.ItemPage, err error) {
	err = rd.withRecord(ctx, actor, func(r *journal.Resident) {
		p := record.NewPager(q, r.Rev)
		r.Record.Items.Range(q, func(e overlay.Item) bool { return e.Value == nil || p.Add(e.Item) })
		page = p.Page
	})
	if errors.Is(err, store.ErrNotFound) {
		return store.ItemPage{}, nil
	} else if err != nil {
		return store.ItemPage{}, fmt.Errorf("read items of actor %s: %w", actor, err)
	}
	return page, nil
}
