package jetstream

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
	var first journal.Location // of the try before
	for {
		page := journal.NewEntryPage(after, limit, maxBytes)
		locations, err := rd.locationsAfter(ctx, actor, after)
		if err == nil && limit > 0 {
			err = rd.addEntries(ctx, actor, page, locations)
		}
		if errors.Is(err, errTrimmed) && locations[0] != first {
			first = locations[0]
			continue // the index may not have that message any more
		}
		// If it still has, the message is one of a journal that was removed, and the page ends
		// before it.
		if err != nil && !errors.Is(err, errTrimmed) {
			return nil, fmt.Errorf("read the log of actor %s: %w", actor, err)
		}
		return page.Entries, nil
	}
}

func (rd *reader) addEntries(ctx context.Context, actor string, page *journal.EntryPage, locations []journal.Location) error {
	if len(locations) > 0 {
		if of := rd.decoded.Get(actor, locations[0].Head); of != nil {
			if !page.Add(of) {
				return nil
			}
			locations = locations[1:]
		}
	}
	return rd.readCommits(ctx, locations, func() bool { return len(page.Entries) == 0 }, func(j *journal.Commit) (bool, error) {
		entries := j.TimedEntries()
		if !page.Add(entries) {
			rd.decoded.Put(actor, entries)
			return false, nil
		}
		return true, nil
	})
}

// locationsAfter returns the locations of the actor's commits that have entries above a
// number. An unknown actor has none.
func (rd *reader) locationsAfter(ctx context.Context, actor string, after uint64) ([]journal.Location, error) {
	err := rd.usable(ctx, actor)
	if err == nil {
		err = rd.recalled(ctx, actor, after)
	}
	if err == nil {
		err = rd.usable(ctx, actor) // still
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	rd.mu.Lock()
	defer rd.mu.Unlock()
	r := rd.index.ByID[actor]
	if r == nil {
		return nil, nil // the journal has nothing of it
	}
	return slices.Clone(r.LocationsAfter(after)), nil
}

// Replies implements store.Store. Only commits that have the caller's id are decoded.
func (rd *reader) Replies(ctx context.Context, actor, caller string, above uint64, limit, maxBytes int) ([]store.Entry, error) {
	locations, err := rd.locationsAfter(ctx, actor, 0)
	if err != nil {
		return nil, fmt.Errorf("read replies in the log of actor %s: %w", actor, err)
	}
	page := journal.NewReplyPage(caller, above, limit, maxBytes)
	for len(locations) > 0 && !page.Full() {
		first := len(locations) - 1 // of its message
		for first > 0 && locations[first-1].Row == locations[first].Row {
			first--
		}
		commits, err := rd.message(ctx, locations[first].Row)
		if errors.Is(err, errTrimmed) {
			break // and those before it
		}
		if err == nil {
			for _, p := range slices.Backward(locations[first:]) {
				var text []byte
				if text, err = cut(commits, p); err == nil {
					err = page.Add(text)
				}
				if err != nil {
					break
				}
			}
		}
		if err != nil {
			return nil, fmt.Errorf("read replies in the log of actor %s: %w", actor, err)
		}
		locations = locations[:first]
	}
	return page.Replies(), nil
}
