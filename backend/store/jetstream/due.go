package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// Due implements store.Store. The times are in memory: adopting a partition reads those of
// its sleeping actors, and commits change them. Those at the same time are in the order of
// their ids.
func (rd *reader) Due(ctx context.Context, after store.Wake, before time.Time, limit int) ([]store.Wake, error) {
	if err := rd.own.resolved(ctx); err != nil {
		return nil, fmt.Errorf("find actors that are due: %w", err)
	}
	from := dueAt{actor: after.Actor}
	if after != (store.Wake{}) {
		from.at = after.At.UnixMilli()
	}
	// Times are stored in milliseconds: one in the last millisecond is not before it.
	end := before.UnixMilli()
	if before.After(time.UnixMilli(end)) {
		end++
	}
	rd.catalog.mu.Lock()
	defer rd.catalog.mu.Unlock()
	var wakes []store.Wake
	for _, d := range rd.dues.after(from, end, max(limit, 0)) {
		wakes = append(wakes, store.Wake{At: time.UnixMilli(d.at).UTC(), Actor: d.actor})
	}
	return wakes, nil
}

// Connected implements store.Store. It knows the actors of this store's partitions only.
func (rd *reader) Connected(ctx context.Context, partition int, f func(actor string) bool) error {
	if err := rd.own.resolved(ctx); err != nil {
		return fmt.Errorf("find connections: %w", err)
	}
	selected := func(actor string) bool {
		return partition == store.AllPartitions || store.Partition(actor) == partition
	}
	rd.catalog.mu.Lock()
	var newer, connected []string
	for actor, r := range rd.index.ByID {
		if (r.Record != nil || r.Saved != r.Rev) && selected(actor) {
			newer = append(newer, actor)
		}
	}
	for actor, w := range rd.wakes {
		r := rd.index.ByID[actor]
		if w.Conns > 0 && (r == nil || r.Record == nil && r.Saved == r.Rev) && selected(actor) {
			connected = append(connected, actor)
		}
	}
	rd.catalog.mu.Unlock()
	for _, actor := range newer {
		conns := 0
		err := rd.withRecord(ctx, actor, func(r *journal.Resident) { conns = len(r.Record.Conns) })
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			if errors.Is(err, store.ErrConflict) {
				return fmt.Errorf("find connections: %w", err)
			}
			rd.log.Error("the connections of an actor cannot be ended: it cannot be loaded", "actor", actor, "error", err)
			continue // the other actors are not affected
		}
		if conns > 0 && !f(actor) {
			return nil
		}
	}
	for _, actor := range connected {
		if !f(actor) {
			return nil
		}
	}
	return nil
}
