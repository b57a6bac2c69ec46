package jetstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

const (
	// messageBytes is the size at which a group is cut into another message: reading one
	// commit reads all of its message.
	messageBytes = 512 << 10

	// loads is how many actors are read at the same time, at most.
	loads = 64
)

// writer commits groups. Its fields are guarded by ownJournal.writing.
type writer struct {
	*reader
	keeper *keeper
	groups int64
}

// group is a group of commits on its way into the journal.
type group struct {
	commits []*store.Commit
	errs    []error // nil if there are none
	message groupMessage
	staged  []staged // what message has
}

// staged is a commit that passed the checks.
type staged struct {
	i     int // in the group
	actor *journal.Resident
	at    location
}

func (g *group) fail(i int, err error) {
	if g.errs == nil {
		g.errs = make([]error, len(g.commits))
	}
	g.errs[i] = fmt.Errorf("revision %d of actor %s: %w", g.commits[i].Rev, g.commits[i].Actor, err)
}

// Commit writes a group. See Store.Commit.
func (w *writer) Commit(ctx context.Context, commits []*store.Commit) []error {
	errs := w.commit(context.WithoutCancel(ctx), commits) // cancelling would fail the whole group
	w.keeper.afterCommit(ctx)
	return errs
}

func (w *writer) commit(ctx context.Context, commits []*store.Commit) []error {
	w.preload(ctx, commits)
	w.own.writing.Lock()
	defer w.own.writing.Unlock()
	g := &group{commits: commits}
	if err := w.own.settle(ctx); err != nil {
		for i := range commits {
			g.fail(i, err)
		}
		return g.errs
	}
	w.groups++
	actors := w.prepare(ctx, g)
	for i, c := range commits {
		r := actors[c.Actor]
		if r == nil {
			continue // it has failed
		}
		if err := w.stage(ctx, g, i, r); err != nil {
			r.Failed = true
			g.fail(i, err)
		}
		if len(g.message.commits) >= messageBytes {
			if err := w.flush(ctx, g); err != nil {
				w.failRest(g, i+1, err)
				return g.errs
			}
		}
	}
	if err := w.flush(ctx, g); err != nil {
		w.failRest(g, len(commits), err)
	}
	return g.errs
}

// failRest fails the commits from i on.
func (w *writer) failRest(g *group, i int, err error) {
	for ; i < len(g.commits); i++ {
		g.fail(i, err)
	}
}

// prepare returns the group's actors with their records, by id. The commits of those that
// cannot be read fail.
func (w *writer) prepare(ctx context.Context, g *group) map[string]*journal.Resident {
	actors := make(map[string]*journal.Resident, len(g.commits))
	for _, c := range g.commits {
		actors[c.Actor] = nil
	}
	var missing []string
	w.mu.Lock()
	for actor := range actors {
		if r := w.index.ByID[actor]; r != nil && r.Record != nil && w.owned[store.Partition(actor)] {
			actors[actor] = w.begin(r)
		} else {
			missing = append(missing, actor)
		}
	}
	w.mu.Unlock()
	if len(missing) == 0 {
		return actors
	}
	errs := map[string]error{}
	var mu sync.Mutex
	each(missing, func(actor string) {
		r, err := w.fetchActor(ctx, actor)
		mu.Lock()
		defer mu.Unlock()
		actors[actor] = r
		errs[actor] = err
	})
	for i, c := range g.commits {
		if err := errs[c.Actor]; err != nil {
			g.fail(i, err)
		}
	}
	return actors
}

// preload reads the group's actors that are not in memory, while others may write and the
// lease can be renewed. What it cannot read is read again by prepare, which says why.
func (w *writer) preload(ctx context.Context, commits []*store.Commit) {
	if w.own.isStuck.Load() {
		return // first find out what became of that message
	}
	missing := map[string]bool{}
	w.mu.Lock()
	for _, c := range commits {
		r := w.index.ByID[c.Actor]
		if (r == nil || r.Record == nil) && isToken(c.Actor) && w.owned[store.Partition(c.Actor)] {
			missing[c.Actor] = true
		}
	}
	w.mu.Unlock()
	each(slices.Collect(maps.Keys(missing)), func(actor string) {
		_ = w.complete(ctx, actor, owned, func(*journal.Resident) error { return nil }) // see above
	})
}

// each calls f with each of the actors, with some of them at the same time.
func each(actors []string, f func(actor string)) {
	var wg sync.WaitGroup
	permits := make(chan struct{}, loads)
	for _, actor := range actors {
		permits <- struct{}{}
		wg.Go(func() {
			defer func() { <-permits }()
			f(actor)
		})
	}
	wg.Wait()
}

// begin prepares a resident for its commits of a group.
func (w *writer) begin(r *journal.Resident) *journal.Resident {
	r.Group, r.Next, r.Failed = w.groups, r.Record.End(), false
	return r
}

func (w *writer) fetchActor(ctx context.Context, actor string) (found *journal.Resident, err error) {
	if !isToken(actor) {
		return nil, fmt.Errorf("%q is no id of an actor: %w", actor, store.ErrConflict)
	}
	err = w.complete(ctx, actor, owned, func(r *journal.Resident) error {
		if r.Rev == 0 && r.Num == 0 { // it is not resident: many do not exist
			r = w.keep(r, w.options.now())
		}
		found = w.begin(r)
		return nil
	})
	return found, err
}

// errLeaving is the error of a commit of an actor whose tombstone is being removed.
var errLeaving = errors.New("its tombstone is being removed: try again")

// stage checks a commit and adds it to the group's message.
func (w *writer) stage(ctx context.Context, g *group, i int, r *journal.Resident) error {
	c := g.commits[i]
	if r.Leaving {
		return errLeaving
	}
	if r.Failed {
		return fmt.Errorf("it follows one that failed: %w", store.ErrConflict)
	}
	if !isToken(c.Name) {
		return fmt.Errorf("%q is no name of a definition: %w", c.Name, store.ErrConflict)
	}
	end, err := r.Next.Then(c)
	if err != nil {
		return err
	}
	identity := c.Rev == 1 || r.Next.Tombstone || c.End == store.Destroyed
	r.Next = end
	g.staged = append(g.staged, staged{i, r, g.message.add(c, end.Size, end.Head, identity)})
	return nil
}

// flush publishes the group's message, if it has commits, and applies them.
func (w *writer) flush(ctx context.Context, g *group) error {
	if len(g.staged) == 0 {
		return nil
	}
	message := g.message.bytes()
	err := w.send(ctx, message, func(seq uint64) { w.apply(g, seq, int64(len(message))) })
	if err != nil {
		for _, s := range g.staged {
			s.actor.Failed = true
			g.fail(s.i, err)
		}
		if errors.Is(err, store.ErrUnknown) && w.own.stuck != nil && w.own.stuck.made != nil {
			// The caller may reuse its commits, so they are read again if this was stored.
			w.own.stuck.made = func(seq uint64) { w.readAgain(message, seq) }
		}
	}
	g.staged = g.staged[:0]
	g.message.undo(0, 0)
	return err
}

// send publishes a message, in pieces if it is too long.
func (w *writer) send(ctx context.Context, message []byte, made func(seq uint64)) error {
	if len(message) <= w.longest {
		return w.own.append(ctx, message, made)
	}
	n := (len(message) + w.longest - 1) / w.longest
	w.own.begun.Store(0)
	for i := range n {
		part := message[i*w.longest : min((i+1)*w.longest, len(message))]
		done := made
		if i < n-1 {
			done = nil
		}
		if err := w.own.append(ctx, piece(i, n, w.own.begun.Load(), part), done); err != nil {
			if done == nil || !errors.Is(err, store.ErrUnknown) {
				w.own.begun.Store(0) // the last piece does not come
			}
			return err
		}
		if i == 0 {
			w.own.begun.Store(w.own.last)
		}
	}
	return nil
}

// apply adds a message that is stored to the index.
func (w *writer) apply(g *group, seq uint64, size int64) {
	now := w.options.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	row := journal.Row{ID: int64(seq), At: now}
	for _, s := range g.staged {
		r, c := s.actor, g.commits[s.i]
		if r.Record.Rev == 0 {
			w.absent--
		}
		r.Record.Apply(c)
		r.Rev, r.Head, r.Used = r.Record.Rev, r.Record.Head, now
		r.Served, r.Ended = max(r.Served, r.Record.Served), r.Record.Ended != nil
		r.Locations = append(r.Locations, journal.Location{Row: int64(seq), Off: s.at.off, Len: s.at.len, Head: s.at.head})
		r.Unsaved += int64(s.at.len)
		w.dues.set(r.ID, r.Record.Due)
		if !c.Due.IsZero() || c.End == store.Destroyed {
			r.DueRev = r.Rev
		}
		row.Actors = append(row.Actors, r)
	}
	row.Bytes = journal.RowSize(int(size), 0, len(row.Actors))
	w.push(row)
	w.keeper.planner.Written += row.Bytes
	for _, s := range g.staged {
		r := s.actor
		w.index.UpdateDirty(r)
		if r.LongReplay() && !r.Waiting {
			r.Waiting = true
			w.keeper.planner.Due = append(w.keeper.planner.Due, r)
		}
	}
}

// push adds the row of a message of the own journal to the index. Hold mu.
func (w *writer) push(row journal.Row) {
	if first := w.own.begun.Swap(0); first != 0 {
		w.starts[row.ID] = first
	}
	w.index.Push(row)
}

// readAgain adds a message to the index of which Commit has said that its outcome is
// unknown. Its actors are read again when they are used.
func (w *writer) readAgain(message []byte, seq uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	row := journal.Row{ID: int64(seq), At: w.options.now()}
	if err := w.addLocations(&row, message, func(string) bool { return true }); err != nil {
		w.log.Error("a message of this node's journal is damaged", "sequence", seq, "error", err)
		return
	}
	w.push(row)
	for _, r := range slices.Compact(row.Actors) {
		w.index.Forget(r)
	}
}

// addLocations adds the locations of a group's message to the actors that are selected,
// and to its row. Hold mu.
func (c *catalog) addLocations(row *journal.Row, message []byte, selected func(actor string) bool) error {
	locations, _, err := splitGroup(message)
	if err != nil {
		return fmt.Errorf("message %d of the journal: %w", row.ID, err)
	}
	selectedBytes, bytes := 0, 0
	err = readLocations(locations, func(at location) error {
		bytes += int(at.len)
		if !selected(at.actor) {
			return nil
		}
		r := c.resident(at.actor)
		if r.Rev == 0 && r.Record != nil {
			c.absent--
		}
		if at.rev != r.Rev+1 {
			if r.Rev != 0 && at.rev <= r.Rev {
				r.Damaged, r.Record = true, nil // the others are not affected
				c.index.UpdateDirty(r)
				row.Actors = append(row.Actors, r) // the journal may have the only copy: see Store.Settle
				selectedBytes += int(at.len)
				return nil
			}
			// Those between were trimmed: a snapshot has them.
			r.Locations = nil
			c.index.SetDue(r, -1)
			c.dues.set(r.ID, 0)
		}
		r.Rev, r.Head = at.rev, at.head
		c.index.ApplyTokens(r, at.Tokens)
		if at.Due >= 0 {
			c.dues.set(r.ID, at.Due)
		}
		r.Locations = append(r.Locations, journal.Location{Row: row.ID, Off: at.off, Len: at.len, Head: at.head})
		r.Unsaved += int64(at.len)
		row.Actors = append(row.Actors, r)
		selectedBytes += int(at.len)
		return nil
	})
	if err != nil {
		return fmt.Errorf("message %d of the journal: %w", row.ID, err)
	}
	// Its part of the message: all of it counts as much as when it was written.
	row.Bytes = journal.RowSize(len(message)*selectedBytes/max(bytes, 1), 0, len(row.Actors))
	return nil
}
