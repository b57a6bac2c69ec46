package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// reader reads actors, from memory and from the streams. All methods may be called at the
// same time.
type reader struct {
	*catalog
	*heads
	journals journals
	options  Options
	decoded  journal.Decoded
}

// errTrimmed means that a message of the journal is no longer there.
var errTrimmed = errors.New("a message of the journal was trimmed")

// errAbsent is the error of an actor that was never committed.
var errAbsent = store.ErrNotFound

// usable returns nil if this store can say something of an actor: it owns it, and knows
// what became of its own messages.
func (rd *reader) usable(ctx context.Context, actor string) error {
	if err := rd.own.resolved(ctx); err != nil {
		return err
	}
	if !isToken(actor) {
		return errAbsent
	}
	rd.mu.Lock()
	defer rd.mu.Unlock()
	if !rd.owned[store.Partition(actor)] {
		return errNotOwner
	}
	return nil
}

// errNotOwner is the error of an actor of a partition that this store does not own.
var errNotOwner = fmt.Errorf("its partition belongs to another node: %w", store.ErrConflict)

// Load implements store.Store.
func (rd *reader) Load(ctx context.Context, actor string) (snapshot *store.Snapshot, err error) {
	err = rd.withRecord(ctx, actor, func(r *journal.Resident) { snapshot = r.Record.Snapshot(actor) })
	if err != nil {
		return nil, fmt.Errorf("load actor %s: %w", actor, err)
	}
	return snapshot, nil
}

// withRecord calls f with an actor that has its record, while it holds mu.
func (rd *reader) withRecord(ctx context.Context, actor string, f func(*journal.Resident)) error {
	if err := rd.usable(ctx, actor); err != nil {
		return err
	}
	return rd.complete(ctx, actor, owned, func(r *journal.Resident) error {
		if r.Rev == 0 {
			return errAbsent
		}
		f(r)
		return nil
	})
}

// whose says of which actors complete reads the records.
type whose bool

const (
	owned    whose = false // those of the store's partitions
	resident whose = true  // also those of a partition that is being given back. Hold keeper.work
)

// complete calls f with a resident that has its record, while it holds mu: an empty one at
// revision 0 for an actor that was never committed. What was read while the partition was
// given back says nothing: another node may have committed since.
func (rd *reader) complete(ctx context.Context, actor string, of whose, f func(*journal.Resident) error) error {
	const tries = 50
	for try := 0; ; try++ {
		rd.mu.Lock()
		if of == owned && !rd.owned[store.Partition(actor)] {
			rd.mu.Unlock()
			return errNotOwner
		}
		before := rd.index.ByID[actor]
		if before != nil && before.Damaged {
			rd.mu.Unlock()
			return fmt.Errorf("the journals have two commits of the same revision, up to %d: %w", before.Rev, journal.ErrDamaged)
		}
		if before != nil && before.Record != nil {
			defer rd.mu.Unlock()
			before.Used = rd.options.now()
			return f(before)
		}
		swept, barrier := rd.index.Swept, rd.barrierSeq
		var from journaled
		if before != nil {
			from = journaled{slices.Clone(before.Locations), before.First(), before.Rev, 0}
			if before.Message != nil {
				from.known = before.Message.Seq
			}
		}
		rd.mu.Unlock()
		loaded, err := rd.load(ctx, actor, barrier, from)
		if errors.Is(err, errTrimmed) && try < tries {
			continue // a newer snapshot has it
		}
		if err != nil {
			return err
		}
		rd.mu.Lock()
		if of == owned && !rd.owned[store.Partition(actor)] {
			rd.mu.Unlock()
			return errNotOwner
		}
		r := rd.index.ByID[actor]
		if r != before || r == nil && rd.index.Swept != swept || r != nil && r.Record == nil && r.Rev != from.rev {
			rd.mu.Unlock()
			continue // what was read says nothing about the index as it is
		}
		if r == nil && loaded.Rev == 0 && rd.absent >= maxAbsent {
			rd.mu.Unlock()
			return f(loaded)
		}
		if r != nil && r.Record == nil && loaded.Rev > r.Rev {
			// It was owned by another node in between.
			r.Rev, r.Locations = loaded.Rev, nil
		}
		r = rd.keep(loaded, rd.options.now())
		defer rd.mu.Unlock()
		if r.Record == nil {
			return fmt.Errorf("its snapshot has revision %d, the journal had %d: %w", loaded.Rev, r.Rev, journal.ErrDamaged)
		}
		return f(r)
	}
}

// journaled is what the journal has of an actor: revisions first to rev.
type journaled struct {
	locations  []journal.Location
	first, rev uint64
	known      uint64 // the sequence of its head, if that is known
}

// load reads an actor: its head, and its later commits in the journal.
func (rd *reader) load(ctx context.Context, actor string, barrier uint64, from journaled) (*journal.Resident, error) {
	h, err := rd.read(ctx, actor, barrier, from.known)
	if err != nil {
		return nil, err
	}
	r := &journal.Resident{
		ID: actor, Due: -1, Record: h.record, Message: &h.Message,
		Rev: h.record.Rev, Head: h.record.Head, Saved: h.record.Rev,
	}
	if len(from.locations) > 0 && r.Rev+1 < from.first {
		return nil, fmt.Errorf("revisions %d to %d are missing: %w", r.Rev+1, from.first-1, journal.ErrDamaged)
	}
	locations := from.locations
	if r.Rev >= from.first {
		locations = locations[min(r.Rev+1-from.first, uint64(len(locations))):]
	}
	return r, rd.replay(ctx, r, locations)
}

// replay applies an actor's commits after its head.
func (rd *reader) replay(ctx context.Context, r *journal.Resident, locations []journal.Location) error {
	return rd.readCommits(ctx, locations, never, func(j *journal.Commit) (bool, error) {
		if err := applyStored(r.Record, r.ID, j); err != nil {
			return false, err
		}
		r.Rev, r.Head = r.Record.Rev, r.Record.Head
		return true, nil
	})
}

// applyStored applies a commit of the journal.
func applyStored(rec *record.Record, actor string, j *journal.Commit) error {
	c, err := j.Decode(&rec.State)
	if err != nil {
		return err
	}
	c.Actor, c.Name, c.Key, c.Log = actor, rec.Name, rec.Key, rec.Log
	if j.Identity != nil {
		c.Name, c.Key, c.Log = j.Identity.Name, j.Identity.Key, j.Identity.Log
	}
	end, err := rec.End().Then(c)
	if err == nil && j.Edits != nil && end.Size != j.Size {
		err = errors.New("the state does not have its size")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", journal.ErrDamaged, err)
	}
	rec.Apply(c)
	return nil
}

func never() bool { return false }

// readCommits calls f with the commits at locations, in order, until f returns false. If a
// message is no longer there, it fails with errTrimmed, or goes on if skip says so.
func (rd *reader) readCommits(ctx context.Context, locations []journal.Location, skip func() bool, f func(*journal.Commit) (bool, error)) error {
	for len(locations) > 0 {
		seq := locations[0].Row
		n := sort.Search(len(locations), func(i int) bool { return locations[i].Row != seq })
		commits, err := rd.message(ctx, seq)
		if errors.Is(err, errTrimmed) && skip() {
			locations = locations[n:]
			continue
		}
		if err != nil {
			return err
		}
		for _, p := range locations[:n] {
			text, err := cut(commits, p)
			if err != nil {
				return err
			}
			var j journal.Commit
			if err := json.Unmarshal(text, &j); err != nil {
				return fmt.Errorf("message %d of the journal: %w: %w", seq, journal.ErrDamaged, err)
			}
			if more, err := f(&j); err != nil || !more {
				return err
			}
		}
		locations = locations[n:]
	}
	return nil
}

// cut returns the text of a commit.
func cut(commits []byte, p journal.Location) ([]byte, error) {
	if uint64(p.Off)+uint64(p.Len) > uint64(len(commits)) {
		return nil, fmt.Errorf("message %d of the journal is too short: %w", p.Row, journal.ErrDamaged)
	}
	return commits[p.Off : p.Off+p.Len], nil
}

// message returns the commits of a message of a journal.
func (rd *reader) message(ctx context.Context, seq int64) ([]byte, error) {
	rd.mu.Lock()
	data, subject := rd.scanned[seq], rd.own.subject
	if j := rd.foreign[seq]; j != nil {
		subject = j.subject
	}
	rd.mu.Unlock()
	if data == nil {
		var err error
		if data, err = rd.journals.fetch(ctx, subject, uint64(seq)); err != nil {
			return nil, err
		}
	}
	_, commits, err := splitGroup(data)
	if err != nil {
		return nil, fmt.Errorf("message %d of the journal: %w", seq, err)
	}
	return commits, nil
}
