package runtime

import (
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// doubts are of a process whose predecessor did not close the store, or of partitions whose
// owner before did not give them away: a message that was to run or be sent then may be why. So
// may one that was on its way to an owner that has died. Its methods may be called at the same
// time.
type doubts struct {
	unclean bool // the process before this one ended without closing the store; constant

	mu      sync.Mutex
	adopted map[int]adoption // likewise, of partitions
	counted map[doubted]int  // messages of which this process has counted that they may end it, and their Fatal then

	// Of those, what runs or is on its way, with the receiver; see begin. Those that are
	// counted for the first time do so beside each other; a message that was counted before
	// runs alone.
	running map[doubted]string
	alone   bool
	waiting map[doubted]bool // those that begin has refused

	// How many run and wait, for those that come with each message: most processes have none.
	active atomic.Int64
}

// Of how often begin is asked again.
const (
	trialEvery = 2 * time.Millisecond // by all that wait, on average
	maxTrial   = time.Second          // by one of them
)

// doubted is a message: the id of its actor and its own.
type doubted struct {
	actor   string
	message uint64
}

// adoption is of a partition that an owner before did not give away.
type adoption struct {
	since time.Time // the node has it
	until time.Time // messages are doubted that were to run or be sent: later ones are not why
}

// adopt notes since when the node has a partition, and until when its messages are doubted; zero:
// none are. What was counted of them is of an earlier time.
func (d *doubts) adopt(part int, since, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for m := range d.counted {
		if store.Partition(m.actor) == part {
			delete(d.counted, m)
		}
	}
	if d.adopted == nil {
		d.adopted = map[int]adoption{}
	}
	if delete(d.adopted, part); !until.IsZero() {
		d.adopted[part] = adoption{since, until}
	}
}

// has reports whether a message that was to run or be sent at a time may be why an owner before has
// died, and is not counted yet, or the commit that counted it has failed.
func (d *doubts) has(a *Actor, m *store.Message, at time.Time) bool {
	if at.After(a.since) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if of, died := d.adopted[a.part]; !d.unclean && !(died && of.since.Equal(a.since) && !at.After(of.until)) {
		return false
	}
	n, counted := d.counted[doubted{a.id, m.ID}]
	return !counted || m.Fatal < n
}

// count notes that a message is counted, also for when its actor has left memory: Fatal is
// durable. The store may have it also if the commit fails.
func (d *doubts) count(actor string, m *store.Message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.counted == nil {
		d.counted = map[doubted]int{}
	}
	d.counted[doubted{actor, m.ID}] = m.Fatal
}

// counts reports whether a message was counted by this process, and not changed since.
func (d *doubts) counts(actor string, m *store.Message) bool {
	if m.Fatal == 0 {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counted[doubted{actor, m.ID}] == m.Fatal
}

// begin returns 0 if the message, which is doubted, may run or be sent now. Otherwise the caller
// asks again after the time it returns.
//
// The first end of a process counts all that was to run then: one of them is guilty, perhaps. A
// message that was counted before runs alone, counted just before that, so that the next end
// counts nothing but the guilty one. Without this, messages that happen to be on their way at
// three ends in a row are parked for the one that ends the process each time. What is new since
// the start runs beside them, but what an actor has behind a doubted message, for the same
// receiver, waits for that.
//
// This is group testing with groups of one, as in poison-message handling that shrinks a batch
// after it has failed (Dorfman, "The Detection of Defective Members of Large Populations", 1943).
func (d *doubts) begin(a *Actor, m *store.Message) (wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.measure()
	if d.running == nil {
		d.running, d.waiting = map[doubted]string{}, map[doubted]bool{}
	}
	key := doubted{a.id, m.ID}
	if _, runs := d.running[key]; runs {
		return 0
	}
	if d.alone || m.Fatal > 0 && len(d.running) > 0 {
		d.waiting[key] = true
		return 1 + rand.N(min(2*trialEvery*time.Duration(len(d.waiting)), maxTrial))
	}
	delete(d.waiting, key)
	d.running[key], d.alone = m.To, m.Fatal > 0
	return 0
}

// measure needs d.mu.
func (d *doubts) measure() { d.active.Store(int64(len(d.running) + len(d.waiting))) }

// runs reports whether begin has let a message run that has not ended.
func (d *doubts) runs(actor string, message uint64) bool {
	if d.active.Load() == 0 {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, runs := d.running[doubted{actor, message}]
	return runs
}

// end notes that a message does not run any more, or is not on its way.
func (d *doubts) end(actor string, message uint64) {
	d.endAll(func(m doubted, _ string) bool { return m == doubted{actor, message} })
}

// endOf is end for all messages of an actor, because its instance is gone.
func (d *doubts) endOf(actor string) {
	if d.active.Load() == 0 {
		return
	}
	d.endAll(func(m doubted, _ string) bool { return m.actor == actor })
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.measure()
	maps.DeleteFunc(d.waiting, func(m doubted, _ bool) bool { return m.actor == actor })
}

// endSent is end for the messages of an actor to another.
func (d *doubts) endSent(actor, to string) {
	d.endAll(func(m doubted, of string) bool { return m.actor == actor && of == to })
}

func (d *doubts) endAll(which func(m doubted, to string) bool) {
	if d.active.Load() == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.measure()
	for m, to := range d.running {
		if which(m, to) {
			delete(d.running, m)
		}
	}
	d.alone = d.alone && len(d.running) > 0
}
