package jetstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/troupe-dev/troupe/backend/internal/overlay"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/internal/pages"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// folding is how many actors fold their tables at the same time. Each has about 2 MiB in
// memory.
const folding = 8

// folder folds the items of actors' tables into their pages, before their heads are
// written, and deletes pages that nobody needs.
type folder struct {
	*reader
	permits chan struct{}
	count   atomic.Uint64 // of pages

	garbageMu sync.Mutex
	garbage   []garbage
}

func newFolder(rd *reader) *folder { return &folder{reader: rd, permits: make(chan struct{}, folding)} }

// name returns the name of a new page. The slot is the sequence of the journal's first
// message, which no other journal has.
func (f *folder) name() pages.Name { return pages.Name{Slot: f.own.first, N: f.count.Add(1)} }

// garbage are pages that nobody needs, once this store has proved that it owns the actor.
type garbage struct {
	actor string
	names []pages.Name
	swept bool // they are all such pages
}

// fold is what a head needs of the tables of an actor.
type fold struct {
	edits map[int][]store.Item // in the order of their keys
	old   map[int]pages.Root   // of the head that is stored
	roots map[int]pages.Root   // of the head that is to be written
	gone  []pages.Name
	sweep bool // look for pages that no root has
}

// freezeTables returns what a head needs of the tables of an actor. Hold the catalog's mu.
func (c *catalog) freezeTables(r *journal.Resident) *fold {
	rec := r.Record
	f := &fold{edits: map[int][]store.Item{}, old: r.Message.Roots, roots: map[int]pages.Root{}}
	if rec.Wiped == 0 {
		maps.Copy(f.roots, f.old)
	}
	for table := range rec.Dropped {
		delete(f.roots, table)
	}
	for _, table := range rec.Items.Tables() {
		rec.Items.Range(store.ItemRange{Table: table}, func(e overlay.Item) bool {
			f.edits[table] = append(f.edits[table], e.Item)
			return true
		})
	}
	f.sweep = rec.Wiped != 0 || len(rec.Dropped) > 0 || !c.swept[r.ID] && len(f.old)+len(f.edits) > 0
	return f
}

// write writes the pages of a fold. An error that wraps journal.ErrDamaged is about this
// actor only.
func (f *folder) write(ctx context.Context, actor string, fold *fold) error {
	if len(fold.edits) == 0 {
		return nil
	}
	f.permits <- struct{}{}
	defer func() { <-f.permits }()
	of := actorPages{f.heads, actor, true}
	for _, table := range slices.Sorted(maps.Keys(fold.edits)) {
		folded, err := pages.Fold(ctx, of, fold.roots[table], fold.edits[table], f.name)
		if err != nil {
			return f.explain(ctx, table, err)
		}
		if fold.roots[table] = folded.Root; len(folded.Root.Refs) == 0 {
			delete(fold.roots, table)
		}
		fold.gone = append(fold.gone, folded.Replaced...)
	}
	return nil
}

// explain says more of an error that a fold has met.
func (f *folder) explain(ctx context.Context, table int, err error) error {
	err = fmt.Errorf("table %d: %w", table, err)
	switch {
	case errors.Is(err, pages.ErrMissing): // another owner has deleted it, or it is lost
		if proof := f.own.prove(ctx); proof != nil {
			return proof
		}
		return fmt.Errorf("%w: %w", journal.ErrDamaged, err)
	case errors.Is(err, pages.ErrDamaged), errors.Is(err, pages.ErrNewer):
		return fmt.Errorf("%w: %w", journal.ErrDamaged, err)
	}
	return err
}

// written notes that the head of a fold is stored, at a revision. Hold the catalog's mu.
func (c *catalog) written(r *journal.Resident, rev uint64) {
	rec := r.Record
	if rec.Wiped <= rev {
		rec.Wiped = 0
	}
	maps.DeleteFunc(rec.Dropped, func(_ int, at uint64) bool { return at <= rev })
	rec.Items.Until(rev)
}

// collect adds the pages that a fold leaves behind, whose head is stored, to the garbage.
func (f *folder) collect(ctx context.Context, actor string, fold *fold) {
	if !fold.sweep && len(fold.gone) == 0 {
		return
	}
	g := garbage{actor, fold.gone, false}
	if fold.sweep {
		orphans, err := pages.Orphans(ctx, actorPages{f.heads, actor, true}, slices.Collect(maps.Values(fold.roots)))
		if err == nil {
			g.names, g.swept = orphans, true // the replaced pages are among them
		} else if !errors.Is(err, store.ErrConflict) {
			f.log.Warn("pages that an actor does not need cannot be found yet", "actor", actor, "error", err)
		}
	}
	f.garbageMu.Lock()
	defer f.garbageMu.Unlock()
	f.garbage = append(f.garbage, g)
}

// deleteGarbage deletes the garbage. What cannot be deleted is tried again the next time.
func (f *folder) deleteGarbage(ctx context.Context) {
	f.garbageMu.Lock()
	all := f.garbage
	f.garbage = nil
	f.garbageMu.Unlock()
	if err := f.delete(ctx, all); err != nil {
		f.garbageMu.Lock()
		f.garbage = append(f.garbage, all...)
		f.garbageMu.Unlock()
		if !errors.Is(err, store.ErrConflict) {
			f.log.Warn("pages of tables that are not needed cannot be deleted yet", "error", err)
		}
	}
}

// delete deletes garbage. Before that it proves that this store still owns the actors, after
// their heads were written or their pages listed: the pages may be those of a new owner.
func (f *folder) delete(ctx context.Context, all []garbage) error {
	if slices.ContainsFunc(all, func(g garbage) bool { return len(g.names) > 0 }) {
		if err := f.own.prove(ctx); err != nil {
			return err
		}
	}
	for _, g := range all {
		if err := (actorPages{f.heads, g.actor, false}).Delete(ctx, g.names); err != nil {
			return err
		}
		if g.swept {
			f.catalog.mu.Lock()
			if f.owned[store.Partition(g.actor)] {
				f.swept[g.actor] = true
			}
			f.catalog.mu.Unlock()
		}
	}
	return nil
}

// clear deletes all pages of an actor that has no tables.
func (f *folder) clear(ctx context.Context, actor string) error {
	names, err := actorPages{f.heads, actor, false}.List(ctx)
	if err != nil {
		return err
	}
	return f.delete(ctx, []garbage{{actor: actor, names: names}})
}

// Items implements store.Store: the pages of the newest head, with the later edits of the
// journal over them.
func (rd *reader) Items(ctx context.Context, actor string, q store.ItemRange) (store.ItemPage, error) {
	page, err := rd.itemPage(ctx, actor, q)
	if errors.Is(err, store.ErrNotFound) {
		return store.ItemPage{}, nil
	} else if err != nil {
		return store.ItemPage{}, fmt.Errorf("read items of actor %s: %w", actor, err)
	}
	return page, nil
}

func (rd *reader) itemPage(ctx context.Context, actor string, q store.ItemRange) (page store.ItemPage, err error) {
	err = rd.retry(ctx, func(ctx context.Context) (bool, error) {
		var m *record.Merger
		var root pages.Root
		err := rd.withRecord(ctx, actor, func(r *journal.Resident) { m, root = r.Record.Merge(q), r.Message.Roots[q.Table] })
		if err != nil {
			return true, err
		}
		if !m.Hidden {
			err = pages.Range(ctx, actorPages{rd.heads, actor, false}, root, q, func(i store.Item) bool {
				// Do not keep the page in memory for one item.
				return m.AddStored(store.Item{Key: slices.Clone(i.Key), Value: slices.Clone(i.Value), Version: i.Version})
			})
		}
		page = m.Finish()
		// A page that is missing was replaced meanwhile, as the newest root says.
		return !errors.Is(err, pages.ErrMissing), err
	})
	return page, err
}
