package runtime

import (
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"reflect"
	"strings"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/delivery"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
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
	retryAt  time.Time // a receiver that did not answer is tried again
	settleAt time.Time // removals are made durable
	quietAt  time.Time // receivers are told that nothing is outstanding
	timer    *time.Timer
	firesAt  time.Time

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
	for _, m := range ms.byID {
		switch {
		case m.To == "":
		case m.Parked == "":
			s.due = snap.Due
			next, silent := resume(m)
			s.outbox.Load(m, next, silent)
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
}

// resume returns until when a stored message waits, and after how many attempts without an answer
// if it waited when the actor left memory: about as many as there were since it got its number.
func resume(m *store.Message) (next time.Time, silent int) {
	if m.Retry.IsZero() {
		return m.Retry, 0
	}
	now := time.Now()
	next = now.Add(min(m.Retry.Sub(now), maxRetry)) // also if the clock was set back
	return next, bits.Len64(uint64(max(now.Sub(time.UnixMicro(int64(m.Order))), 0) / time.Second))
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
		}
	}
	s.settleAt = time.Time{}
	s.in.actor.gate.wake = s.changed && !s.leaving && !s.in.actor.node.committer.store.Immediate()
	switch {
	case ms.outgoing == 0:
		s.due = time.Time{}
	case s.due.IsZero():
		s.due = dueTime(commit.Time.Add(findSender))
	}
}

// commit makes a commit of the messages that are not in one. It reports false if the
// instance was abandoned meanwhile.
func (s *sends) commit(what string) bool {
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
	if !s.retryAt.IsZero() && !now.Before(s.retryAt) {
		s.outbox.Wake(now)
	}
	s.send()
	return true
}

// send sends what may be sent.
func (s *sends) send() {
	now := time.Now()
	s.outbox.Durable(s.in.actor.gate.durable(s.in.rev))
	for _, d := range s.outbox.Batches(now, maxTries, func() uint64 { return s.in.actor.node.attempts.Add(1) }) {
		s.post(d)
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
	at := earlier(earlier(s.retryAt, s.settleAt), s.quietAt)
	if at.Equal(s.firesAt) {
		return
	}
	s.firesAt = at
	switch {
	case at.IsZero():
		s.timer.Stop()
	case s.timer == nil:
		s.timer = time.AfterFunc(time.Until(at), s.in.actor.wakeSends)
	default:
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
func (s *sends) busy() bool { return s.outbox.InFlight() || s.outbox.Pending() }

// leave makes the commit that the actor needs before it leaves memory, if any: what is
// settled, and when the next try is. It reports false if the instance was abandoned meanwhile.
func (s *sends) leave() bool {
	s.tell()
	due, now := s.due, time.Now()
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

// answerEnvelope brings the answers of a batch to its sender, or why there are none. The next
// instance of a sender that cannot be loaded sends the batch again.
type answerEnvelope struct {
	wakeEnvelope
	born    int64
	to      string
	attempt uint64
	answers []host.DeliveryAnswer
	err     error
}

func (m *answerEnvelope) deliver(in *instance) bool {
	if in.born != m.born {
		return true
	}
	s := &in.sends
	if m.err != nil {
		s.silent(m)
		return s.run()
	}
	s.held = true // until a message that has failed waits, and what has to be renumbered is
	ok := s.answered(m)
	s.held = false
	return ok && (in.life.over || s.run())
}

// answered handles the answers of a batch. It reports false if the instance was abandoned
// meanwhile.
func (s *sends) answered(m *answerEnvelope) bool {
	out := s.outbox.Answer(m.to, m.attempt, m.answers)
	for _, x := range out.Settled {
		if !s.settled(x) {
			return false
		}
		if s.in.life.over {
			return true // the next instance has the batch sent again
		}
	}
	if out.Failed != nil && !s.failed(out.Failed) {
		return false
	}
	return !out.Renumber || s.renumber(m.to, out.Floor)
}

// noteworthy is after how many attempts without an answer the log says so.
const noteworthy = 7 // about a minute

// silent notes that an attempt has no answer.
func (s *sends) silent(m *answerEnvelope) {
	s.outbox.Silent(m.to, m.attempt, time.Now(), func(n int) time.Duration {
		if n == noteworthy {
			s.in.actor.logger().Warn("messages wait for an actor that does not answer", "to", m.to, "error", m.err)
		}
		return backoff(n)
	})
}

// settled notes the final answer of a message.
func (s *sends) settled(x delivery.Answered) bool {
	switch x.Result {
	case host.DeliveryDone:
		s.keep(x.Message, nil)
		return true
	case host.DeliveryGivenUp:
		if s.in.life.tombstone {
			s.log(x).Error("message dropped: the handler of its receiver keeps failing, and its sender was destroyed", "error", x.Err)
			s.keep(x.Message, nil)
			return true
		}
		parked := *x.Message
		parked.Parked, parked.Retry = parkedText(faultError(x.Err)), time.Time{}
		s.log(x).Error("message parked: the handler of its receiver keeps failing", "error", parked.Parked)
		s.keep(x.Message, &parked)
		return true
	default:
		return s.undelivered(x)
	}
}

// undelivered has the actor handle that a message was refused, in the turn that removes it.
func (s *sends) undelivered(x delivery.Answered) bool {
	in, m := s.in, x.Message
	reason := x.Err
	if reason == nil {
		reason = host.Faultf(wire.CodeDestroyed, "the receiver was destroyed after the message was sent")
	}
	hook := in.def.Hooks["OnUndelivered"]
	if hook == nil || in.life.tombstone {
		s.log(x).Warn("message was not delivered", "error", reason)
		s.keep(m, nil)
		return true
	}
	t := in.begin("OnUndelivered", in.def.Options.ActionTimeout, nil)
	t.message, t.bounded = m, true
	in.messages.edit(m, nil)
	o, ok := t.execute(func() (any, error) {
		_, err := hook.Call(in.state.value, t, in.def.Undelivered(definition.Undelivered{
			ID: messageID(in.actor.id, m.ID), To: host.Ref{ID: m.To, Name: m.Name, Key: m.Key}, Type: m.Type, Data: m.Data, Err: reason,
		}))
		return nil, err
	})
	if !ok {
		return false
	}
	if o.err == nil {
		in.apply(t, o, reply{})
		return true
	}
	// It is sent again, has the same answer, and the hook runs again.
	return in.messages.failed(m, o.cause, in.actor.node.now())
}

// failed counts a try of a message.
func (s *sends) failed(x *delivery.Answered) bool {
	next := *x.Message
	next.Tries++
	if x.Abandoned {
		next.Fatal++
	}
	next.Retry = dueTime(time.Now().Add(backoff(next.Tries)))
	s.log(*x).Warn("message failed at its receiver; it will be sent again", "tries", next.Tries, "at", next.Retry, "error", x.Err)
	return s.in.messages.record(x.Message, func() { s.in.messages.edit(x.Message, &next) })
}

// renumber gives what is outstanding for a receiver numbers above a floor.
func (s *sends) renumber(to string, floor uint64) bool {
	ms := s.in.messages
	ms.number = max(ms.number, floor)
	for _, m := range s.outbox.Renumber(to) {
		next := *m
		next.Order = ms.nextNumber()
		s.keep(m, &next)
	}
	return s.commit("renumber")
}

func (s *sends) log(x delivery.Answered) *slog.Logger {
	return s.in.actor.logger().With("message", x.Message.Type, "messageID", x.Message.ID, "to", x.Message.Name, "toKey", host.Key(x.Message.Key).String())
}

// faultError returns the error that an answer carries, as it was at the receiver.
func faultError(f *host.Fault) error {
	if f == nil {
		return errors.New("it failed")
	}
	return errors.New(f.Message)
}
