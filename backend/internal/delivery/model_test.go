package delivery_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/delivery"
	"github.com/troupe-dev/troupe/backend/store"
)

// The model: three actors send each other messages over a network that loses, repeats, delays
// and reorders. An actor's commits become durable later than they are made, and it crashes
// in between. Actors are destroyed and made again, and their clocks jump. In the end, each
// message must have run once, or have been refused once, or be parked.

var modelLimits = delivery.Limits{Tries: 3, Fatal: 3, Wait: time.Hour}

// record is what an actor has durably, or will have.
type record struct {
	born             int64
	rev, next, floor uint64
	messages         map[uint64]*store.Message // by ID
	senders          map[string]store.Sender
	ended            uint64
	tombstone        bool
	endedAt          int
}

func (r *record) clone() *record {
	if r == nil {
		return nil
	}
	c := *r
	c.senders, c.messages = maps.Clone(r.senders), make(map[uint64]*store.Message, len(r.messages))
	for id, m := range r.messages {
		copied := *m
		c.messages[id] = &copied
	}
	return &c
}

// commit is a commit that is not durable.
type commit struct {
	record  *record
	truth   []func()
	outputs []packet
}

type actor struct {
	id      string
	disk    *record
	mem     *record
	out     delivery.Outbox
	in      delivery.Inbox
	commits []commit
	skew    int
	flying  map[string]uint64 // attempts, by target
	asked   []store.Sender
}

// packet is something on the network.
type packet struct {
	to       string
	delivery *host.Delivery

	from    string // of all others
	born    int64
	attempt uint64
	answers []host.DeliveryAnswer

	inquiry, settles bool
	settled          uint64
}

// sent is what the world knows of a message.
type sent struct {
	from, to    string
	born        int64
	order       uint64 // its first one
	time        int
	renumbered  bool
	effects     int
	undelivered int
	dropped     bool // its sender was destroyed after it was given up
	fails       bool // now and then
	exists      bool // its commit was durable
}

type world struct {
	*rand.Rand
	mutation string
	time     int
	attempts uint64
	actors   []*actor
	net      []packet
	messages []*sent
	ran      map[string][]int  // by pair
	ends     map[string]uint64 // the number of the last Destroy
	endTimes map[string]int    // and its time
	skewed   bool
	faults   []string
	draining bool
}

func (w *world) faultf(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

func (w *world) chance(p float64) bool { return w.Float64() < p }

func (w *world) now() time.Time { return time.UnixMicro(int64(w.time)) }

func (w *world) actor(id string) *actor {
	i := slices.IndexFunc(w.actors, func(a *actor) bool { return a.id == id })
	return w.actors[i]
}

// load discards what is not durable.
func (w *world) load(a *actor) {
	a.mem, a.commits, a.out, a.in, a.flying = a.disk.clone(), nil, delivery.Outbox{}, delivery.Inbox{}, map[string]uint64{}
	if a.mem == nil {
		return
	}
	w.loadInbox(a)
	for _, id := range slices.Sorted(maps.Keys(a.mem.messages)) {
		if m := a.mem.messages[id]; m.Parked == "" {
			a.out.Load(m, time.Time{}, 0, false)
		}
	}
}

func (w *world) loadInbox(a *actor) {
	senders := slices.Collect(maps.Values(a.mem.senders))
	floor, ended := a.mem.floor, a.mem.ended
	switch w.mutation {
	case "no senders":
		senders = nil
	case "no floor":
		floor = 0
	case "ended ignored":
		ended = 0
	}
	a.in = delivery.NewInbox(senders, floor, ended)
}

// alive makes the actor if it does not exist.
func (w *world) alive(a *actor) {
	if a.mem == nil {
		a.mem = &record{born: int64(w.time)*1000 + int64(w.IntN(1000)), messages: map[uint64]*store.Message{}, senders: map[string]store.Sender{}}
	}
	a.mem.tombstone = false
}

func (w *world) number(a *actor) uint64 {
	a.mem.next = delivery.Next(a.mem.next, time.UnixMicro(int64(max(1, w.time+a.skew))))
	return a.mem.next
}

// edit replaces a message in the next commit.
func (w *world) edit(a *actor, before, after *store.Message) {
	if after == nil {
		delete(a.mem.messages, before.ID)
	} else {
		a.mem.messages[after.ID] = after
	}
	a.out.Edit(before, after, a.mem.rev+1)
}

// commit makes a commit of what is in mem.
func (w *world) commit(a *actor, truth ...func()) {
	a.mem.rev++
	a.commits = append(a.commits, commit{record: a.mem.clone(), truth: truth})
	if w.mutation == "sends what is not durable" {
		a.out.Durable(a.mem.rev)
	}
}

// output sends a packet when all commits so far are durable.
func (w *world) output(a *actor, p packet) {
	if len(a.commits) == 0 || w.mutation == "answers before the gate" {
		w.net = append(w.net, p)
		return
	}
	c := &a.commits[len(a.commits)-1]
	c.outputs = append(c.outputs, p)
}

// persist makes the oldest commit durable.
func (w *world) persist(a *actor) {
	c := a.commits[0]
	a.commits = a.commits[1:]
	a.disk = c.record
	for _, f := range c.truth {
		f()
	}
	w.net = append(w.net, c.outputs...)
	a.out.Durable(c.record.rev)
}

// crash loses what is not durable; the outcome of the oldest commit may be unknown.
func (w *world) crash(a *actor) {
	if len(a.commits) > 0 && w.chance(0.5) {
		a.commits[0].outputs = nil
		w.persist(a)
	}
	w.load(a)
}

func (w *world) newMessage(a *actor, to string) {
	w.alive(a)
	n := w.number(a)
	m := &store.Message{ID: n, Order: n, To: to, Version: len(w.messages)}
	s := &sent{from: a.id, to: to, born: a.mem.born, order: n, time: w.time, fails: w.chance(0.2)}
	w.messages = append(w.messages, s)
	w.edit(a, nil, m)
	w.commit(a, func() { s.exists = true })
}

func (w *world) send(a *actor) {
	if a.mem == nil {
		return
	}
	a.out.Wake(w.now(), modelLimits)
	for _, d := range a.out.Batches(w.now(), modelLimits, func() uint64 { w.attempts++; return w.attempts }) {
		d.From, d.Born = host.Ref{ID: a.id}, a.mem.born
		if k := 1 + w.IntN(len(d.Messages)); k < len(d.Messages) {
			d.Messages = d.Messages[:k]
		}
		a.flying[d.To.ID] = d.Attempt
		w.net = append(w.net, packet{to: d.To.ID, delivery: d})
	}
	if w.chance(0.5) {
		for _, d := range a.out.Notices() {
			d.From, d.Born = host.Ref{ID: a.id}, a.mem.born
			w.net = append(w.net, packet{to: d.To.ID, delivery: d})
		}
	}
}

// giveUpWaiting lets attempts be without an answer.
func (w *world) giveUpWaiting(a *actor) {
	for to, attempt := range a.flying {
		a.out.Silent(to, attempt, w.now(), func(int) time.Duration { return time.Duration(w.IntN(3)) * time.Microsecond })
	}
	clear(a.flying)
}

func (w *world) receive(b *actor, d *host.Delivery) {
	settled := d.Settled
	if w.mutation == "forgets without comparing" && len(d.Messages) == 0 {
		settled = math.MaxUint64
	}
	if b.mem != nil {
		b.in.Settled(d.From.ID, d.Born, settled, w.now())
		if len(d.Messages) == 0 && w.forget(b, true) {
			w.commit(b)
		}
	}
	var answers []host.DeliveryAnswer
	for _, m := range d.Messages {
		if w.mutation == "no prev" {
			m.Prev = 0
		}
		answer, run := b.in.Check(d, &m)
		if run {
			answer.Result = w.run(b, d, &m)
		}
		answers = append(answers, answer)
		if delivery.Stops(answer.Result) {
			break
		}
	}
	if len(answers) > 0 {
		w.output(b, packet{to: d.From.ID, from: b.id, born: d.Born, attempt: d.Attempt, answers: answers})
	}
}

// run runs a message.
func (w *world) run(b *actor, d *host.Delivery, m *host.DeliveryMessage) host.DeliveryResult {
	s := w.messages[m.Version]
	dead := b.mem == nil || b.mem.tombstone
	refusesLife := dead && w.chance(0.05) // OnCreate
	result := host.DeliveryDone
	switch {
	case refusesLife:
		result = host.DeliveryRefused
	case s.fails && w.chance(0.8):
		if result = host.DeliveryFailed; m.Last {
			result = host.DeliveryGivenUp
		}
	case w.chance(0.05):
		result = host.DeliveryRefused
	}
	if result == host.DeliveryFailed || result == host.DeliveryGivenUp && w.mutation == "parks without the mark" {
		return result
	}
	w.alive(b)
	if b.mem.tombstone = refusesLife; refusesLife {
		b.mem.endedAt = w.time
	}
	if ended := w.ends[b.id]; s.order <= ended && !s.renumbered && result == host.DeliveryDone {
		w.faultf("message %d, number %d, runs in a life after %d", m.Version, s.order, ended)
	}
	b.mem.next = max(b.mem.next, m.Order)
	record, floor := b.in.Finish(d, m, result, host.Faultf("code", "text"))
	b.mem.senders[d.From.ID], b.mem.floor = record, floor
	if w.mutation == "refusals not kept" {
		record.Refused = nil
		b.mem.senders[d.From.ID] = record
		w.loadInbox(b)
	}
	w.forget(b, w.chance(0.5))
	pair := fmt.Sprint(d.From.ID, d.Born, b.id)
	w.commit(b, func() {
		if result == host.DeliveryDone {
			s.effects++
			w.ran[pair] = append(w.ran[pair], m.Version)
		}
	})
	return result
}

func (w *world) forget(b *actor, all bool) (any bool) {
	gone, floor := b.in.Forget(w.now(), all)
	for _, id := range gone {
		delete(b.mem.senders, id)
	}
	b.mem.floor = floor
	if w.mutation == "no floor" {
		b.mem.floor = 0
		w.loadInbox(b)
	}
	return len(gone) > 0
}

func (w *world) answer(a *actor, p packet) {
	if a.mem == nil || a.mem.born != p.born {
		return
	}
	attempt := p.attempt
	if newest := a.flying[p.from]; newest != 0 && w.mutation == "answers of old attempts" {
		attempt = newest
	}
	if a.flying[p.from] == attempt {
		delete(a.flying, p.from)
	}
	out := a.out.Answer(p.from, attempt, p.answers)
	for _, x := range out.Settled {
		w.settle(a, x)
	}
	if out.Failed != nil {
		again := *out.Failed.Message
		again.Tries++
		again.Retry = w.now().Add(time.Duration(w.IntN(3)) * time.Microsecond)
		w.edit(a, out.Failed.Message, &again)
		w.commit(a)
	}
	if out.Renumber {
		a.mem.next = max(a.mem.next, out.Floor)
		for _, m := range a.out.Renumber(p.from) {
			again := *m
			again.Order = w.number(a)
			w.messages[m.Version].renumbered = true
			w.edit(a, m, &again)
		}
		w.commit(a)
	}
}

// settle removes a message that has a final answer, or parks it.
func (w *world) settle(a *actor, x delivery.Answered) {
	m, s := x.Message, w.messages[x.Message.Version]
	var parked *store.Message
	truth := func() {}
	switch {
	case x.Result == host.DeliveryGivenUp && !a.mem.tombstone:
		copied := *m
		copied.Parked = "it failed"
		parked = &copied
	case x.Result == host.DeliveryGivenUp:
		truth = func() { s.dropped = true }
	case x.Result != host.DeliveryDone:
		truth = func() { s.undelivered++ }
		if x.Result == host.DeliveryDestroyed && !w.skewed && !s.renumbered && s.time > w.endTimes[m.To]+20 {
			w.faultf("message %d was sent at %d, after %s was destroyed at %d, and is not for its next life", m.Version, s.time, m.To, w.endTimes[m.To])
		}
	}
	w.edit(a, m, parked)
	w.commit(a, truth)
}

// retryParked sends a parked message again, under a new number.
func (w *world) retryParked(a *actor) {
	if a.mem == nil || a.mem.tombstone {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(a.mem.messages)) {
		if m := a.mem.messages[id]; m.Parked != "" {
			again := *m
			again.Order, again.Parked, again.Tries = w.number(a), "", 0
			w.messages[m.Version].renumbered, w.messages[m.Version].fails = true, false
			w.edit(a, m, &again)
			w.commit(a)
			return
		}
	}
}

func (w *world) destroy(a *actor) {
	if a.mem == nil || a.mem.tombstone {
		return
	}
	a.mem.ended, a.mem.tombstone, a.mem.endedAt = w.number(a), true, w.time
	var truth []func()
	for id, m := range a.mem.messages {
		if m.Parked != "" {
			delete(a.mem.messages, id)
			truth = append(truth, func() { w.messages[m.Version].dropped = true })
		}
	}
	ended := a.mem.ended
	w.endTimes[a.id] = w.time
	w.commit(a, append(truth, func() { w.ends[a.id] = ended })...)
	if w.chance(0.2) {
		w.crash(a)
		return
	}
	for len(a.commits) > 0 {
		w.persist(a)
	}
	w.load(a)
}

// wakeTombstone has a tombstone ask its senders, and ends it when nobody needs it.
func (w *world) wakeTombstone(a *actor) {
	if a.mem == nil || !a.mem.tombstone {
		return
	}
	if w.chance(0.3) {
		for _, s := range a.asked {
			a.in.Answered(s.ID, s.Born, 0, false, w.now())
		}
		a.asked = nil
		a.in.Round()
	}
	for _, s := range a.in.Next() {
		a.asked = append(a.asked, s)
		w.output(a, packet{to: s.ID, from: a.id, born: s.Born, inquiry: true})
	}
	if w.forget(a, true) {
		w.commit(a)
	}
	if len(a.commits) > 0 || len(a.mem.messages) > 0 || len(a.mem.senders) > 0 || w.time < a.mem.endedAt+60 {
		return
	}
	if slices.ContainsFunc(w.net, func(p packet) bool { return p.to == a.id && p.delivery != nil }) {
		return // nothing is on the way for as long as a tombstone stands
	}
	a.disk = nil
	delete(w.ends, a.id)
	w.load(a)
}

func (w *world) inquired(a *actor, p packet) {
	settled := uint64(math.MaxUint64)
	if a.mem != nil && a.mem.born == p.born {
		settled = a.out.Settled(p.from, a.mem.next)
	}
	w.output(a, packet{to: p.from, from: a.id, born: p.born, settles: true, settled: settled})
}

func (w *world) arrive(p packet) {
	a := w.actor(p.to)
	switch {
	case p.delivery != nil:
		w.receive(a, p.delivery)
	case p.inquiry:
		w.inquired(a, p)
	case p.settles:
		if a.mem != nil {
			a.in.Answered(p.from, p.born, p.settled, true, w.now())
		}
	default:
		w.answer(a, p)
	}
}
