package jetstream

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

const (
	// trimEvery is how many commits go by between two looks at the journal's size.
	trimEvery = 8

	// purgeEvery is the shortest time between two purges of the journal.
	purgeEvery = time.Second

	// purgeProofs is how many messages, of all journals, are written until those without a
	// commit are removed from this one.
	purgeProofs = 1000
)

// keeper keeps the journal short: it saves the actors that are in the way and trims. It
// works beside the writer, because it has to wait for NATS and a commit should not.
type keeper struct {
	*reader
	kick   chan struct{}
	tables *folder

	// catalog.mu guards these.
	planner journal.Planner
	commits int
	saves   int
	trouble error

	work sync.Mutex // held while it works; guards the fields below

	popped   uint64 // the journal's messages up to this sequence are no longer needed
	purged   uint64
	purgedAt time.Time
	settled  bool   // nothing in memory is only in journals that this store removes
	proofs   uint64 // newest when the journal was last purged
	idling   []*journal.Resident
	idleAt   time.Time
}

func newKeeper(rd *reader) *keeper {
	k := &keeper{reader: rd, kick: make(chan struct{}, 1), tables: newFolder(rd)}
	o := rd.options
	k.planner.Limits = journal.Limits{Retention: o.Retention, MaxBytes: o.MaxBytes, CapBytes: o.CapBytes, SaveBytes: journal.SaveBytes}
	return k
}

// run works whenever there may be something to do, until done is closed.
func (k *keeper) run(done <-chan struct{}) {
	ticker := time.NewTicker(k.options.tick)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-k.kick:
			k.step(context.Background())
		case <-ticker.C:
			k.tick(context.Background())
		}
	}
}

// afterCommit wakes the keeper now and then. If the journal is over its hard limit, it
// waits until it is trimmed.
func (k *keeper) afterCommit(ctx context.Context) {
	k.catalog.mu.Lock()
	k.commits++
	due := k.commits%trimEvery == 0 && k.index.Bytes > k.options.MaxBytes || len(k.planner.Due) > 0
	full := k.index.Bytes > k.options.CapBytes
	k.catalog.mu.Unlock()
	if full {
		k.step(ctx)
		return
	}
	if due {
		select {
		case k.kick <- struct{}{}:
		default: // it has not begun yet
		}
	}
}

// tick does the upkeep of each second.
func (k *keeper) tick(ctx context.Context) {
	k.decoded.Clear()
	k.step(ctx)
	k.work.Lock()
	defer k.work.Unlock()
	if k.own.deposed.Load() {
		return
	}
	k.settleAlone(ctx)
	k.idle(ctx)
	k.purge(ctx)
	k.removeForgotten(ctx)
}

// settleAlone settles the journals that this store removes itself.
func (k *keeper) settleAlone(ctx context.Context) {
	if k.settled {
		return
	}
	mine := func(j *foreignJournal) bool { return slices.Contains(k.sealed, j) }
	if err := k.settleJournal(ctx, mine); err != nil {
		k.failed(err)
		return
	}
	k.settled = true
}

// step saves the actors that are due, and those that are in the way of trimming, and trims.
func (k *keeper) step(ctx context.Context) {
	k.work.Lock()
	defer k.work.Unlock()
	if k.own.deposed.Load() {
		return
	}
	k.catalog.mu.Lock()
	u := k.planner.Plan(&k.index, true, k.options.now())
	k.catalog.mu.Unlock()
	actors := distinct(u)
	if len(actors) > 0 {
		if err := k.saveAll(ctx, actors); err != nil {
			k.failed(err)
			return
		}
	}
	k.catalog.mu.Lock()
	if u.Drop(k.options.now()); u.Trim > 0 {
		k.pop(u.Trim)
	}
	k.catalog.mu.Unlock()
	k.purge(ctx)
}

// distinct returns the actors to be saved, each once: one may be due and in the way of
// trimming, and it must not be saved twice at the same time.
func distinct(u journal.Upkeep) (actors []*journal.Resident) {
	seen := map[*journal.Resident]bool{}
	add := func(r *journal.Resident) {
		if !seen[r] {
			seen[r], actors = true, append(actors, r)
		}
	}
	for _, r := range u.Large {
		add(r)
	}
	for _, s := range u.Save {
		add(s.Actor)
	}
	return actors
}

func (k *keeper) failed(err error) {
	k.catalog.mu.Lock()
	k.trouble = err
	k.catalog.mu.Unlock()
	if !errors.Is(err, store.ErrConflict) {
		k.log.Warn("actors cannot be saved, the journal grows", "error", err)
	}
}

// pop forgets the oldest rows. Hold catalog.mu.
func (k *keeper) pop(n int) {
	for _, row := range k.index.Rows[:n] {
		delete(k.scanned, row.ID)
		if j := k.foreign[row.ID]; j != nil {
			delete(k.foreign, row.ID)
			j.rows--
		} else {
			delete(k.starts, row.ID)
			k.popped = uint64(row.ID)
		}
	}
	k.index.Pop(n)
}

// purge removes what was popped, and what only proved something, from the stream. It never
// removes the journal's newest message: the next one expects it.
func (k *keeper) purge(ctx context.Context) {
	newest, needed := k.needed()
	k.catalog.mu.Lock()
	upTo := min(k.popped, newest-1)
	k.catalog.mu.Unlock()
	if newest-k.proofs >= purgeProofs {
		upTo = needed - 1
	}
	now := k.options.now()
	if upTo <= k.purged && len(k.sealed) == 0 || now.Sub(k.purgedAt) < purgeEvery && now.Sub(k.purgedAt) >= 0 {
		return
	}
	k.purgedAt = now
	if !k.purgeSealed(ctx) || upTo <= k.purged {
		return
	}
	if err := k.journals.purge(ctx, k.own.subject, upTo); err != nil {
		k.log.Warn("the journal cannot be purged", "error", err)
		return
	}
	k.purged, k.proofs = upTo, newest
}

// needed returns the sequences of the journal's newest message and of its first one that must stay:
// a message in pieces begins with the first of them, also while the others are being written.
func (k *keeper) needed() (newest, first uint64) {
	newest = k.own.newest.Load() // before the index is read: that has all earlier messages then
	first = newest
	if begun := k.own.begun.Load(); begun != 0 {
		first = min(first, begun)
	}
	k.catalog.mu.Lock()
	defer k.catalog.mu.Unlock()
	for _, row := range k.index.Rows {
		if k.foreign[row.ID] == nil {
			return newest, min(first, cmp.Or(k.starts[row.ID], uint64(row.ID)))
		}
	}
	return newest, first
}

// purgeSealed removes sealed journals of which nothing is needed any more. They go before
// later commits do: a journal must not be left with commits of an actor of which later ones
// are gone.
func (k *keeper) purgeSealed(ctx context.Context) bool {
	k.catalog.mu.Lock()
	var gone, rest []*foreignJournal
	for _, j := range k.sealed {
		if j.rows == 0 {
			gone = append(gone, j)
		} else {
			rest = append(rest, j)
		}
	}
	k.catalog.mu.Unlock()
	done := true
	for i, j := range gone {
		if err := k.journals.purge(ctx, j.subject, j.UpTo); err != nil {
			k.log.Warn("a sealed journal cannot be purged", "journal", j.Name, "error", err)
			rest, done = append(rest, gone[i:]...), false
			break
		}
	}
	k.catalog.mu.Lock()
	defer k.catalog.mu.Unlock()
	k.sealed = rest
	return done
}

// idle saves a batch of the actors that were not used for some time, and drops their states
// from memory.
func (k *keeper) idle(ctx context.Context) {
	now := k.options.now()
	before := now.Add(-k.options.idleAfter)
	const batch = 1024
	k.catalog.mu.Lock()
	if len(k.idling) == 0 && now.Sub(k.idleAt) >= k.options.idleAfter/3 {
		k.idleAt = now
		for _, r := range k.index.ByNum {
			if r.Used.Before(before) && (r.Record != nil || len(r.Locations) == 0) {
				k.idling = append(k.idling, r)
			}
		}
	}
	n := min(batch, len(k.idling))
	actors := k.idling[:n]
	k.idling = k.idling[n:]
	var save []*journal.Resident
	for _, r := range actors {
		if r.Rev != r.Saved && !r.IsBlocked(now) {
			save = append(save, r)
		}
	}
	k.catalog.mu.Unlock()
	if n == 0 {
		return
	}
	if err := k.saveAll(ctx, save); err != nil {
		k.failed(err)
		return
	}
	// What is forgotten is read again: from then on, only from a replica that has its head.
	seq, err := k.writeBarrier(ctx)
	if err != nil {
		k.failed(err)
		return
	}
	k.own.writing.Lock() // the writer has actors in its hands
	defer k.own.writing.Unlock()
	k.catalog.mu.Lock()
	defer k.catalog.mu.Unlock()
	k.barrierSeq = max(k.barrierSeq, seq)
	for _, r := range actors {
		if k.index.ByID[r.ID] == r && r.Rev == r.Saved && r.Used.Before(before) && !r.Leaving {
			k.forget(r)
		}
	}
}
