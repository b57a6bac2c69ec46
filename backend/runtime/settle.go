package runtime

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/delivery"
	"github.com/troupe-dev/troupe/backend/wire"
)

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
		if m.err == host.ErrReceiverDied {
			s.died(m)
		}
		s.silent(m)
		in.actor.node.doubts.endSent(in.actor.id, m.to)
		return s.run()
	}
	s.held = true // until a message that has failed waits, and what has to be renumbered is
	ok := s.answered(m)
	s.held = false
	in.actor.node.doubts.endSent(in.actor.id, m.to) // what has run is durable at its receiver
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
	s.outbox.Silent(m.to, m.attempt, s.in.actor.node.now(), func(n int) time.Duration {
		if n == noteworthy {
			s.in.actor.logger().Warn("messages wait for an actor that does not answer", "to", m.to, "error", m.err)
		}
		return backoff(n)
	})
}

// died counts that the receiver's owner has died with the messages of an attempt. That stays when
// the sender's process ends as it should.
func (s *sends) died(m *answerEnvelope) {
	for _, doubted := range s.outbox.Doubt(m.to, m.attempt) {
		next := *doubted
		next.Fatal++
		if d := &s.in.actor.node.doubts; d.counts(s.in.actor.id, doubted) {
			d.count(s.in.actor.id, &next) // acquit still takes back what was counted before
		}
		s.keep(doubted, &next)
		s.try(doubted.ID, true)
	}
}

// settled notes the final answer of a message.
func (s *sends) settled(x delivery.Answered) bool {
	switch x.Result {
	case host.DeliveryDone:
		s.keep(x.Message, nil)
		return true
	case host.DeliveryGivenUp:
		if s.in.life.tombstone {
			return s.drop(x, slog.LevelError, "message was dropped: the handler of its receiver keeps failing, and its sender was destroyed", x.Err)
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
		return s.drop(x, slog.LevelWarn, "message was not delivered", reason)
	}
	if in.actor.stuck == m.ID {
		in.actor.stuck = 0
		return in.messages.fatal(m)
	}
	t := in.beginMessage("OnUndelivered", m, nil)
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
	return in.messages.failed(m, o.cause)
}

// drop removes a message that has no effect and that nobody handles. The log says so when
// that is durable. It reports false if the instance was abandoned meanwhile.
func (s *sends) drop(x delivery.Answered, level slog.Level, what string, reason *host.Fault) bool {
	log := s.log(x)
	s.keep(x.Message, nil)
	if !s.commit("drop") {
		return false
	}
	out := []*host.Output{{Kind: host.OutputReply, Done: func(_ *host.Output, err *host.Fault) {
		if err == nil {
			log.Log(context.Background(), level, what, "error", reason)
		}
	}}}
	s.in.number(out, time.Now())
	s.in.actor.gate.put(out, nil)
	return true
}

// failed counts a try of a message.
func (s *sends) failed(x *delivery.Answered) bool {
	next := *x.Message
	if x.Abandoned {
		next.Fatal++
	} else {
		next.Tries, next.Fatal = next.Tries+1, 0
	}
	next.Retry = dueTime(s.in.actor.node.now().Add(backoff(max(next.Tries, next.Fatal))))
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
