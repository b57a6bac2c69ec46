package jetstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// tidier removes the journals of nodes that have never owned anything.
type tidier struct {
	*reader
	seen map[string]quietJournal
}

// quietJournal is a journal that no node of the cluster has.
type quietJournal struct {
	newest uint64
	since  time.Time // when newest was read first
	kept   bool      // it has commits, or cannot be read
}

// Tidy removes the journals that are not known, that had no commits, and that nothing was added
// to for some time: nodes that could not join and backups that were killed have begun them. It
// ends each before, so its owner, if it is alive after all, loses nothing but a try. Those that
// cannot be read are logged and kept. Call it now and then; not at the same time.
func (s *Store) Tidy(ctx context.Context, quiet time.Duration, known func(journal string) bool) error {
	if err := s.tidier.tidy(ctx, quiet, known); err != nil {
		return fmt.Errorf("tidy journals: %w", err)
	}
	return nil
}

func (t *tidier) tidy(ctx context.Context, quiet time.Duration, known func(string) bool) error {
	all, err := t.journals.all(ctx)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(name string) bool { return name == t.own.incarnation || known(name) })
	maps.DeleteFunc(t.seen, func(name string, _ quietJournal) bool { return !slices.Contains(all, name) })
	for _, name := range all {
		last, err := t.journals.last(ctx, name)
		if err != nil {
			return err
		}
		newest, sealed := last.Seq, last.Sealed
		q := t.seen[name]
		if q.newest != newest {
			q = quietJournal{newest: newest, since: t.options.now()}
		}
		if t.seen[name] = q; q.kept || newest == 0 || t.options.now().Sub(q.since) < quiet {
			continue
		}
		groups, _, err := t.journals.scan(ctx, name, newest)
		if ctx.Err() != nil {
			return err
		}
		if err != nil || len(groups) > 0 {
			q.kept = true
			t.seen[name] = q
			if err != nil {
				t.log.Error("a journal of a node that the cluster does not know cannot be read: it is kept", "journal", name, "error", err)
			} else {
				t.log.Error("there is a journal with commits of a node that the cluster does not know: it is kept", "journal", name)
			}
			continue
		}
		if !sealed {
			newest, err = t.journals.seal(ctx, name, newest, journalSeal(name, t.own.incarnation))
			if errors.Is(err, store.ErrConflict) {
				continue // its owner is alive
			}
			if err != nil {
				return err
			}
		}
		if err := t.journals.remove(ctx, Journal{name, newest}); err != nil {
			return err
		}
	}
	return nil
}
