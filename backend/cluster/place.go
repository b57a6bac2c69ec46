package cluster

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// placing is what an incarnation does with a partition.
type placing uint8

const (
	away    placing = iota // nothing: it is another node's, or has not been adopted yet
	taking                 // it is being adopted
	serving                // its actors run here
	leaves                 // it is being given away
)

const (
	giveAtOnce = 16              // partitions that a node gives away at a time: their actors wait meanwhile
	drainFor   = 5 * time.Second // how long a partition that is given away waits for its actors' turns
	unsureWait = 50 * time.Millisecond
	keepFor    = time.Minute // how long a partition that the store has kept is not tried again

	// doubtFor is how long a node has to have a partition whose owner has died to have counted that in
	// its messages: by then it has woken all actors that have some to send, 10 s after they were sent.
	// Before, the next owner counts it: who gives a partition away takes back what it has counted.
	doubtFor = 15 * time.Second
)

// take finds partitions of this node that are in one state, at most most of them, and puts
// them into another.
func (l *life) take(from, to placing, most int, which func(t *table, part int) bool) []int {
	t := l.tables.newest()
	l.mu.Lock()
	defer l.mu.Unlock()
	var parts []int
	for part, owner := range t.Owner {
		if owner == l.slot && l.places[part] == from && len(parts) < most && which(t, part) {
			parts = append(parts, part)
			l.places[part] = to
		}
	}
	return parts
}

func (l *life) setPlaces(parts []int, to placing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, part := range parts {
		l.places[part] = to
	}
}

// adoptLoop takes the partitions that the table gives to this node.
func (l *life) adoptLoop(ctx context.Context) {
	for l.await(ctx, adopting, 10*time.Second) {
		parts := l.take(away, taking, store.Partitions, func(t *table, part int) bool { return t.Want[part] == l.slot })
		if len(parts) == 0 {
			continue
		}
		began := time.Now()
		if err := l.again(ctx, "adopt partitions", func(ctx context.Context) error {
			t := l.tables.newest() // at each try: journals end, and are deleted
			past := t.journals(t.Past, parts)
			if l.gave(parts) {
				past = append(past, Journal{Inc: l.inc})
			}
			return l.store.Adopt(ctx, parts, t.journals(t.Debts, parts), past)
		}); err != nil {
			l.Logger.Error("cluster: partitions were not adopted", "node", l.Node.Name, "error", err)
			l.setPlaces(parts, away)
			continue
		}
		l.adopts.Observe(time.Since(began))
		l.serve(parts)
		l.announce()
	}
}

// serve lets the actors of partitions run.
func (l *life) serve(parts []int) {
	now := time.Now()
	t := l.tables.newest()
	for _, part := range parts {
		l.since[part].Store(&now)
		l.actors.Adopt(part, t.doubted(part, now))
	}
	l.setPlaces(parts, serving) // not before: it may be given away from then on
	l.nudge(giving, saving, speaking)
}

// journals returns the journals of the slots of one of the table's lists that have one of
// the partitions.
func (t *table) journals(of map[uint32][]int, parts []int) []Journal {
	var journals []Journal
	for i := range t.Nodes {
		n := &t.Nodes[i]
		if slices.ContainsFunc(parts, func(p int) bool { return slices.Contains(of[n.Slot], p) }) {
			journals = append(journals, Journal{Inc: n.Inc, Seal: n.Seal})
		}
	}
	return journals
}

// giveLoop gives partitions to the nodes that should have them.
func (l *life) giveLoop(ctx context.Context) {
	wait := 10 * time.Second
	elsewhere := func(t *table, part int) bool {
		if t.Want[part] == l.slot || t.Want[part] == 0 || l.isKeptLocked(part) {
			return false
		}
		if l.unsure(t, part) {
			wait = unsureWait
			return false
		}
		return true
	}
	for l.await(ctx, giving, wait) {
		wait = 10 * time.Second
		for ctx.Err() == nil {
			if soon := l.take(serving, serving, giveAtOnce, elsewhere); len(soon) > 0 {
				if err := l.store.Prepare(ctx, soon); err != nil && ctx.Err() == nil {
					l.Logger.Debug("cluster: partitions are given away that were not saved before", "node", l.Node.Name, "error", err)
				}
			}
			parts := l.take(serving, leaves, giveAtOnce, elsewhere)
			adopted, then := map[int]time.Time{}, time.Now() // saving them may take long
			if len(parts) == 0 {
				parts = l.take(away, leaves, store.Partitions, elsewhere) // nothing was done with them
			} else {
				for _, part := range parts {
					if since, owns := l.owns(part); owns {
						adopted[part] = since
					}
				}
				kept, err := l.release(ctx, parts)
				if err != nil {
					break
				}
				parts = l.keep(parts, kept)
			}
			if len(parts) == 0 {
				if len(adopted) > 0 {
					continue // the store has kept them all
				}
				break
			}
			l.mu.Lock()
			for _, part := range parts {
				l.given[part] = time.Now() // before the table says it
			}
			l.mu.Unlock()
			_, err := l.tables.change(ctx, func(next *table) error { next.give(l.slot, parts, adopted, then); return nil })
			l.setPlaces(parts, away)
			if err != nil {
				break
			}
			l.announce()
			l.nudge(adopting, joining) // perhaps they should stay after all
		}
	}
}

// release ends the actors of partitions, and saves them. From its beginning the node no longer
// has the partitions. Turns that do not end in time can no longer commit. It tries to save until
// ctx ends. See Store.Release for those that are kept.
func (l *life) release(ctx context.Context, parts []int) (kept []int, err error) {
	l.drain(ctx, parts, drainFor)
	err = l.again(ctx, "save partitions", func(ctx context.Context) (err error) {
		kept, err = l.store.Release(ctx, parts)
		return err
	})
	return kept, err
}

// drain ends the actors of partitions, and waits at most that long for their turns. From its beginning
// the node no longer has the partitions.
func (l *life) drain(ctx context.Context, parts []int, most time.Duration) {
	for _, part := range parts {
		l.since[part].Store(nil)
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	if err := l.actors.Release(ctx, parts); err != nil && !errors.Is(err, context.Canceled) {
		l.Logger.Warn("cluster: the actors of partitions did not end in time", "partitions", parts, "error", err)
	}
}

// keep serves those of the partitions again that the store has kept, and returns the others.
func (l *life) keep(parts, kept []int) (released []int) {
	if len(kept) == 0 {
		return parts
	}
	l.Logger.Error("cluster: partitions stay on this node, because what is stored of an actor of each is damaged: the journal has the only copy of its newest commits",
		"node", l.Node.Name, "partitions", kept)
	l.mu.Lock()
	for _, part := range kept {
		l.kept[part] = time.Now()
	}
	l.mu.Unlock()
	l.serve(kept)
	l.nudge(joining) // who leaves does not wait for them
	return slices.DeleteFunc(slices.Clone(parts), func(part int) bool { return slices.Contains(kept, part) })
}

// unsure reports whether a partition is not to be given away yet, because its actors are to count that
// another node has died. Who leaves does not wait for that.
func (l *life) unsure(t *table, part int) bool {
	me := t.slot(l.slot)
	return l.speaker != nil && me != nil && me.State == up && l.speaker.Unsure(part)
}

// isKeptLocked reports whether a partition is not to be given away yet, see keep.
func (l *life) isKeptLocked(part int) bool {
	return !l.kept[part].IsZero() && time.Since(l.kept[part]) < keepFor
}

// saveLoop saves what only the journals of dead nodes have.
func (l *life) saveLoop(ctx context.Context) {
	for l.await(ctx, saving, 10*time.Second) {
		t := l.tables.newest()
		for slot, owed := range t.Debts {
			parts := l.take(serving, serving, store.Partitions, func(_ *table, part int) bool { return slices.Contains(owed, part) })
			n := t.slot(slot)
			if len(parts) == 0 || n == nil {
				continue
			}
			if err := l.store.Save(ctx, parts, Journal{n.Inc, n.Seal}); err != nil {
				if ctx.Err() == nil {
					l.Logger.Warn("cluster: actors of a dead node were not saved yet", "node", l.Node.Name, "error", err)
				}
				continue
			}
			if _, err := l.tables.change(ctx, func(next *table) error { next.saved(l.slot, slot, parts); return nil }); err == nil {
				l.announce()
			}
		}
	}
}

// abandoned is how long a journal of an incarnation that has not joined stays.
const abandoned = 10 * time.Minute

// tidyLoop forgets journals that nobody needs any more: the node with the lowest slot does it
// for the dead and for those that have never joined, and each node says of what it gave away when
// that is over. While all nodes have what they should have, it also gathers the streams' leaders.
func (l *life) tidyLoop(ctx context.Context) {
	tick := time.NewTicker(max(time.Second, l.Window/10))
	defer tick.Stop()
	settled := map[uint32]time.Time{} // since when nobody owes anything to a dead node's journal
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		t := l.tables.newest()
		if len(l.passed(t)) > 0 {
			// A partition may have come and gone since: ask again at the change.
			if _, err := l.tables.change(ctx, func(next *table) error { next.passed(l.slot, l.passed(next)); return nil }); err == nil {
				l.announce()
			}
		}
		var dead []uint32
		lowest := uint32(0)
		for _, n := range t.Nodes {
			if n.State == up && (lowest == 0 || n.Slot < lowest) {
				lowest = n.Slot
			}
			if n.State == sealed && len(t.Debts[n.Slot]) == 0 && !slices.Contains(t.Owner, n.Slot) {
				dead = append(dead, n.Slot)
			}
		}
		if lowest == l.slot && l.calm() {
			if err := l.store.Gather(ctx); err != nil && ctx.Err() == nil {
				l.Logger.Debug("cluster: the streams are not led by one server yet", "error", err)
			}
		}
		if lowest == l.slot {
			if err := l.store.Tidy(ctx, abandoned, func(inc string) bool { return t.inc(inc) != nil }); err != nil && ctx.Err() == nil {
				l.Logger.Warn("cluster: journals of nodes that have never joined were not deleted yet", "error", err)
			}
		}
		maps.DeleteFunc(settled, func(slot uint32, _ time.Time) bool { return !slices.Contains(dead, slot) })
		for _, slot := range dead {
			n := t.slot(slot)
			if settled[slot].IsZero() {
				settled[slot] = time.Now()
			}
			if lowest != l.slot || time.Since(settled[slot]) < l.Window {
				continue
			}
			if err := l.store.Delete(ctx, Journal{n.Inc, n.Seal}); err != nil {
				l.Logger.Warn("cluster: the journal of a dead node was not deleted yet", "error", err)
				continue
			}
			if _, err := l.tables.change(ctx, func(next *table) error { next.forget(slot); return nil }); err == nil {
				l.announce()
			}
		}
	}
}

// calm reports whether all nodes are up, and serve what they should have.
func (l *life) calm() bool {
	l.tables.mu.Lock()
	t, revision := l.tables.current, l.tables.revision
	l.tables.mu.Unlock()
	leaves := slices.ContainsFunc(t.Nodes, func(n node) bool { return n.State == leaving })
	return !leaves && l.servesAll(t) && l.taken(t, revision)
}

// gave reports whether the node gave one of the partitions up within the window, also if the
// table has never said so.
func (l *life) gave(parts []int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(parts, func(part int) bool { return !l.given[part].IsZero() && time.Since(l.given[part]) < l.Window })
}

// passed returns the partitions that the node gave away a window ago. If others have ended its
// journal, they have taken partitions that it did not give: until when these need it is theirs
// to say.
func (l *life) passed(t *table) []int {
	if me := t.slot(l.slot); me == nil || me.State == sealed {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(t.Past[l.slot]), func(part int) bool { return time.Since(l.given[part]) < l.Window })
}

// nudge makes loops look at the table.
func (l *life) nudge(which ...int) {
	for _, loop := range which {
		select {
		case l.wake[loop] <- struct{}{}:
		default:
		}
	}
}
