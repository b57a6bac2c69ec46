package runtime

import (
	"errors"
	"math"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/delivery"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// inbox is what an instance knows of the actors that send it messages. It belongs to the
// instance's goroutine.
type inbox struct {
	in    *instance
	marks delivery.Inbox
}

func newInbox(in *instance, snap *store.Snapshot) inbox {
	b := inbox{in: in}
	if snap == nil {
		return b
	}
	ended := uint64(0)
	if snap.Ended != nil {
		ended = snap.Ended.Order
	}
	b.marks = delivery.NewInbox(snap.Senders, snap.Floor, ended)
	return b
}

// receipt is a message of another actor that a turn finishes.
type receipt struct {
	delivery *host.Delivery
	message  *host.DeliveryMessage
	result   host.DeliveryResult
	err      *host.Fault
}

// save puts a receipt into the commit of its effect, and what may be forgotten.
func (b *inbox) save(commit *store.Commit, r *receipt) {
	if r != nil {
		record, floor := b.marks.Finish(r.delivery, r.message, r.result, r.err)
		commit.Senders = append(commit.Senders, record)
		commit.Floor = floor
		if commit.Rev > 1 || commit.End == 0 { // else there was no life that ends, of which older messages would be
			b.in.messages.number = max(b.in.messages.number, r.message.Order)
		}
		b.inquire(b.marks.Excess(time.Now()))
	}
	if gone, floor := b.marks.Forget(time.Now(), b.in.sends.leaving || b.in.life.tombstone); len(gone) > 0 {
		commit.GoneSenders, commit.Floor = gone, floor
	}
}

// deliveryEnvelope is a batch of messages of another actor. Each is a turn; between them
// other envelopes get theirs.
type deliveryEnvelope struct {
	delivery *host.Delivery
	answered func([]host.DeliveryAnswer, error)

	in      *instance // that has begun with it
	answers []host.DeliveryAnswer
	running bool // a turn is under way
}

func (m *deliveryEnvelope) size() int {
	size := 0
	for i := range m.delivery.Messages {
		size += envelopeBytes + len(m.delivery.Messages[i].Data)
	}
	return size
}

// refuse has the batch sent again. If the turn of a message has not returned, that message
// has failed.
func (m *deliveryEnvelope) refuse(_ *Actor, err *host.Fault) {
	if !m.running {
		m.answered(nil, err)
		return
	}
	msg := &m.delivery.Messages[len(m.answers)]
	m.answered([]host.DeliveryAnswer{{ID: msg.ID, Order: msg.Order, Result: host.DeliveryFailed, Err: err, Abandoned: true}}, nil)
}

func (m *deliveryEnvelope) deliver(in *instance) bool {
	d := m.delivery
	if m.in == nil {
		m.in = in
		in.inbox.marks.Settled(d.From.ID, d.Born, d.Settled, time.Now())
	}
	in.actor.used()
	if m.in != in {
		m.answered(nil, host.Faultf(wire.CodeUnavailable, "the receiver was reset to its last durable state"))
		return true
	}
	for in.actor.gate.room() == nil {
		m.running = true
		answer, ok := in.inbox.take(d, &d.Messages[len(m.answers)])
		if !ok {
			return false
		}
		m.running = false
		if in.state.broken != nil {
			m.answered(nil, in.state.broken)
			return true
		}
		m.answers = append(m.answers, answer)
		if delivery.Stops(answer.Result) || len(m.answers) == len(d.Messages) || in.life.over {
			m.finish(in)
			return true
		}
		if in.actor.box.waits() {
			break
		}
	}
	if !in.actor.box.post(m) {
		m.answered(nil, errShutdown)
	}
	return true
}

// finish answers the batch when everything so far is durable: a message that has run before
// may have done so in a commit that is not.
func (m *deliveryEnvelope) finish(in *instance) {
	out := []*host.Output{{Kind: host.OutputReply, Done: func(_ *host.Output, err *host.Fault) {
		if err != nil {
			m.answered(nil, err)
			return
		}
		m.answered(m.answers, nil)
	}}}
	in.number(out, time.Now())
	in.actor.gate.put(out, nil)
}

// take handles a message. ok is false if the instance was abandoned meanwhile.
func (b *inbox) take(d *host.Delivery, msg *host.DeliveryMessage) (answer host.DeliveryAnswer, ok bool) {
	answer, run := b.marks.Check(d, msg)
	if !run {
		return answer, true
	}
	in := b.in
	if msg.Skip {
		answer.Result, answer.Err = host.DeliveryGivenUp, host.Faultf(wire.CodeInternal, "its turn may have ended the server, or does not return")
		return answer, b.finish(d, msg, answer)
	}
	if err, ok := in.create(true, nil, host.Identity{}); !ok || err != nil {
		if !ok || in.state.broken != nil || in.life.over {
			answer.Result, answer.Err = host.DeliveryFailed, err
			return answer, ok
		}
		return b.failed(d, msg, err, !retried(err))
	}
	t := in.beginMessage(msg.Type, &store.Message{ID: msg.ID, Order: msg.Order, Type: msg.Type, Version: msg.Version, Data: msg.Data}, &d.From)
	o, ok := t.execute(func() (any, error) {
		return nil, in.def.Handlers.Handle(in.state.value, t, msg.Type, msg.Version, msg.Data)
	})
	if !ok {
		return answer, false
	}
	if o.err == nil {
		in.apply(t, o, reply{store: true, receipt: &receipt{delivery: d, message: msg}})
		return answer, true
	}
	if _, _, _, refused := in.def.ClientError(o.cause); refused {
		return b.failed(d, msg, o.err, true)
	}
	return b.failed(d, msg, o.cause, false)
}

// retried reports whether a message is tried again after OnCreate has failed with an error: if
// it is not one that OnCreate has returned for clients.
func retried(err *host.Fault) bool {
	switch err.Code {
	case wire.CodeInternal, wire.CodeTimeout, wire.CodeUnavailable, wire.CodeOverloaded:
		return true
	}
	return false
}

// failed answers a message that has no effect: it is refused, or tried again unless this was
// its last try. ok is false if the instance was abandoned meanwhile.
func (b *inbox) failed(d *host.Delivery, msg *host.DeliveryMessage, cause error, refused bool) (answer host.DeliveryAnswer, ok bool) {
	log := b.in.actor.logger().With("message", msg.Type, "messageID", msg.ID, "from", d.From.Name, "fromKey", d.From.Key.String())
	answer = host.DeliveryAnswer{ID: msg.ID, Order: msg.Order, Err: host.Faultf(wire.CodeInternal, "%s", parkedText(cause))}
	switch {
	case refused:
		log.Debug("message refused", "error", cause)
		answer.Result = host.DeliveryRefused
		errors.As(cause, &answer.Err)
	case msg.Last:
		log.Error("message given up: its handler keeps failing", "error", cause)
		answer.Result = host.DeliveryGivenUp
	default:
		log.Warn("message failed; its sender will send it again", "error", cause)
		answer.Result = host.DeliveryFailed
		return answer, true
	}
	return answer, b.finish(d, msg, answer)
}

// finish makes the commit of a message that does not take effect. It reports false if the
// instance was abandoned meanwhile.
func (b *inbox) finish(d *host.Delivery, msg *host.DeliveryMessage, answer host.DeliveryAnswer) bool {
	t := b.in.begin(msg.Type, b.in.def.Options.ActionTimeout, nil)
	t.readOnly = true
	o, ok := t.execute(func() (any, error) { return nil, nil })
	if ok {
		b.in.apply(t, o, reply{store: true, bare: true, receipt: &receipt{d, msg, answer.Result, answer.Err}})
	}
	return ok
}

// inquire asks senders whether their messages are settled. Nobody needs the answers but an
// instance that is awake.
func (b *inbox) inquire(senders []store.Sender) {
	a := b.in.actor
	for _, s := range senders {
		a.node.courier.Inquire(host.Inquiry{To: host.Ref{ID: s.ID}, Born: s.Born, From: a.id}, func(settled uint64, err error) {
			tellAwake(a.node, a.id, &inquiredEnvelope{from: s.ID, born: s.Born, settled: settled, ok: err == nil})
		})
	}
}

// settledEnvelope says which messages of a sender are settled.
type settledEnvelope struct {
	wakeEnvelope
	from    string
	born    int64
	settled uint64
}

func (m *settledEnvelope) deliver(in *instance) bool {
	in.inbox.marks.Settled(m.from, m.born, m.settled, time.Now())
	return in.inbox.forget()
}

// inquiredEnvelope brings the answer to an inquiry; not ok: there is none.
type inquiredEnvelope struct {
	wakeEnvelope
	from    string
	born    int64
	settled uint64
	ok      bool
}

func (m *inquiredEnvelope) deliver(in *instance) bool {
	marks := &in.inbox.marks
	marks.Answered(m.from, m.born, m.settled, m.ok, time.Now())
	if in.life.tombstone && !marks.Asks() { // in portions: Next looks at all senders
		in.inbox.inquire(marks.Next())
	}
	return in.inbox.forget()
}

// forget makes a commit in which a tombstone forgets senders: it has few others. It reports
// false if the instance was abandoned meanwhile.
func (b *inbox) forget() bool {
	in := b.in
	return !in.life.tombstone || in.created || b.marks.Asks() || !b.marks.Forgets() || in.sends.commit("settle")
}

// inquiryEnvelope asks a sender which of its messages are settled.
type inquiryEnvelope struct {
	host.Inquiry
	answered func(uint64, error)
}

func (m *inquiryEnvelope) size() int { return 0 }

func (m *inquiryEnvelope) refuse(a *Actor, err *host.Fault) {
	if err.Code != wire.CodeNotFound {
		m.answered(0, err)
		return
	}
	a.put(&host.Output{Kind: host.OutputReply, Done: m.whenVisible(math.MaxUint64)}) // it is gone with its messages
}

// whenVisible returns what answers once the answer may be seen.
func (m *inquiryEnvelope) whenVisible(settled uint64) func(*host.Output, *host.Fault) {
	return func(_ *host.Output, err *host.Fault) {
		if err != nil {
			m.answered(0, err)
			return
		}
		m.answered(settled, nil)
	}
}

func (m *inquiryEnvelope) deliver(in *instance) bool {
	settled := uint64(math.MaxUint64) // an earlier one with this id is gone with its messages
	if in.born == m.Born {
		settled = in.sends.outbox.Settled(m.From, in.messages.number)
	}
	out := []*host.Output{{Kind: host.OutputReply, Done: m.whenVisible(settled)}}
	in.number(out, time.Now())
	in.actor.gate.put(out, nil)
	return true
}
