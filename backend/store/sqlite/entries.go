package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// Entries implements store.Store.
func (rd *reader) Entries(ctx context.Context, actor string, after uint64, limit, maxBytes int) ([]store.Entry, error) {
	entries, err := rd.entries(ctx, actor, after, limit, maxBytes)
	if err != nil {
		return nil, fmt.Errorf("read the log of actor %s: %w", actor, err)
	}
	return entries, nil
}

func (rd *reader) entries(ctx context.Context, actor string, after uint64, limit, maxBytes int) ([]store.Entry, error) {
	reader, locations, err := rd.findLocations(ctx, actor, after)
	if err != nil || limit <= 0 {
		return nil, err
	}
	page := journal.NewEntryPage(after, limit, maxBytes)
	if len(locations) > 0 {
		if of := rd.decoded.Get(actor, locations[0].Head); of != nil {
			if !page.Add(of) {
				return page.Entries, nil
			}
			locations = locations[1:]
		}
	}
	err = readCommits(ctx, reader, locations, func(j *journal.Commit) (bool, error) {
		entries := j.TimedEntries()
		rd.options.afterRead()
		if !page.Add(entries) {
			rd.decoded.Put(actor, entries)
			return false, nil
		}
		return true, nil
	})
	return page.Entries, err
}

// findLocations returns the locations of the actor's commits that have entries above
// a number, and the file that they are in. An unknown actor has none.
func (rd *reader) findLocations(ctx context.Context, actor string, after uint64) (*pool, []journal.Location, error) {
	for {
		rd.writer.reopen(ctx)
		rd.mu.Lock()
		reader, failure := rd.pool, rd.failure
		r := rd.index.ByID[actor]
		var locations []journal.Location
		if r != nil {
			locations = slices.Clone(r.LocationsAfter(after))
		}
		rd.mu.Unlock()
		if reader == nil {
			return nil, nil, failure
		}
		if r != nil {
			return reader, locations, nil
		}
		// The index may have the actor without its id. load adds the id.
		if _, err := rd.load(ctx, actor); errors.Is(err, store.ErrNotFound) {
			return reader, nil, nil
		} else if err != nil {
			return nil, nil, err
		}
	}
}

// Replies implements store.Store. Only commits that have the caller's id are decoded.
func (rd *reader) Replies(ctx context.Context, actor, caller string, above uint64, limit, maxBytes int) ([]store.Entry, error) {
	replies, err := rd.replies(ctx, actor, caller, above, limit, maxBytes)
	if err != nil {
		return nil, fmt.Errorf("read replies in the log of actor %s: %w", actor, err)
	}
	return replies, nil
}

func (rd *reader) replies(ctx context.Context, actor, caller string, above uint64, limit, maxBytes int) ([]store.Entry, error) {
	reader, locations, err := rd.findLocations(ctx, actor, 0)
	if err != nil || limit <= 0 {
		return nil, err
	}
	page := journal.NewReplyPage(caller, above, limit, maxBytes)
	for !page.Full() && len(locations) > 0 {
		first := len(locations) - 1 // of its row
		for first > 0 && locations[first-1].Row == locations[first].Row {
			first--
		}
		row, err := readRow(ctx, reader, locations[first].Row)
		if err != nil {
			return nil, err
		}
		if row == nil {
			break // it was trimmed meanwhile, and those before it
		}
		for _, p := range slices.Backward(locations[first:]) {
			if int(p.Off+p.Len) > len(row) {
				return nil, fmt.Errorf("row %d of the journal is too short: %w", p.Row, journal.ErrDamaged)
			}
			if err := page.Add(row[p.Off : p.Off+p.Len]); err != nil {
				return nil, fmt.Errorf("row %d: %w", p.Row, err)
			}
		}
		locations = locations[:first]
	}
	return page.Replies(), nil
}
