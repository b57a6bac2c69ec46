package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// Import stores an actor as another store has it, in place of what is stored of it, and
// without the entries of its log. The Items of the record are edits of those that are
// stored; Wiped and Dropped say which of them go before. Nothing but Load may use the actor
// meanwhile. The record must not be used again.
func (s *Store) Import(ctx context.Context, actor string, rec *record.Record) error {
	if err := s.writer.importActor(ctx, actor, rec); err != nil {
		return fmt.Errorf("import actor %s: %w", actor, err)
	}
	return nil
}

func (w *writer) importActor(ctx context.Context, actor string, rec *record.Record) error {
	w.writing.Lock()
	defer w.writing.Unlock()
	if err := w.writable(ctx); err != nil {
		return err
	}
	r, err := w.complete(ctx, actor)
	created := errors.Is(err, store.ErrNotFound)
	if created {
		w.lastNum++
		r = &journal.Resident{Num: w.lastNum, ID: actor, Due: -1, Stored: journal.Stored{Owner: w.lastNum, RestOwner: w.lastNum}}
	} else if err != nil {
		return err
	}
	if len(r.Locations) > 0 {
		return errors.New("it has commits in the journal")
	}
	key, err := json.Marshal(rec.Key)
	if err != nil {
		return err
	}
	err = w.files.inFencedTransaction(ctx, w.epoch, func() error {
		if created {
			_, err := w.files.insertActor.ExecContext(ctx, r.Num, actor, rec.Name, string(key), rec.Log)
			return err
		}
		_, err := w.files.conn.ExecContext(ctx, "UPDATE actors SET key = ?, log = ? WHERE num = ?", string(key), rec.Log, r.Num)
		return err
	})
	if err != nil {
		return w.failed(err)
	}
	w.mu.Lock()
	if r.Stored.CallerRows {
		r.Stored.Touched = map[string]uint64{}
		for _, callers := range []map[string]store.Caller{r.Record.Callers, rec.Callers} { // the rows of some go
			for id := range callers {
				r.Stored.Touched[id] = rec.Rev
			}
		}
	}
	r.Record = rec
	r.Rev, r.Head = rec.Rev, rec.Head
	if created {
		w.index.ByNum[r.Num], w.index.ByID[actor] = r, r
	}
	w.mu.Unlock()
	v := newSave(w.catalog, r)
	for done := false; !done; {
		err := w.files.inFencedTransaction(ctx, w.epoch, func() (err error) {
			done, err = v.step(ctx, w)
			return err
		})
		if err != nil {
			return w.failed(err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	v.apply(w)
	w.index.SetDue(r, rec.Due)
	w.index.Forget(r)
	return nil
}
