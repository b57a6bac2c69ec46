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

// Commit implements store.Store: it writes the group as one transaction, which
// is on disk when it returns.
func (s *Store) Commit(ctx context.Context, commits []*store.Commit) []error {
	ctx = context.WithoutCancel(ctx) // cancelling would fail the whole group
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.writable(ctx); err != nil {
		return slices.Repeat([]error{err}, len(commits))
	}
	g := s.stage(ctx, commits)
	if len(g.good) == 0 {
		return g.errs
	}
	if err := s.write(ctx, g); err != nil {
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
	actor  *journal.Resident
	commit *store.Commit
}

func (g *group) fail(i int, err error) {
	if g.errs == nil {
		g.errs = make([]error, len(g.commits))
	}
	g.errs[i] = fmt.Errorf("revision %d of actor %s: %w", g.commits[i].Rev, g.commits[i].Actor, err)
}

// stage checks the commits of a group and encodes those that follow what is
// stored.
func (s *Store) stage(ctx context.Context, commits []*store.Commit) *group {
	s.groups++
	s.encoder.Reset()
	g := &group{commits: commits, good: make([]staged, 0, len(commits))}
	for i, c := range commits {
		r, err := s.resident(ctx, g, c)
		if err != nil {
			g.fail(i, err)
			continue
		}
		if r.Group != s.groups {
			r.Group, r.Next, r.Failed = s.groups, r.Record.End(), false
		}
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
			r.Num = s.lastNum + int64(len(g.created)) + 1
		}
		if err := s.encoder.Add(r, c, r.Next); err != nil {
			if r.Failed = true; created {
				r.Num = 0
			}
			g.fail(i, err)
			continue
		}
		if created {
			g.created = append(g.created, r)
		}
		g.good = append(g.good, staged{r, c})
	}
	return g
}

// resident returns an actor with its record, from the index or from the file. An
// actor that is in neither has no number.
func (s *Store) resident(ctx context.Context, g *group, c *store.Commit) (*journal.Resident, error) {
	s.mu.Lock()
	r := s.index.ByID[c.Actor]
	s.mu.Unlock()
	if r != nil && s.isComplete(r) {
		return r, nil
	}
	if r := g.unknown[c.Actor]; r != nil {
		return r, nil
	}
	r, err := s.complete(ctx, c.Actor)
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
func (s *Store) write(ctx context.Context, g *group) error {
	u := s.plan(s.groups%trimEvery == 0)
	s.lastNum += int64(len(g.created)) // before upkeep gives numbers to owners
	err := s.withUpkeep(ctx, &u, func() error {
		for _, r := range g.created {
			key, err := json.Marshal(r.Record.Key)
			if err != nil {
				return err
			}
			if _, err := s.files.insertActor.ExecContext(ctx, r.Num, r.ID, r.Record.Name, string(key), r.Record.Log); err != nil {
				return err
			}
		}
		for _, c := range g.good {
			if c.commit.Log != c.actor.Record.Log { // a new life
				if _, err := s.files.conn.ExecContext(ctx, "UPDATE actors SET log = ? WHERE num = ?", c.commit.Log, c.actor.Num); err != nil {
					return err
				}
			}
		}
		for _, row := range s.encoder.Rows() {
			if err := s.files.insertRow(ctx, &row, s.epoch); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return s.failed(err)
	}
	s.setAvailable()
	now := s.options.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applyUpkeep(&u)
	for _, r := range g.created {
		r.Stored.Owner, r.Stored.RestOwner = r.Num, r.Num
		s.index.ByNum[r.Num], s.index.ByID[r.ID] = r, r
	}
	for _, c := range g.good {
		c.actor.Apply(c.commit)
		c.actor.Rev, c.actor.Head, c.actor.Used = c.actor.Record.Rev, c.actor.Record.Head, now
		c.actor.Served = max(c.actor.Served, c.actor.Record.Served)
		s.index.SetDue(c.actor, c.actor.Record.Due)
	}
	for _, w := range s.encoder.Rows() {
		w.Row.At = now
		for i, r := range w.Actors {
			r.Locations = append(r.Locations, w.Locations[i])
			r.Unsaved += int64(w.Locations[i].Len)
		}
		s.index.Push(w.Row)
		s.planner.Written += w.Bytes
	}
	s.encoder.LastRow += int64(len(s.encoder.Rows()))
	for _, c := range g.good {
		s.index.UpdateDirty(c.actor)
		if c.actor.LongReplay() && !c.actor.Waiting {
			c.actor.Waiting = true
			s.planner.Due = append(s.planner.Due, c.actor)
		}
	}
	return nil
}
