package runtime

import (
	"fmt"
	"maps"
	"math/bits"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/delivery"
	"github.com/troupe-dev/troupe/backend/store"
)

const (
	// findSender is when the node looks after an actor with unsent messages, should the
	// process end meanwhile.
	findSender = 10 * time.Second

	// settleAfter is how long the end of a message waits for a commit that has it, too.
	settleAfter = 100 * time.Millisecond

	// quietAfter is how long an actor waits before it tells a receiver that nothing is
	// outstanding: it may send again.
	quietAfter = 10 * time.Second
)

var sendLimits = delivery.Limits{Tries: maxTries, Fatal: maxFatal, Wait: maxRetry}

// Send adds a message to another actor, and returns its id, which is empty if the turn fails
// for it.
func (m Messages) Send(to host.Ref, message any) (id string) {
	if !m.writable("send a message") {
		return ""
	}
	typ, version, data, err := m.encodeFor(to, message)
	if err != nil {
		m.t.Fail(err)
		return ""
	}
	number := m.t.in.messages.nextNumber()
	if !m.add(&store.Message{
		ID: number, Order: number, To: host.ActorID(to.Name, to.Key), Name: to.Name, Key: to.Key,
		Type: typ, Version: version, Data: data,
	}) {
		return ""
	}
	return m.id(number)
}

// encodeFor returns the stored form of a message to another actor.
func (m Messages) encodeFor(to host.Ref, message any) (typ string, version int, data []byte, err error) {
	d := m.t.in.actor.node.defs[to.Name]
	if d == nil {
		return "", 0, nil, fmt.Errorf("send a message to %q: there is no actor of that name in the registry", to.Name)
	}
	if bad := to.Key.Check(); bad != nil {
		return "", 0, nil, fmt.Errorf("send a message to %q: %w", to.Name, bad)
	}
	h := d.Handlers.Of(reflect.TypeOf(message))
	if h == nil {
		return "", 0, nil, undeclared(d, message)
	}
	data, err = encodeMessage(h.Name, message)
	return h.Name, d.Version(), data, err
}

// Sender returns the actor whose message the turn handles. ok is false if it is the actor's
// own, or none.
func (m Messages) Sender() (from host.Ref, ok bool) {
	if !m.t.Use() || m.t.from == nil {
		return host.Ref{}, false
	}
	return *m.t.from, true
}

// sends is what an instance knows of its messages to other actors, beside the messages
// themselves. It belongs to the instance's goroutine.
type sends struct {
	in     *instance
	outbox delivery.Outbox
	due    time.Time // while some are outstanding: when the actor has to be awake for them

	// Times at which run has something to do; zero: never.
	retryAt  time.Time // a receiver that did not answer is tried again; by the node's clock, since it is stored
	settleAt time.Time // removals are made durable
	quietAt  time.Time // receivers are told that nothing is outstanding
	timer    *time.Timer
	firesAt  time.Time // at the latest; zero: it is not set

	// Messages that are not sent before they may be alone, see doubts.begin, and whether the death
	// of their receiver's owner is counted.
	trials map[uint64]bool

	changed bool // the commit that is made changes messages to other actors
	held    bool // nothing is sent now
	leaving bool
}

// load takes the stored messages. Everything that is outstanding is durable and is sent again.
func (s *sends) load(snap *store.Snapshot) {
	ms := s.in.messages
	if ms.outgoing+ms.parked == 0 {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(ms.byID)) { // it changes meanwhile
		switch m := ms.byID[id]; {
		case m.To == "":
		case m.Parked == "":
			s.due = snap.Due
			next, silent := s.resume(m)
			s.outbox.Load(m, next, silent, s.doubts(m))
		case strings.HasPrefix(m.Parked, unhandledPrefix):
			if d := s.in.actor.node.defs[m.Name]; d != nil {
				if _, err := d.Handlers.Find(m.Type, m.Version); err == nil {
					again := *m
					again.Order, again.Parked, again.Tries, again.Retry = ms.nextNumber(), "", 0, time.Time{}
					s.keep(m, &again)
				}
			}
		}
	}
	if s.late() {
		for _, m := range ms.byID {
			if m.To != "" && m.Parked == "" {
				again := *m
				s.keep(m, &again) // the commit sets the time, too
				return
			}
		}
	}
}

// late reports whether the clock was set back since the time was set at which the actor has to
// be awake: nothing waits for so long. The next commit of a message sets it again.
func (s *sends) late() bool {
	return s.due.After(s.in.actor.node.now().Add(maxRetry + findSender))
}

// resume returns until when a stored message waits, and after how many attempts without an answer
// if it waited when the actor left memory: about as many as there were since it got its number. If
// that is in the future, the clock was set back, and it has waited for as long as that at least.
func (s *sends) resume(m *store.Message) (next time.Time, silent int) {
	if m.Retry.IsZero() {
		return m.Retry, 0
	}
	now := s.in.actor.node.now()
	return m.Retry, bits.Len64(uint64(now.Sub(time.UnixMicro(int64(m.Order))).Abs() / time.Second))
}

// doubts reports whether a stored message may be why the process before this one ended: it
// may have been on its way. See messages.mayRun. If only the receiver's process has ended, the
// courier says so: see delivery.Outbox.Doubt.
func (s *sends) doubts(m *store.Message) bool {
	a := s.in.actor
	return a.node.doubts.has(a, m, time.UnixMicro(int64(m.Order)))
}

// count counts, before they are sent again, that messages may have ended the process. It reports
// whether some were counted before that now may be sent. Those that have to be alone and cannot be
// now wait.
func (s *sends) count(doubted []*store.Message) (again bool) {
	a := s.in.actor
	counted := false
	for _, m := range doubted {
		died := s.trials[m.ID]
		if died && m.Fatal < maxFatal || !died && m.Fatal+1 < maxFatal { // else it is sent to be given up
			if wait := a.node.doubts.begin(a, m); wait > 0 {
				s.outbox.Postpone(m.To, a.node.now().Add(wait))
				s.try(m.ID, died)
				continue
			}
		}
		if died {
			delete(s.trials, m.ID)
			s.outbox.Trust(m)
			again = true
			continue
		}
		next := *m
		next.Fatal++
		s.keep(m, &next)
		a.node.doubts.count(a.id, &next)
		counted = true
	}
	if counted {
		s.commit("count") // cannot be abandoned: it runs no code of the author
	}
	return again
}

// try notes that a message is not sent before it may be alone; counted as in trials.
func (s *sends) try(message uint64, counted bool) {
	if s.trials == nil {
		s.trials = map[uint64]bool{}
	}
	s.trials[message] = counted
}

// keep replaces a message in the next commit, whichever turn has it.
func (s *sends) keep(before, after *store.Message) {
	s.in.messages.edit(before, after)
	s.in.messages.keep()
	if s.settleAt.IsZero() {
		s.settleAt = time.Now().Add(settleAfter)
	}
}

// save notes what a commit does to the messages.
func (s *sends) save(commit *store.Commit) {
	ms := s.in.messages
	for _, e := range ms.edits {
		if m := e.after; m != nil && m.To != "" || e.before != nil && e.before.To != "" {
			s.outbox.Edit(e.before, e.after, commit.Rev)
			s.changed = true
			if e.before != nil && (m == nil || m.Parked != "" || !s.trials[m.ID]) {
				delete(s.trials, e.before.ID) // it is counted, or gone
			}
		}
	}
	s.settleAt = time.Time{}
	s.in.actor.gate.wake = s.changed && !s.leaving && !s.in.actor.node.committer.store.Immediate()
	switch {
	case ms.outgoing == 0:
		s.due = time.Time{}
	case s.due.IsZero(), s.late():
		s.due = dueTime(s.in.actor.node.now().Add(findSender))
	}
}

// commit makes a commit of the messages that are not in one, unless the actor was destroyed:
// a commit would begin another life. It reports false if the instance was abandoned meanwhile.
func (s *sends) commit(what string) bool {
	if s.in.life.over {
		return true
	}
	t := s.in.begin(what, s.in.def.Options.ActionTimeout, nil)
	t.readOnly = true
	o, ok := t.execute(func() (any, error) { return nil, nil })
	if ok {
		s.in.apply(t, o, reply{store: true, bare: true})
	}
	return ok
}

// applied sends what the commit that was just made has made durable, if the store is
// immediate; else the gate reports when it is.
func (s *sends) applied() {
	if s.changed && !s.held && !s.leaving && s.in.actor.node.committer.store.Immediate() {
		s.send()
	}
	s.changed = false
}

// settle makes a commit of the removals that wait for one. It reports false if the instance
// was abandoned meanwhile.
func (s *sends) settle() bool { return s.settleAt.IsZero() || s.commit("settle") }

// run does what is due. It reports false if the instance was abandoned meanwhile.
func (s *sends) run() bool {
	now := time.Now()
	if !s.settleAt.IsZero() && !now.Before(s.settleAt) && !s.settle() {
		return false
	}
	if !s.quietAt.IsZero() && !now.Before(s.quietAt) {
		s.tell()
	}
	if !s.retryAt.IsZero() {
		s.outbox.Wake(s.in.actor.node.now(), sendLimits)
	}
	s.send()
	return true
}

// send sends what may be sent.
func (s *sends) send() {
	now := time.Now()
	s.outbox.Durable(s.in.actor.gate.durable(s.in.rev))
	for again := true; again; {
		for _, d := range s.outbox.Batches(s.in.actor.node.now(), sendLimits, func() uint64 { return s.in.actor.node.attempts.Add(1) }) {
			s.post(d)
		}
		again = s.count(s.outbox.Doubted())
	}
	s.retryAt = s.outbox.Next()
	if s.quietAt.IsZero() && s.outbox.Quiet() {
		s.quietAt = now.Add(quietAfter)
	}
	s.arm()
}

// post hands a delivery to the courier.
func (s *sends) post(d *host.Delivery) {
	a := s.in.actor
	d.From, d.Born = a.ref(), s.in.born
	to, attempt := d.To.ID, d.Attempt
	a.node.courier.Deliver(d, func(answers []host.DeliveryAnswer, err error) {
		if attempt != 0 {
			a.node.tell(host.Ref{ID: a.id}, &answerEnvelope{born: d.Born, to: to, attempt: attempt, answers: answers, err: err})
		}
	})
}

// tell tells receivers that nothing is outstanding.
func (s *sends) tell() {
	s.quietAt = time.Time{}
	for _, d := range s.outbox.Notices() {
		s.post(d)
	}
}

// arm sets the timer for the next time at which run has something to do.
func (s *sends) arm() {
	at := earlier(s.settleAt, s.quietAt)
	if !s.retryAt.IsZero() {
		at = earlier(at, time.Now().Add(min(s.retryAt.Sub(s.in.actor.node.now()), maxRetry)))
	}
	if at.IsZero() || !s.firesAt.IsZero() && !at.Before(s.firesAt) {
		return
	}
	s.firesAt = at
	if s.timer == nil {
		s.timer = time.AfterFunc(time.Until(at), s.in.actor.wakeSends)
	} else {
		s.timer.Reset(time.Until(at))
	}
}

// stop ends the timer.
func (s *sends) stop() {
	if s.timer != nil {
		s.timer.Stop()
	}
}

// busy reports whether the actor has to stay in memory for its messages.
func (s *sends) busy() bool {
	return s.outbox.InFlight() || s.outbox.Pending() || len(s.trials) > 0
}

// leave makes the commit that the actor needs before it leaves memory, if any: what is
// settled, and when the next try is. It reports false if the instance was abandoned meanwhile.
func (s *sends) leave() bool {
	s.tell()
	due, now := s.due, s.in.actor.node.now()
	if s.in.messages.outgoing > 0 {
		due = dueTime(s.outbox.Wakes(now))
	}
	waiting, retries := s.outbox.Waiting(now)
	for i, m := range waiting {
		if retry := dueTime(retries[i]); !retry.Equal(m.Retry) {
			next := *m
			next.Retry = retry
			s.keep(m, &next)
		}
	}
	if s.in.rev == 0 || due.Equal(s.due) && s.settleAt.IsZero() && !s.in.inbox.marks.Forgets() {
		return true
	}
	s.due, s.leaving = due, true
	return s.commit("leave")
}

// sendWaker returns a function that has an actor's goroutine look after its messages to other
// actors. It may be called from any goroutine.
func sendWaker(a *Actor) func() {
	return func() {
		if a.sending.CompareAndSwap(false, true) && !a.box.post(sendEnvelope{}) {
			a.sending.Store(false)
		}
	}
}

// sendEnvelope makes the actor's goroutine send what has become durable.
type sendEnvelope struct{ wakeEnvelope }

func (sendEnvelope) refuse(a *Actor, _ *host.Fault) { a.sending.Store(false) }

func (sendEnvelope) deliver(in *instance) bool {
	in.actor.sending.Store(false)
	in.sends.firesAt = time.Time{}
	return in.sends.run()
}
