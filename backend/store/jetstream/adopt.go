package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// Journal is a journal of another incarnation, as far as it counts: up to its seal or, for
// partitions that its owner has released, up to its newest message after that.
type Journal struct {
	Name string
	UpTo uint64 // the sequence of that message
}

// keepsTombstones is for how many times the retention the tombstones of adopted partitions stay:
// others trim and remove the journals of the earlier owners after one, and not at once.
const keepsTombstones = 3

// foreignJournal is a journal of which the index has rows.
type foreignJournal struct {
	Journal
	subject string
	rows    int // in the index
}

// Adopt takes partitions over: it reads what the journals of their earlier owners have of
// their actors, and then their heads as these are needed. The debts are the journals whose commits may
// not be saved: of owners that have died. When it returns, the store owns the partitions. The error
// wraps store.ErrConflict if the store itself is deposed.
//
// Past are journals whose commits are saved: only clients that resume need their entries. They are
// read in the background. Until then Entries and Replies of what they may have wait, and fail after
// Options.Timeout. UpTo is 0 for a journal that goes on, and past may include this store's own: it
// has had the partitions before.
func (s *Store) Adopt(ctx context.Context, parts []int, past []Journal, debts ...Journal) error {
	return s.adopter.adopt(ctx, parts, false, past, debts...)
}

// Settle saves every actor that a foreign journal has commits of that are in no head yet.
// Then nobody needs the journal any more but clients that resume. It fails if one of them
// cannot be saved, or has a commit there that does not follow the others: the journal has the
// only copy.
func (s *Store) Settle(ctx context.Context, journal string) error {
	return s.adopter.settle(ctx, journal)
}

// Prepare saves what is not saved of the actors of partitions, of which the store may commit more
// meanwhile: Release has less to do then. What cannot be saved is for Release to say.
func (s *Store) Prepare(ctx context.Context, parts []int) error {
	set := partSet(parts)
	s.catalog.mu.Lock()
	actors := s.unsaved(&set)
	s.catalog.mu.Unlock()
	return s.adopter.saveAhead(ctx, actors)
}

// Release gives a partition back: it saves its actors, and forgets them. From then on,
// their commits and reads fail with store.ErrConflict. If it fails, for example because
// one of the actors cannot be saved, the store still owns the partition.
func (s *Store) Release(ctx context.Context, part int) error { return s.adopter.release(ctx, part) }

// TakeOver seals every other journal that is there, and adopts all partitions: for a node
// that is alone, and for tests.
func (s *Store) TakeOver(ctx context.Context) error { return s.adopter.takeOver(ctx) }

// adopter takes partitions over and gives them back.
type adopter struct {
	*keeper
	recaller *recaller
}

func (a adopter) adopt(ctx context.Context, parts []int, alone bool, past []Journal, debts ...Journal) error {
	if err := a.own.resolved(ctx); err != nil {
		return err
	}
	type source struct {
		*foreignJournal
		groups []scannedMessage
	}
	var sources []source
	unclean := false
	for _, j := range debts {
		groups, clean, err := a.journals.scan(ctx, j.Name, j.UpTo)
		if err != nil {
			return fmt.Errorf("read the journal %s: %w", j.Name, err)
		}
		unclean = unclean || !clean
		sources = append(sources, source{&foreignJournal{Journal: j, subject: a.journalOf(j.Name)}, groups})
	}
	a.work.Lock()
	defer a.work.Unlock() // nothing is saved or trimmed meanwhile
	a.catalog.mu.Lock()
	a.unclean = a.unclean || unclean
	wanted := partSet(parts)
	a.dropParts(wanted) // what is left of an earlier time says nothing
	now := a.options.now()
	type message struct {
		scannedMessage
		of *foreignJournal
	}
	var all []message
	for i, s := range sources {
		if known := a.adopted[s.Name]; known != nil { // for other partitions
			sources[i].foreignJournal = known
		} else {
			a.adopted[s.Name] = s.foreignJournal
		}
		for _, g := range s.groups {
			all = append(all, message{g, sources[i].foreignJournal})
		}
	}
	slices.SortFunc(all, func(a, b message) int { return int(a.seq) - int(b.seq) })
	var rows []journal.Row
	for _, m := range all {
		own := m.of.Name == a.own.incarnation // it had released some of the partitions
		mine := a.row(m.seq)
		if own && mine == nil {
			continue // it was trimmed
		}
		row := journal.Row{ID: int64(m.seq), At: now}
		if err := a.addLocations(&row, m.data, wanted.has); err != nil {
			a.dropParts(wanted)
			a.catalog.mu.Unlock()
			return err
		}
		if len(row.Actors) == 0 {
			continue
		}
		if !own {
			a.scanned[row.ID] = m.data
		}
		if mine != nil { // it has actors of partitions that were adopted before
			mine.Actors = append(mine.Actors, row.Actors...)
			if !own { // the others of its commits are counted already
				mine.Bytes += row.Bytes
				a.index.Bytes += row.Bytes
			}
			continue
		}
		rows = append(rows, row)
		a.foreign[row.ID] = m.of
		m.of.rows++
	}
	a.insertRows(rows)
	a.catalog.mu.Unlock()

	// The barrier after the journals, and the snapshots after the barrier: what was trimmed
	// from a journal is in a snapshot that was there before.
	barrier, err := a.writeBarrier(ctx)
	if err == nil {
		err = a.readWakes(ctx, parts, wanted, barrier)
	}
	a.catalog.mu.Lock()
	defer a.catalog.mu.Unlock()
	if err != nil {
		a.dropParts(wanted)
		return fmt.Errorf("take over: %w", err)
	}
	a.barrierSeq = max(a.barrierSeq, barrier)
	for _, part := range parts {
		a.owned[part] = true
		if !alone && len(past)+len(debts) > 0 {
			a.remain[part] = a.options.now().Add(keepsTombstones * a.options.Retention)
		}
	}
	a.recaller.ask(parts, past)
	for _, s := range sources {
		if alone && !slices.Contains(a.sealed, s.foreignJournal) {
			a.sealed, a.settled = append(a.sealed, s.foreignJournal), false
		}
	}
	return nil
}

// row returns the row of a message, nil if there is none. Hold mu.
func (c *catalog) row(seq uint64) *journal.Row {
	rows := c.index.Rows
	i := sort.Search(len(rows), func(i int) bool { return rows[i].ID >= int64(seq) })
	if i == len(rows) || rows[i].ID != int64(seq) {
		return nil
	}
	return &rows[i]
}

// insertRows puts rows of other journals to where they belong in the order of sequences.
func (c *catalog) insertRows(rows []journal.Row) {
	for _, row := range rows {
		c.index.Bytes += row.Bytes
	}
	c.index.Rows = append(c.index.Rows, rows...)
	sort.SliceStable(c.index.Rows, func(i, j int) bool { return c.index.Rows[i].ID < c.index.Rows[j].ID })
}

// readWakes reads what is stored of the sleeping actors of partitions, of replicas that have a
// barrier. What the journal says is newer.
func (a adopter) readWakes(ctx context.Context, parts []int, wanted partitions, barrier uint64) error {
	filters := make([]string, len(parts))
	for i, part := range parts {
		filters[i] = a.names.wakes(part)
	}
	if len(parts) == store.Partitions {
		filters = []string{a.prefix + ".s.w.>"}
	}
	return a.lastOf(ctx, filters, barrier, func(subject string, m *nats.Msg) {
		var w wake
		if err := json.Unmarshal(m.Data, &w); err != nil {
			a.log.Error("what is known of a sleeping actor does not decode", "subject", subject, "error", err)
			return
		}
		actor := lastToken(subject)
		if !wanted.has(actor) {
			return
		}
		a.catalog.mu.Lock()
		defer a.catalog.mu.Unlock()
		a.setWake(actor, w)
		if r := a.index.ByID[actor]; r == nil || r.Due < 0 || r.DueRev <= w.Rev {
			a.dues.set(actor, w.Due)
		}
	})
}

// partitions is a set of partitions.
type partitions [store.Partitions]bool

func partSet(parts []int) (set partitions) {
	for _, part := range parts {
		set[part] = true
	}
	return set
}

func (p *partitions) has(actor string) bool { return p[store.Partition(actor)] }

// dropParts forgets everything of partitions. Hold mu.
func (c *catalog) dropParts(parts partitions) {
	for part, drop := range parts {
		if drop {
			c.dropRecall(part)
		}
	}
	for _, r := range c.index.ByID {
		if parts.has(r.ID) {
			r.Locations, r.Saved = nil, r.Rev
			c.forget(r)
		}
	}
	for actor := range c.wakes {
		if parts.has(actor) {
			delete(c.wakes, actor)
		}
	}
	maps.DeleteFunc(c.swept, func(actor string, _ bool) bool { return parts.has(actor) })
	for actor := range c.dues.at {
		if parts.has(actor) {
			c.dues.set(actor, 0)
		}
	}
	c.index.Swept++ // what is being read of others of their actors says nothing, too
}

func (a adopter) settle(ctx context.Context, journal string) error {
	of := func(j *foreignJournal) bool { return j.Name == journal }
	a.catalog.mu.Lock()
	_, actors := a.unsettled(of)
	a.catalog.mu.Unlock()
	if err := a.saveAhead(ctx, actors); err != nil {
		return err
	}
	a.work.Lock()
	defer a.work.Unlock()
	return a.settleJournal(ctx, of)
}

// saveAhead saves actors some at a time: who adopts or gives back partitions, whose actors wait,
// comes in between. What was given back meanwhile is not saved.
func (a adopter) saveAhead(ctx context.Context, actors []*journal.Resident) error {
	for some := range slices.Chunk(actors, saving) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.saveSome(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

// saveSome saves those of some actors that are not saved yet.
func (a adopter) saveSome(ctx context.Context, some []*journal.Resident) error {
	a.work.Lock() // before the index says what is not saved: release forgets actors
	defer a.work.Unlock()
	a.catalog.mu.Lock()
	now := a.options.now()
	some = slices.DeleteFunc(some, func(r *journal.Resident) bool { return r.Rev == r.Saved || r.IsBlocked(now) })
	a.catalog.mu.Unlock()
	return a.saveAll(ctx, some)
}

// unsaved returns the actors of partitions that have commits which are in no head yet. Hold mu.
func (c *catalog) unsaved(parts *partitions) (actors []*journal.Resident) {
	for _, r := range c.index.ByID {
		if parts.has(r.ID) && r.Rev != r.Saved {
			actors = append(actors, r)
		}
	}
	return actors
}

// unsettled returns the rows of journals, and the actors that have commits in them which are in no
// head yet. Hold mu.
func (k *keeper) unsettled(of func(*foreignJournal) bool) (rows []int64, actors []*journal.Resident) {
	seen := map[*journal.Resident]bool{}
	for _, row := range k.index.Rows {
		if j := k.foreign[row.ID]; j != nil && of(j) {
			rows = append(rows, row.ID)
			for _, r := range row.Actors {
				seen[r] = true
			}
		}
	}
	for r := range seen {
		if r.Rev != r.Saved || r.Damaged && k.index.ByID[r.ID] == r {
			actors = append(actors, r)
		}
	}
	return rows, actors
}

// settleJournal saves what journals have of the actors that are in no head yet. Their
// messages leave memory then.
func (k *keeper) settleJournal(ctx context.Context, of func(*foreignJournal) bool) error {
	k.catalog.mu.Lock()
	messages, actors := k.unsettled(of)
	k.catalog.mu.Unlock()
	if err := k.saveEach(ctx, actors); err != nil {
		return err
	}
	k.catalog.mu.Lock()
	defer k.catalog.mu.Unlock()
	for _, id := range messages {
		delete(k.scanned, id)
	}
	return nil
}

func (a adopter) release(ctx context.Context, part int) error {
	a.work.Lock()
	defer a.work.Unlock()
	set := partSet([]int{part})
	a.own.writing.Lock()                      // a commit that is being written is done
	if err := a.own.settle(ctx); err != nil { // and one of unknown outcome is in the index
		a.own.writing.Unlock()
		return fmt.Errorf("release partition %d: %w", part, err)
	}
	a.catalog.mu.Lock()
	a.owned[part] = false
	actors := a.unsaved(&set)
	a.catalog.mu.Unlock()
	a.own.writing.Unlock()
	if err := a.saveEach(ctx, actors); err != nil {
		a.catalog.mu.Lock()
		defer a.catalog.mu.Unlock()
		a.owned[part] = true
		return fmt.Errorf("release partition %d: %w", part, err)
	}
	a.catalog.mu.Lock()
	defer a.catalog.mu.Unlock()
	a.dropParts(set)
	return nil
}

func (a adopter) takeOver(ctx context.Context) error {
	sealed, err := a.sealOthers(ctx)
	if err != nil {
		return err
	}
	parts := make([]int, store.Partitions)
	for i := range parts {
		parts[i] = i
	}
	return a.adopt(ctx, parts, true, nil, sealed...)
}

// sealOthers ends all other journals.
func (a adopter) sealOthers(ctx context.Context) (sealed []Journal, err error) {
	journals, err := a.journals.all(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range journals {
		if name == a.own.incarnation {
			continue
		}
		newest, err := a.sealOther(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("seal the journal %s: %w", name, err)
		}
		if newest > 0 {
			sealed = append(sealed, Journal{name, newest})
		}
	}
	return sealed, nil
}

// sealOther ends a journal, and returns the sequence of its seal; 0 if it was removed since.
func (a adopter) sealOther(ctx context.Context, name string) (seal uint64, err error) {
	for {
		last, err := a.journals.last(ctx, name)
		if err != nil {
			return 0, err
		}
		newest := last.Seq
		if !last.Sealed && newest > 0 {
			newest, err = a.journals.seal(ctx, name, newest, journalSeal(name, a.own.incarnation))
			if errors.Is(err, store.ErrConflict) {
				continue // its owner is alive
			}
		}
		if err != nil || newest > 0 {
			return newest, err
		}
		// It was removed since, or the leader is another one that does not have it yet.
		still, err := a.journals.all(ctx)
		if err != nil || !slices.Contains(still, name) {
			return 0, err
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// Journals returns the names of the journals that have messages.
func (s *Store) Journals(ctx context.Context) ([]string, error) { return s.journals.all(ctx) }

// Purge removes a sealed journal, and the barrier of its incarnation. Call it once its actors are
// saved and no client can resume from it.
func (s *Store) Purge(ctx context.Context, j Journal) error {
	return s.journals.remove(ctx, j)
}
