package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// commit writes a group as one transaction.
func (w *writer) commit(ctx context.Context, commits []*store.Commit) []error {
	ctx = context.WithoutCancel(ctx) // cancelling would fail the whole group
	w.writing.Lock()
	defer w.writing.Unlock()
	if err := w.writable(ctx); err != nil {
		return slices.Repeat([]error{err}, len(commits))
	}
	g := w.stage(ctx, commits)
	if len(g.good) == 0 {
		return g.errs
	}
	if err := w.write(ctx, g); err != nil {
		for i := range commits {
			if g.errs == nil || g.errs[i] == nil {
				g.fail(i, err)
			}
		}
	}
	return g.errs
}

// group is a group of commits on its way into the file.
type group struct {
	commits []*store.Commit
	errs    []error // nil if there are none
	good    []staged
	unknown map[string]*journal.Resident // actors that are not in the file, by id
	created []*journal.Resident          // those of them that the group creates
}

// staged is a commit that passed the checks.
type staged struct {
	actor    *journal.Resident
	commit   *store.Commit
	identity bool // its key and log are to be written
}

func (g *group) fail(i int, err error) {
	if g.errs == nil {
		g.errs = make([]error, len(g.commits))
	}
	g.errs[i] = fmt.Errorf("revision %d of actor %s: %w", g.commits[i].Rev, g.commits[i].Actor, err)
}

// stage checks the commits of a group and encodes those that follow what is
// stored.
func (w *writer) stage(ctx context.Context, commits []*store.Commit) *group {
	w.groups++
	w.encoder.Reset()
	g := &group{commits: commits, good: make([]staged, 0, len(commits))}
	for i, c := range commits {
		r, err := w.resident(ctx, g, c)
		if err != nil {
			g.fail(i, err)
			continue
		}
		if r.Group != w.groups {
			r.Group, r.Next, r.Failed = w.groups, r.Record.End(), false
		}
		ended := r.Next.Tombstone || c.End == store.Destroyed
		if r.Failed {
			err = fmt.Errorf("it follows one that failed: %w", store.ErrConflict)
		} else {
			r.Next, err = r.Next.Then(c)
		}
		if err != nil {
			r.Failed = true
			g.fail(i, err)
			continue
		}
		created := r.Num == 0
		if created {
			r.Num = w.lastNum + int64(len(g.created)) + 1
		}
		if err := w.encoder.Add(r, c, r.Next); err != nil {
			if r.Failed = true; created {
				r.Num = 0
			}
			g.fail(i, err)
			continue
		}
		if created {
			g.created = append(g.created, r)
		}
		g.good = append(g.good, staged{r, c, ended && !created})
	}
	return g
}

// resident returns an actor with its record, from the index or from the file. An
// actor that is in neither has no number.
func (w *writer) resident(ctx context.Context, g *group, c *store.Commit) (*journal.Resident, error) {
	w.mu.Lock()
	r := w.index.ByID[c.Actor]
	w.mu.Unlock()
	if r != nil && w.isComplete(r) {
		return r, nil
	}
	if r := g.unknown[c.Actor]; r != nil {
		return r, nil
	}
	r, err := w.complete(ctx, c.Actor)
	if !errors.Is(err, store.ErrNotFound) {
		return r, err
	}
	r = &journal.Resident{ID: c.Actor, Due: -1, Record: &record.Record{Name: c.Name, Key: slices.Clone(c.Key), Log: c.Log}}
	if g.unknown == nil {
		g.unknown = map[string]*journal.Resident{}
	}
	g.unknown[c.Actor] = r
	return r, nil
}

// write writes a group and the upkeep that is due, and adds both to the index.
func (w *writer) write(ctx context.Context, g *group) error {
	u := w.plan(w.groups%trimEvery == 0)
	w.lastNum += int64(len(g.created)) // before upkeep gives numbers to owners
	err := w.withUpkeep(ctx, &u, func() error {
		for _, r := range g.created {
			key, err := json.Marshal(r.Record.Key)
			if err != nil {
				return err
			}
			if _, err := w.files.insertActor.ExecContext(ctx, r.Num, r.ID, r.Record.Name, string(key), r.Record.Log); err != nil {
				return err
			}
		}
		for _, c := range g.good {
			if !c.identity {
				continue
			}
			key, err := json.Marshal(c.commit.Key)
			if err != nil {
				return err
			}
			if _, err := w.files.conn.ExecContext(ctx, "UPDATE actors SET key = ?, log = ? WHERE num = ?", string(key), c.commit.Log, c.actor.Num); err != nil {
				return err
			}
		}
		for _, row := range w.encoder.Rows() {
			if err := w.files.insertRow(ctx, &row, w.epoch); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return w.failed(err)
	}
	w.setAvailable()
	now := w.options.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.applyUpkeep(&u)
	for _, r := range g.created {
		r.Stored.Owner, r.Stored.RestOwner = r.Num, r.Num
		w.index.ByNum[r.Num], w.index.ByID[r.ID] = r, r
	}
	for _, c := range g.good {
		c.actor.Apply(c.commit)
		c.actor.Rev, c.actor.Head, c.actor.Used = c.actor.Record.Rev, c.actor.Record.Head, now
		c.actor.Served, c.actor.Ended = max(c.actor.Served, c.actor.Record.Served), c.actor.Record.Ended != nil
		w.index.SetDue(c.actor, c.actor.Record.Due)
	}
	for _, row := range w.encoder.Rows() {
		row.Row.At = now
		for i, r := range row.Actors {
			r.Locations = append(r.Locations, row.Locations[i])
			r.Unsaved += int64(row.Locations[i].Len)
		}
		w.index.Push(row.Row)
		w.planner.Written += row.Bytes
	}
	w.encoder.LastRow += int64(len(w.encoder.Rows()))
	for _, c := range g.good {
		w.index.UpdateDirty(c.actor)
		if c.actor.LongReplay() && !c.actor.Waiting {
			c.actor.Waiting = true
			w.planner.Due = append(w.planner.Due, c.actor)
		}
	}
	return nil
}
