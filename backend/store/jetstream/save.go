package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// saving is how many heads are on their way at the same time, at most.
const saving = 256

// blockFor is how long an actor is not saved again after that has failed.
const blockFor = time.Minute

// saveAll writes the heads of actors that have changed since their last one. It blocks
// actors that cannot be saved, and returns an error only if nothing can be.
func (k *keeper) saveAll(ctx context.Context, actors []*journal.Resident) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	permits := make(chan struct{}, saving)
	for _, r := range actors {
		permits <- struct{}{}
		mu.Lock()
		stop := failed != nil
		mu.Unlock()
		if stop {
			break
		}
		wg.Go(func() {
			defer func() { <-permits }()
			err := k.save(ctx, r)
			if err == nil {
				return
			}
			if !errors.Is(err, journal.ErrDamaged) {
				mu.Lock()
				defer mu.Unlock()
				failed = err
				return
			}
			k.catalog.mu.Lock()
			r.Blocked = k.options.now().Add(blockFor).UnixNano()
			k.catalog.mu.Unlock()
			k.log.Error("an actor cannot be saved: its commits stay in the journal, which is not trimmed past them", "actor", r.ID, "error", err)
		})
	}
	wg.Wait()
	k.tables.deleteGarbage(ctx)
	return failed
}

// saveEach saves actors of which the journal is about to be given up: it returns an error
// if one of them cannot be saved as it is now. It does not try one that is blocked.
func (k *keeper) saveEach(ctx context.Context, actors []*journal.Resident) error {
	k.catalog.mu.Lock()
	now := k.options.now()
	revs := make([]uint64, len(actors))
	var open []*journal.Resident
	for i, r := range actors {
		if revs[i] = r.Rev; !r.IsBlocked(now) {
			open = append(open, r)
		}
	}
	k.catalog.mu.Unlock()
	if err := k.saveAll(ctx, open); err != nil {
		return err
	}
	k.catalog.mu.Lock()
	defer k.catalog.mu.Unlock()
	for i, r := range actors {
		if r.Saved < revs[i] || r.Damaged {
			return fmt.Errorf("actor %s cannot be saved: %w", r.ID, journal.ErrDamaged)
		}
	}
	return nil
}

// save writes the head of an actor.
func (k *keeper) save(ctx context.Context, r *journal.Resident) error {
	var s *snapshot
	var known journal.Message
	var unsaved int64
	withWake := false
	var tables *fold
	err := k.complete(ctx, r.ID, resident, func(now *journal.Resident) error {
		if now != r || now.Rev == 0 || now.Rev == now.Saved {
			return nil
		}
		s, known, unsaved = freeze(r.ID, r.Record), *r.Message, r.Unsaved
		withWake = !s.wake.equals(k.wakes[r.ID]) || !s.wake.isEmpty() && r.DueRev > r.Saved
		tables = k.freezeTables(r)
		return nil
	})
	if err != nil || s == nil {
		return err
	}
	if err := k.tables.write(ctx, r.ID, tables); err != nil {
		return fmt.Errorf("save actor %s: %w", r.ID, err)
	}
	s.roots = tables.roots
	if err := k.before("head"); err != nil {
		return err
	}
	m, err := k.write(ctx, s, known, withWake)
	if err != nil {
		return fmt.Errorf("save actor %s: %w", r.ID, err)
	}
	k.saved(r, s, m, unsaved)
	k.tables.collect(ctx, r.ID, tables)
	return nil
}

// saved notes that a head is stored.
func (k *keeper) saved(r *journal.Resident, s *snapshot, m journal.Message, unsaved int64) {
	k.catalog.mu.Lock()
	defer k.catalog.mu.Unlock()
	*r.Message = m
	r.Saved, r.Unsaved = s.rest.Rev, max(r.Unsaved-unsaved, 0)
	k.index.UpdateDirty(r)
	k.setWake(r.ID, s.wake)
	k.saves++
	k.trouble = nil
	k.written(r, s.rest.Rev)
}

// removeForgotten removes the tombstones that are no longer needed and of which the journal
// has nothing more.
func (k *keeper) removeForgotten(ctx context.Context) {
	now := k.options.now()
	k.catalog.mu.Lock()
	var gone []string
	for actor, w := range k.wakes {
		r := k.index.ByID[actor]
		if w.Forgotten && !k.mayRemain(store.Partition(actor), now) && (r == nil || len(r.Locations) == 0 && r.Rev == r.Saved) {
			gone = append(gone, actor)
		}
	}
	popped := k.popped
	k.catalog.mu.Unlock()
	if len(gone) > 0 && k.purged < popped {
		// The journal still has commits of them, if only because its newest message stays.
		if err := k.own.prove(ctx); err != nil {
			k.failed(err)
		}
		return
	}
	for _, actor := range gone {
		if err := k.remove(ctx, actor); err != nil && !errors.Is(err, store.ErrConflict) {
			k.log.Warn("a forgotten actor cannot be removed yet", "actor", actor, "error", err)
			return
		}
	}
}

// remove removes a tombstone. Until that is certain, no commit of the actor is taken: one
// that follows the tombstone would have nothing before it.
func (k *keeper) remove(ctx context.Context, actor string) error {
	var r *journal.Resident
	err := k.complete(ctx, actor, owned, func(now *journal.Resident) error { r = now; return nil })
	if err != nil {
		return err
	}
	if !k.leave(r) {
		return nil
	}
	if err := k.tables.clear(ctx, actor); err != nil {
		return err
	}
	m, err := k.heads.remove(ctx, actor, r.Record.Name, *r.Message)
	if err != nil {
		return err // it stays as it is until the next try
	}
	k.catalog.mu.Lock()
	defer k.catalog.mu.Unlock()
	*r = journal.Resident{Num: r.Num, ID: r.ID, Due: -1, Record: &record.Record{}, Message: &m, Used: r.Used}
	k.absent++
	k.dues.set(actor, 0)
	k.setWake(actor, wake{})
	return nil
}

// leave makes the writer refuse commits of an actor that is a forgotten tombstone, of which no journal
// has anything. Else a new life at revision 1, whose commits a later owner finds behind those of the old
// one, would be lost.
func (k *keeper) leave(r *journal.Resident) bool {
	k.own.writing.Lock()
	defer k.own.writing.Unlock()
	k.catalog.mu.Lock()
	defer k.catalog.mu.Unlock()
	r.Leaving = k.index.ByID[r.ID] == r && !k.mayRemain(store.Partition(r.ID), k.options.now()) && r.Record != nil && r.Record.Forgotten && len(r.Locations) == 0 && r.Rev == r.Saved
	return r.Leaving
}

// saveDirty saves every actor that has changed.
func (k *keeper) saveDirty(ctx context.Context) error {
	k.work.Lock()
	defer k.work.Unlock()
	k.catalog.mu.Lock()
	var actors []*journal.Resident
	for _, r := range k.index.ByID {
		if r.Rev != r.Saved {
			actors = append(actors, r)
		}
	}
	k.catalog.mu.Unlock()
	return k.saveAll(ctx, actors)
}
