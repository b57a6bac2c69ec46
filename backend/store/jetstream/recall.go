package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// recall is the reading for one partition. The recaller's goroutine has all fields but done.
type recall struct {
	left    int // journals that are not read yet
	found   map[string][]recalled
	damaged bool          // not all of them could be read
	done    chan struct{} // closed once all is in the index, or the partition is given away
}

// recalled is a commit in a journal of an earlier owner.
type recalled struct {
	location
	seq int64
	of  *foreignJournal
}

// recaller reads journals, each once for all partitions that wait for it.
type recaller struct {
	*keeper
	kick chan struct{}

	queue []toRecall // guarded by catalog.mu
}

// toRecall is a journal, and the partitions that wait for it.
type toRecall struct {
	Journal
	parts map[int]*recall
	tries int       // that have failed
	after time.Time // the next one
}

// ask begins to read what journals of earlier owners have of the logs of partitions. See Store.Adopt.
// Hold mu, as when they become the store's: from then on it counts that not all is known of them.
func (r *recaller) ask(parts []int, journals []Journal) {
	if len(journals) == 0 {
		return
	}
	for _, part := range parts {
		of := &recall{left: len(journals), found: map[string][]recalled{}, done: make(chan struct{})}
		r.recalls[part] = of
		for _, j := range journals {
			i := slices.IndexFunc(r.queue, func(q toRecall) bool { return q.Name == j.Name })
			if i < 0 {
				i = len(r.queue)
				r.queue = append(r.queue, toRecall{Journal: j, parts: map[int]*recall{}})
			}
			r.queue[i].UpTo = max(r.queue[i].UpTo, j.UpTo)
			r.queue[i].parts[part] = of
		}
	}
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// dropRecall gives the reading for a partition up. Hold mu.
func (c *catalog) dropRecall(part int) {
	if of := c.recalls[part]; of != nil {
		c.recalls[part] = nil
		close(of.done)
	}
}

// run reads until done is closed.
func (r *recaller) run(done <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-done
		cancel()
	}()
	for {
		select {
		case <-done:
			return
		case <-r.kick:
		}
		for next, ok := r.next(); ok; next, ok = r.next() {
			if wait(ctx, time.Until(next.after)) != nil {
				return
			}
			damaged, err := r.read(ctx, next)
			switch {
			case ctx.Err() != nil:
				return
			case err == nil:
				if damaged != nil {
					r.log.Error("the journal of an earlier owner is damaged: clients that resume may find a gap", "journal", next.Name, "error", damaged)
				}
				r.finish(next, damaged != nil)
			default:
				if next.tries%20 == 0 {
					r.log.Warn("the journal of an earlier owner cannot be read: clients that resume wait for it", "journal", next.Name, "error", err)
				}
				r.again(next)
			}
		}
	}
}

// next takes the next journal.
func (r *recaller) next() (toRecall, bool) {
	r.catalog.mu.Lock()
	defer r.catalog.mu.Unlock()
	if len(r.queue) == 0 {
		return toRecall{}, false
	}
	next := r.queue[0]
	r.queue = slices.Delete(r.queue, 0, 1)
	return next, true
}

// again puts a journal that could not be read behind the others, if partitions still wait for it.
func (r *recaller) again(j toRecall) {
	r.catalog.mu.Lock()
	defer r.catalog.mu.Unlock()
	maps.DeleteFunc(j.parts, func(part int, of *recall) bool { return r.recalls[part] != of })
	if len(j.parts) == 0 {
		return
	}
	j.tries++
	j.after = time.Now().Add(time.Second)
	r.queue = append(r.queue, j)
}

// read finds the commits of a journal that partitions wait for. It returns which damage it has met:
// what was found then has a gap, as if it was trimmed.
func (r *recaller) read(ctx context.Context, j toRecall) (damaged, err error) {
	newest := r.own.newest.Load()
	if j.Name != r.own.incarnation {
		last, err := r.journals.last(ctx, j.Name)
		if err != nil {
			return nil, err
		}
		newest = last.Seq
		if j.UpTo != 0 {
			newest = min(newest, j.UpTo)
		}
	}
	r.catalog.mu.Lock()
	of := r.adopted[j.Name]
	if of == nil {
		of = &foreignJournal{Journal: Journal{j.Name, newest}, subject: r.journalOf(j.Name)}
		r.adopted[j.Name] = of
	}
	r.catalog.mu.Unlock()
	found := map[string][]recalled{}
	// A journal of which there is nothing was removed: nobody needs it any more.
	_, err = r.journals.each(ctx, j.Name, newest, func(m scannedMessage) error {
		locations, _, err := splitGroup(m.data)
		if err == nil {
			err = readLocations(locations, func(at location) error {
				if j.parts[store.Partition(at.actor)] != nil {
					found[at.actor] = append(found[at.actor], recalled{at, int64(m.seq), of})
				}
				return nil
			})
		}
		if err != nil && damaged == nil {
			damaged = fmt.Errorf("message %d of the journal: %w", m.seq, err)
		}
		return nil
	})
	if errors.Is(err, journal.ErrDamaged) {
		damaged, err = err, nil
	}
	if err != nil {
		return nil, err
	}
	for actor, commits := range found {
		part := j.parts[store.Partition(actor)]
		part.found[actor] = append(part.found[actor], commits...)
	}
	return damaged, nil
}

// finish puts what was found into the index, for partitions that wait for no other journal.
func (r *recaller) finish(j toRecall, damaged bool) {
	r.work.Lock()
	defer r.work.Unlock() // nothing is saved or trimmed meanwhile
	r.own.writing.Lock()  // the writer has actors in its hands
	defer r.own.writing.Unlock()
	r.catalog.mu.Lock()
	defer r.catalog.mu.Unlock()
	rows := map[int64]*journal.Row{}
	for part, of := range j.parts {
		of.damaged = of.damaged || damaged
		if of.left--; of.left > 0 || r.recalls[part] != of { // it was given away meanwhile
			continue
		}
		for actor, commits := range of.found {
			if of.damaged && r.index.ByID[actor] == nil {
				continue // these need not be its newest ones
			}
			r.insert(commits, rows)
		}
		r.dropRecall(part) // it is done
	}
	var added []journal.Row
	for _, row := range rows {
		added = append(added, *row)
	}
	slices.SortFunc(added, func(a, b journal.Row) int { return cmp.Compare(a.ID, b.ID) })
	r.insertRows(added)
}

// insert puts the commits of an actor that are just before those which the index has in front of
// these, and into rows of the journal: those of the index and new ones. Hold mu.
func (r *recaller) insert(commits []recalled, rows map[int64]*journal.Row) {
	commits = slices.DeleteFunc(commits, func(c recalled) bool { // what was trimmed
		return c.of.Name == r.own.incarnation && r.row(uint64(c.seq)) == nil
	})
	if len(commits) == 0 {
		return
	}
	slices.SortFunc(commits, func(a, b recalled) int { return cmp.Compare(a.rev, b.rev) })
	actor := r.index.ByID[commits[0].actor]
	if actor == nil {
		newest := commits[len(commits)-1]
		actor = r.resident(newest.actor)
		actor.Rev, actor.Head, actor.Saved = newest.rev, newest.head, newest.rev
	}
	n := len(commits)
	for n > 0 && commits[n-1].rev >= actor.First() {
		n--
	}
	first := n
	for next := actor.First(); first > 0 && commits[first-1].rev == next-1; next-- {
		first--
	}
	before := make([]journal.Location, 0, n-first)
	for _, c := range commits[first:n] {
		before = append(before, journal.Location{Row: c.seq, Off: c.off, Len: c.len, Head: c.head})
		if c.Destroyed {
			actor.Served, actor.Ended = max(actor.Served, c.head), true
		}
		r.addToRow(c, actor, rows)
	}
	actor.Locations = append(before, actor.Locations...)
}

// addToRow notes that a message of the journal has a commit of an actor. Hold mu.
func (r *recaller) addToRow(c recalled, actor *journal.Resident, rows map[int64]*journal.Row) {
	row := r.row(uint64(c.seq))
	size := int64(c.len)
	switch {
	case row != nil && c.of.Name == r.own.incarnation: // it is counted already
	case row != nil:
		row.Bytes += size
		r.index.Bytes += size
	default:
		if row = rows[c.seq]; row == nil {
			row = &journal.Row{ID: c.seq, At: r.options.now(), Bytes: journal.RowSize(0, 0, 0)}
			rows[c.seq] = row
			r.foreign[c.seq] = c.of
			c.of.rows++
		}
		row.Bytes += size
	}
	row.Actors = append(row.Actors, actor)
}

var errRecalling = errors.New("what the nodes that had the actor before have of its log is not read yet")

// recalled waits until the index has what there is of an actor's entries above a number.
func (rd *reader) recalled(ctx context.Context, actor string, after uint64) error {
	rd.mu.Lock()
	of, r := rd.recalls[store.Partition(actor)], rd.index.ByID[actor]
	if r != nil && (len(r.Locations) > 0 && after >= r.Locations[0].Head || r.Record != nil && after >= r.Head) {
		of = nil // it has
	}
	rd.mu.Unlock()
	if of == nil {
		return nil
	}
	t := time.NewTimer(rd.timeout)
	defer t.Stop()
	select {
	case <-of.done:
		return nil
	case <-rd.own.lost:
		return errDeposed
	case <-t.C:
		return errRecalling
	case <-ctx.Done():
		return ctx.Err()
	}
}
