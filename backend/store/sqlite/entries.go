package sqlite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

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
	var entries []store.Entry
	size := 0
	add := func(of []store.Entry) (more bool) {
		for _, e := range of {
			if e.Seq <= after {
				continue
			}
			if n := len(entries); n > 0 && e.Seq != entries[n-1].Seq+1 {
				return false // the entries between were trimmed meanwhile
			}
			size += len(e.Data)
			if len(entries) == limit || len(entries) > 0 && size > maxBytes {
				return false
			}
			entries = append(entries, e)
		}
		return true
	}
	if len(locations) > 0 {
		if of := rd.decoded.get(actor, locations[0].Head); of != nil {
			if !add(of) {
				return entries, nil
			}
			locations = locations[1:]
		}
	}
	err = readCommits(ctx, reader, locations, func(j *journal.Commit) (bool, error) {
		for i := range j.Entries {
			j.Entries[i].Time = time.UnixMilli(j.Time)
		}
		rd.options.afterRead()
		if !add(j.Entries) {
			rd.decoded.put(actor, j.Entries)
			return false, nil
		}
		return true, nil
	})
	return entries, err
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
	var replies []store.Entry // the newest first
	size := 0
	marker := journal.CallerMarker(caller)
	for more := true; more && len(locations) > 0; {
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
			var found []store.Entry
			if found, err = repliesIn(row, p, caller, marker); err != nil {
				return nil, err
			}
			for _, e := range slices.Backward(found) {
				size += len(e.Data)
				// Calls of a caller run in their order: those before it are not above either.
				if more = more && e.Call > above && len(replies) < limit && (len(replies) == 0 || size <= maxBytes); more {
					replies = append(replies, e)
				}
			}
		}
		locations = locations[:first]
	}
	slices.Reverse(replies)
	return replies, nil
}

// repliesIn returns the replies to a caller in one commit.
func repliesIn(row []byte, p journal.Location, caller string, marker []byte) ([]store.Entry, error) {
	if int(p.Off+p.Len) > len(row) {
		return nil, fmt.Errorf("row %d of the journal is too short: %w", p.Row, journal.ErrDamaged)
	}
	text := row[p.Off : p.Off+p.Len]
	if !bytes.Contains(text, marker) {
		return nil, nil
	}
	var j journal.Commit
	if err := json.Unmarshal(text, &j); err != nil {
		return nil, fmt.Errorf("row %d of the journal: %w: %w", p.Row, journal.ErrDamaged, err)
	}
	var found []store.Entry
	for _, e := range j.Entries {
		if e.Caller == caller {
			e.Time = time.UnixMilli(j.Time)
			found = append(found, e)
		}
	}
	return found, nil
}
