package delivery

import (
	"container/heap"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
)

// Limits of a batch.
const (
	maxBatch      = 32
	maxBatchBytes = 256 << 10
)

// Outbox is the sender's side of all of its pairs. The zero Outbox has no messages.
type Outbox struct {
	targets  map[string]*target
	ready    []*target        // those that may have something to send
	waiting  waiting          // those that wait for a time; they are not in ready
	inFlight int              // targets with a batch in flight
	changes  []change         // of messages, that are not durable; by revision
	settled  int              // targets that have nothing outstanding and have not been told
	doubted  []*store.Message // see Doubted
}

// target is what an actor has for one receiver.
type target struct {
	id      string
	queue   []*entry  // what the sender has, durably or not, by Order
	attempt uint64    // in flight; 0: none
	silent  int       // how many attempts in a row had no answer
	next    time.Time // change it by Outbox.wait
	ready   bool      // it is in Outbox.ready
	place   int       // in Outbox.waiting, from 1; 0: it is not there
	highest uint64    // Order of those that were removed durably
}

// entry is a message.
type entry struct {
	m        *store.Message
	order    uint64
	durable  bool // with this order
	answered bool // finally
	unmarked bool // and the receiver has no mark for it

	// A process that sent or handled it before may have ended because of it. It waits until
	// that is counted, and is sent alone.
	doubted, alone bool

	attempt uint64 // the newest one that it was in
	died    bool   // the receiver's owner died with it, which the next Edit counts; not durable until then
}

// change is what a commit does to a message.
type change struct {
	rev     uint64
	to      string
	e       *entry
	order   uint64 // of e then
	removed bool
}

func (o *Outbox) target(id string) *target {
	t := o.targets[id]
	if t == nil {
		if o.targets == nil {
			o.targets = map[string]*target{}
		}
		t = &target{id: id}
		o.targets[id] = t
	}
	return t
}

// Edit notes what the commit of a revision does to a message: before is what it was, after
// what it is, with the same ID; nil: there is none. A message that is new, or is sent again
// after it was parked, has a higher Order than all before it. One with the same Order waits
// until its Retry, and so do those behind it.
func (o *Outbox) Edit(before, after *store.Message, rev uint64) {
	was, is := before != nil && before.Parked == "", after != nil && after.Parked == ""
	var e *entry
	if was {
		e = o.find(before.To, before.ID, before.Order)
	}
	switch {
	case was && is && e != nil:
		e.m = after
		if e.order == after.Order && !e.doubted {
			e.answered, e.unmarked = false, false
			o.wait(o.targets[after.To], after.Retry)
			return
		}
		e.doubted = e.died || e.doubted && e.order != after.Order // a new number counts nothing
		e.order, e.durable, e.died = after.Order, false, false
		o.changes = append(o.changes, change{rev: rev, to: after.To, e: e, order: e.order})
	case was && !is && e != nil:
		e.answered = true
		o.changes = append(o.changes, change{rev: rev, to: before.To, e: e, order: e.order, removed: true})
	case !was && is:
		e = o.insert(after)
		o.changes = append(o.changes, change{rev: rev, to: after.To, e: e, order: e.order})
	}
}

// Load adds a message that is stored. If it is the first to its target, it waits until next,
// after a number of attempts without an answer. doubted is whether the process before this
// one may have ended because of it: see Doubted.
func (o *Outbox) Load(m *store.Message, next time.Time, silent int, doubted bool) {
	e := o.insert(m)
	e.durable, e.doubted, e.alone = true, doubted, doubted || m.Fatal > 0
	t := o.targets[m.To]
	if t.queue[0] == e {
		o.wait(t, next)
		t.silent = silent
	}
	o.wake(t)
}

func (o *Outbox) insert(m *store.Message) *entry {
	t := o.target(m.To)
	if len(t.queue) == 0 && t.highest > 0 {
		o.settled--
	}
	e := &entry{m: m, order: m.Order}
	i := len(t.queue)
	for i > 0 && t.queue[i-1].order > e.order { // loaded ones come by their IDs
		i--
	}
	t.queue = slices.Insert(t.queue, i, e)
	return e
}

func (o *Outbox) wake(t *target) {
	if t.place > 0 {
		heap.Remove(&o.waiting, t.place-1)
	}
	if !t.ready {
		t.ready = true
		o.ready = append(o.ready, t)
	}
}

// wait sets until when a target waits.
func (o *Outbox) wait(t *target, next time.Time) {
	t.next = next
	if t.place > 0 {
		heap.Fix(&o.waiting, t.place-1)
	}
}

// Durable notes that all commits up to a revision are durable.
func (o *Outbox) Durable(rev uint64) {
	n := 0
	for ; n < len(o.changes) && o.changes[n].rev <= rev; n++ {
		c := o.changes[n]
		t := o.targets[c.to]
		switch {
		case c.removed:
			t.highest = max(t.highest, c.order)
			t.remove(c.e)
			if len(t.queue) == 0 {
				o.settled++
			}
		case c.e.order == c.order:
			c.e.durable = true
		}
		if len(t.queue) > 0 {
			o.wake(t)
		}
	}
	o.changes = slices.Delete(o.changes, 0, n)
}

func (t *target) remove(e *entry) {
	if t.queue[0] == e {
		t.queue[0] = nil
		t.queue = t.queue[1:]
		return
	}
	t.queue = slices.DeleteFunc(t.queue, func(x *entry) bool { return x == e })
}

// find returns a message of a target with this ID and Order, nil if it is not there.
func (o *Outbox) find(to string, id, order uint64) *entry {
	if t := o.targets[to]; t != nil {
		for _, e := range t.queue {
			if e.m.ID == id && e.order == order {
				return e
			}
		}
	}
	return nil
}

// Limits are how often a message is sent.
type Limits struct {
	Tries int           // after which a message that fails is given up
	Fatal int           // after which it is given up without being run
	Wait  time.Duration // the longest one for a target: what is longer is of a clock that was set back
}

// Batches returns what has to be sent now: a batch for each target that has none in flight.
// attempt numbers them; no two of an actor may have the same. The caller fills in the sender.
func (o *Outbox) Batches(now time.Time, limits Limits, attempt func() uint64) []*host.Delivery {
	var batches []*host.Delivery
	for i, t := range o.ready {
		o.ready[i], t.ready = nil, false
		if t.attempt != 0 || len(t.queue) == 0 {
			continue // the answer makes it ready, or the next message
		}
		if t.isWaiting(now, limits) {
			heap.Push(&o.waiting, t)
			continue
		}
		d, doubted := t.batch(limits, attempt)
		if doubted != nil {
			o.doubted = append(o.doubted, doubted)
		}
		if d != nil {
			t.attempt = d.Attempt
			o.inFlight++
			batches = append(batches, d)
		}
	}
	o.ready = o.ready[:0]
	return batches
}

// batch returns the first messages that may be sent, nil if there are none. If the first one
// is doubted, it returns that.
func (t *target) batch(limits Limits, attempt func() uint64) (d *host.Delivery, doubted *store.Message) {
	bytes := 0
	prev := uint64(0)
	for _, e := range t.queue {
		if e.answered {
			if e.unmarked {
				// After a crash it would be sent again, and if one behind it had run, it would
				// be below the mark and pass for one that has run, too.
				break
			}
			continue
		}
		if !e.durable || d != nil && (len(d.Messages) == maxBatch || bytes+len(e.m.Data) > maxBatchBytes) {
			break
		}
		if e.alone && d != nil {
			break
		}
		if e.doubted {
			return nil, e.m
		}
		if d == nil {
			d = &host.Delivery{
				To:      host.Ref{ID: e.m.To, Name: e.m.Name, Key: e.m.Key},
				Attempt: attempt(),
				Settled: t.settled(),
			}
		}
		e.attempt = d.Attempt
		d.Suspect = d.Suspect || e.m.Fatal > 0
		bytes += len(e.m.Data)
		d.Messages = append(d.Messages, host.DeliveryMessage{
			ID: e.m.ID, Order: e.order, Prev: prev,
			Type: e.m.Type, Version: e.m.Version, Data: e.m.Data,
			Last: e.m.Tries >= limits.Tries-1, Skip: e.m.Fatal >= limits.Fatal,
		})
		prev = e.order
		if e.alone {
			break
		}
	}
	return d, nil
}

// settled returns the number up to which the sender durably has no message.
func (t *target) settled() uint64 {
	if len(t.queue) > 0 {
		return t.queue[0].order - 1
	}
	return t.highest
}

// Outcome is what the answer of a batch means for the sender.
type Outcome struct {
	// Settled are messages with a final answer: the sender removes them, or parks them if they
	// were given up.
	Settled []Answered

	// Failed is the message that has failed and may be tried again: the sender counts that and
	// sets its Retry.
	Failed *Answered

	// Renumber says that the messages to the target need numbers above Floor.
	Renumber bool
	Floor    uint64
}

// Answered is a message with its answer.
type Answered struct {
	Message *store.Message
	host.DeliveryAnswer
}

// Answer takes the answers of an attempt. Those that are not final count only if the attempt is
// the newest one: an older copy of the batch may have run since.
func (o *Outbox) Answer(to string, attempt uint64, answers []host.DeliveryAnswer) (out Outcome) {
	t := o.targets[to]
	if t == nil {
		return out
	}
	newest := t.attempt == attempt
	for _, a := range answers {
		e := o.find(to, a.ID, a.Order)
		if e == nil || e.answered {
			continue
		}
		answered := Answered{e.m, a}
		switch a.Result {
		case host.DeliveryDone, host.DeliveryRefused, host.DeliveryGivenUp:
			e.answered = true
			out.Settled = append(out.Settled, answered)
		case host.DeliveryDestroyed:
			if newest {
				e.answered, e.unmarked = true, true
				out.Settled = append(out.Settled, answered)
			}
		case host.DeliveryRenumber:
			out.Renumber, out.Floor = newest, a.Floor
		case host.DeliveryFailed:
			if newest {
				out.Failed = &answered
			}
		}
	}
	if newest {
		t.attempt, t.silent = 0, 0
		o.wait(t, time.Time{})
		o.inFlight--
		o.wake(t)
	}
	return out
}

// Silent notes that an attempt has no answer; wait returns how long to wait after n of them in a
// row.
func (o *Outbox) Silent(to string, attempt uint64, now time.Time, wait func(n int) time.Duration) {
	t := o.targets[to]
	if t == nil || t.attempt != attempt {
		return
	}
	t.attempt = 0
	o.inFlight--
	t.silent++
	o.wait(t, now.Add(wait(t.silent)))
	o.wake(t)
}

// Renumber returns the messages of a target that need new numbers, in their order.
func (o *Outbox) Renumber(to string) (messages []*store.Message) {
	if t := o.targets[to]; t != nil {
		for _, e := range t.queue {
			if !e.answered {
				messages = append(messages, e.m)
			}
		}
	}
	return messages
}

func (t *target) isWaiting(now time.Time, limits Limits) bool {
	wait := t.next.Sub(now)
	return wait > 0 && wait <= limits.Wait
}

// Wake makes the targets ready whose time to wait is over.
func (o *Outbox) Wake(now time.Time, limits Limits) {
	for len(o.waiting) > 0 && !o.waiting[0].isWaiting(now, limits) {
		o.wake(o.waiting[0])
	}
}

// Next returns the earliest time for which a target waits; zero if none does.
func (o *Outbox) Next() time.Time {
	if len(o.waiting) == 0 {
		return time.Time{}
	}
	return o.waiting[0].next
}

// Wakes returns the earliest time at which something that is outstanding has to be sent: now,
// unless all receivers are waited for. There must be something.
func (o *Outbox) Wakes(now time.Time) (at time.Time) {
	for _, t := range o.targets {
		switch {
		case len(t.queue) == 0:
		case !t.next.After(now):
			return now
		case at.IsZero() || t.next.Before(at):
			at = t.next
		}
	}
	return at
}

// Waiting returns the first messages to the targets that are waited for, as they have to be
// stored for the wait to go on later.
func (o *Outbox) Waiting(now time.Time) (messages []*store.Message, retries []time.Time) {
	for _, t := range o.targets {
		if len(t.queue) == 0 || !t.next.After(now) || t.queue[0].answered || !t.queue[0].durable {
			continue
		}
		messages, retries = append(messages, t.queue[0].m), append(retries, t.next)
	}
	return messages, retries
}

// Pending reports whether the outbox has changes that are not durable.
func (o *Outbox) Pending() bool { return len(o.changes) > 0 }

// Quiet reports whether Notices has any.
func (o *Outbox) Quiet() bool { return o.settled > 0 }

// InFlight reports whether an answer is awaited.
func (o *Outbox) InFlight() bool { return o.inFlight > 0 }

// Notices returns deliveries without messages for the targets for which nothing is
// outstanding, and forgets these targets.
func (o *Outbox) Notices() []*host.Delivery {
	if o.settled == 0 {
		return nil
	}
	var notices []*host.Delivery
	for id, t := range o.targets {
		if len(t.queue) == 0 {
			notices = append(notices, &host.Delivery{To: host.Ref{ID: id}, Settled: t.highest})
			if t.place > 0 {
				heap.Remove(&o.waiting, t.place-1)
			}
			delete(o.targets, id)
		}
	}
	o.settled = 0
	return notices
}

// Settled returns up to which number no message to a receiver is outstanding, where last is the
// highest number of the sender. It holds when all commits so far are durable.
func (o *Outbox) Settled(to string, last uint64) uint64 {
	if t := o.targets[to]; t != nil && len(t.queue) > 0 {
		return t.queue[0].order - 1
	}
	return last
}

// waiting is a heap of targets, by the time until when they wait.
type waiting []*target

// Len implements heap.Interface, as the next four do.
func (w waiting) Len() int           { return len(w) }
func (w waiting) Less(i, j int) bool { return w[i].next.Before(w[j].next) }

func (w waiting) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].place, w[j].place = i+1, j+1
}

func (w *waiting) Push(x any) {
	t := x.(*target)
	*w = append(*w, t)
	t.place = len(*w)
}

func (w *waiting) Pop() any {
	last := len(*w) - 1
	t := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	t.place = 0
	return t
}
