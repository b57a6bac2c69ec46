package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

// A node's lease is its newest acknowledged message: it may answer from memory until nearly
// Lease after it began to send that message (store.Owner). Others wait for Lease after they
// have learned of the message, and then end the journal, on condition that it is still the
// newest. The owner's count begins before the message is stored and the others' after it, so
// no clocks are compared: only their rates have to be about the same. If the owner has
// written meanwhile, the seal fails. The idea is Gray's and Cheriton's lease, with
// compare-and-set in place of a lock service.
//
// Others often learn late what a node that has died wrote last: after an election, for example. So
// each message says when it was sent, by its sender's clock, and so does what a node says to be
// alive. Others heard the latter after that, and so know a time, by their own clock, before which
// the message was sent: see watched.found.

// aliveSubject is where nodes say that they are alive.
const aliveSubject = "t.a"

// alive is what a node says every sixth of a lease.
type alive struct {
	Slot  uint32 `json:"s"`
	Last  uint64 `json:"l"` // its newest acknowledged message
	Table uint64 `json:"t"` // the revision of the newest table that it knows
	Clock int64  `json:"c"` // its Store's, in ms

	// Serves is that of a table of which the node serves all partitions that it should have;
	// absent while it does not.
	Serves uint64 `json:"v,omitempty"`
}

// watched is what a node knows of another.
type watched struct {
	last    uint64        // its newest known message; 0: none yet
	since   time.Time     // since when
	heard   time.Time     // when it last said that it is alive, or was looked for
	spoke   time.Time     // when it last said that it is alive
	clock   time.Duration // its clock then, or shortly before
	sent    time.Duration // its clock when it sent the newest known message; 0: not known
	looking bool          // a goroutine reads or seals its journal
	serves  uint64        // of its newest alive
}

// announce says that the node is alive, and which table there is.
func (l *life) announce() {
	l.tables.mu.Lock()
	a := alive{Slot: l.slot, Last: l.store.Last(), Table: l.tables.revision, Clock: l.store.Clock().Milliseconds()}
	if l.servesAll(l.tables.current) {
		a.Serves = a.Table
	}
	l.tables.mu.Unlock()
	message, err := json.Marshal(a)
	if err != nil {
		panic(err) // it has numbers only
	}
	if err := l.bus.Publish(aliveSubject, message); err != nil {
		l.Logger.Debug("cluster: alive was not sent", "error", err) // the next one is
	}
}

// servesAll reports whether the node serves all partitions that a table gives it.
func (l *life) servesAll(t *table) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for part, owner := range t.Owner {
		if owner == l.slot && t.Want[part] == l.slot && l.places[part] != serving {
			return false
		}
	}
	return true
}

// taken reports whether all other nodes that are up serve what a table gives them, as far as
// they have said.
func (l *life) taken(t *table, revision uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range t.Nodes {
		if n.State == up && n.Slot != l.slot && l.watchLocked(n.Slot).serves < revision {
			return false
		}
	}
	return true
}

// beatLoop says that the node is alive.
func (l *life) beatLoop(ctx context.Context) {
	tick := time.NewTicker(l.Lease / 6)
	defer tick.Stop()
	for {
		l.announce()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// hearAlive gets what nodes say.
func (l *life) hearAlive(message []byte) {
	var a alive
	if err := json.Unmarshal(message, &a); err != nil {
		l.Logger.Error("cluster: alive does not decode", "error", err)
		return
	}
	l.mu.Lock()
	if a.Slot == l.slot {
		l.mu.Unlock()
		return
	}
	w := l.watchLocked(a.Slot)
	w.hear(a)
	l.mu.Unlock()
	if l.tables.announced(a.Table) {
		l.nudge(burying) // which reads it
	}
	if a.Serves != 0 {
		l.nudge(joining) // which may wait for that
	}
}

// hear notes that a node is alive. Its clock may have stood still before it sent the message that
// was found in its journal, if the machine did: then the message was sent later than found believed,
// and it was sent that long before this.
func (w *watched) hear(a alive) {
	w.heard, w.serves = time.Now(), a.Serves
	w.spoke, w.clock = w.heard, time.Duration(a.Clock)*time.Millisecond
	if a.Last > w.last {
		w.last, w.since, w.sent = a.Last, w.heard, 0
	} else if since := w.heard.Add(min(w.sent-w.clock, 0)); w.sent != 0 && since.After(w.since) {
		w.since = since
	}
}

// maxSilence is for how many leases a node's clock is known after it last spoke: two clocks may
// drift, over these leases and the one that begins then, by less than the tenth of a lease that a
// node keeps from its end (store.Owner): so by 2.5 %.
const maxSilence = 3

// found notes the newest message that was found in a node's journal. The lease of a node that is
// silent begins when it sent that. One that speaks has it from now on: its servers may be slow.
func (w *watched) found(m Written, lease time.Duration) {
	since := time.Now()
	if silent := since.Sub(w.spoke); m.Sent != 0 && w.clock != 0 && silent >= lease/4 && silent < maxSilence*lease {
		if sent := w.spoke.Add(m.Sent - w.clock); sent.Before(since) {
			since = sent
		}
	}
	if w.last, w.sent = m.Seq, m.Sent; since.After(w.since) {
		w.since = since
	}
}

func (l *life) watchLocked(slot uint32) *watched {
	w := l.watched[slot]
	if w == nil {
		w = &watched{}
		l.watched[slot] = w
	}
	return w
}

// observeLoop watches the leases of the other nodes.
func (l *life) observeLoop(ctx context.Context, wait *sync.WaitGroup) {
	tick := time.NewTicker(l.Lease / 24)
	defer tick.Stop()
	own, written := uint64(0), time.Now() // its own newest message, and since when it has it
	for {
		// While the servers take nothing from this node either, as when the one that leads them has
		// died, the silence of a node that says that it is alive means nothing: it gets the time of a
		// lease after that. Otherwise each death of a server would have nodes end each other's
		// journals.
		if last := l.store.Last(); last != own {
			own, written = last, time.Now()
		}
		works := time.Since(written) < l.Lease/2 // it writes every quarter of a lease
		for _, n := range l.tables.newest().Nodes {
			if n.State == sealed || n.Inc == l.inc {
				continue
			}
			l.mu.Lock()
			w := l.watchLocked(n.Slot)
			if !works && time.Since(w.spoke) < l.Lease/2 {
				w.since = time.Now()
			}
			over := w.last != 0 && time.Since(w.since) >= max(l.Lease, n.Lease)
			look := !w.looking && l.dead[n.Slot] == 0 && (over || time.Since(w.heard) >= l.Lease/4)
			expected := w.last
			if look {
				w.looking, w.heard = true, time.Now()
			}
			l.mu.Unlock()
			if look {
				wait.Go(func() { l.look(ctx, n, expected, over) })
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look finds out whether another node writes, because it is silent. If its lease is over, it
// ends its journal.
func (l *life) look(ctx context.Context, n node, expected uint64, over bool) {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	var last Written
	var err error
	if over {
		last.Seq, err = l.store.Seal(ctx, n.Inc, expected)
		if last.Sealed = err == nil; last.Sealed {
			l.seals.Add(1)
		}
	}
	if !over || errors.Is(err, ErrStale) {
		last, err = l.store.LastOf(ctx, n.Inc)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.watchLocked(n.Slot)
	w.looking = false
	switch {
	case err != nil: // it is looked for again
	case last.Sealed:
		l.dead[n.Slot] = last.Seq
		l.nudge(burying)
	case last.Seq > w.last:
		w.found(last, max(l.Lease, n.Lease))
	}
}

// sealDead notes the seals in a table.
func (l *life) sealDead(next *table) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for slot, seal := range l.dead {
		next.seal(slot, seal)
	}
}

// buryLoop follows the table, and writes seals into it.
func (l *life) buryLoop(ctx context.Context) {
	for failed := 0; l.await(ctx, burying, 10*time.Second); {
		switch err := l.tables.catchUp(ctx); {
		case err == nil || ctx.Err() != nil:
			failed = 0
		case errors.Is(err, errFormat):
			l.end(err)
			return
		default:
			if failed++; failed%20 == 2 {
				l.Logger.Warn("cluster: the table was not read, and the node tries again", "node", l.Node.Name, "error", err)
			}
			l.nudge(burying)
			_ = pause(ctx, tryAgain)
		}
		t := l.tables.newest()
		l.mu.Lock()
		missing := false
		for slot := range l.dead {
			if n := t.slot(slot); n == nil || n.State == sealed {
				delete(l.dead, slot)
				delete(l.watched, slot)
			} else {
				missing = true
				l.Logger.Warn("cluster: a node has died", "name", n.Name, "slot", slot)
			}
		}
		l.mu.Unlock()
		if !missing {
			continue
		}
		if _, err := l.tables.change(ctx, func(next *table) error { l.sealDead(next); return nil }); err == nil {
			l.announce()
		}
	}
}
