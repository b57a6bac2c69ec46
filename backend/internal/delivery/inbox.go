package delivery

import (
	"cmp"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

const (
	// maxSenders is how many senders with messages that may be unsettled a receiver keeps before
	// it asks the oldest ones whether they still need it to.
	maxSenders = 10_000

	// maxAsked is how many senders a receiver asks at once: one that sleeps is loaded for it.
	maxAsked = 64

	// askPause is how long a receiver asks nobody after an answer that did not help.
	askPause = time.Second
)

// keepSettled is how long a receiver keeps a sender that has nothing to send: forgetting one
// that sends again costs more than keeping it.
const keepSettled = time.Minute

// Inbox is the receiver's side of all of its pairs.
type Inbox struct {
	senders map[string]*sender
	floor   uint64 // the highest number of a sender that was forgotten
	ended   uint64 // messages up to it are of a life that is over

	// Senders that have settled everything, by the time since when.
	first, last *sender
	settled     int

	asked int       // senders whose answer is awaited
	round uint64    // of asking: those of earlier rounds come first
	pause time.Time // until when no sender is asked, unless all are
}

type sender struct {
	store.Sender
	asked bool   // its answer is awaited
	round uint64 // in which it was asked

	settled    time.Time // since when; zero: it may send more
	prev, next *sender   // of those that are settled
}

// NewInbox returns the inbox of an actor as it is stored. ended is store.Ended.Order.
func NewInbox(senders []store.Sender, floor, ended uint64) Inbox {
	b := Inbox{floor: floor, ended: ended}
	for _, s := range senders {
		b.put(s)
	}
	return b
}

func (b *Inbox) put(s store.Sender) {
	if b.senders == nil {
		b.senders = map[string]*sender{}
	}
	s.Refused = slices.Clone(s.Refused)
	b.senders[s.ID] = &sender{Sender: s}
}

func (b *Inbox) drop(s *sender) {
	b.unsettle(s)
	b.hear(s)
	delete(b.senders, s.ID)
}

// settle adds a sender to those that are settled.
func (b *Inbox) settle(s *sender, now time.Time) {
	if !s.settled.IsZero() {
		return
	}
	s.settled, s.prev = now, b.last
	if b.last == nil {
		b.first = s
	} else {
		b.last.next = s
	}
	b.last = s
	b.settled++
}

func (b *Inbox) unsettle(s *sender) {
	if s.settled.IsZero() {
		return
	}
	if s.prev == nil {
		b.first = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		b.last = s.prev
	} else {
		s.next.prev = s.prev
	}
	s.settled, s.prev, s.next = time.Time{}, nil, nil
	b.settled--
}

// hear notes that no answer of a sender is awaited.
func (b *Inbox) hear(s *sender) {
	if s.asked {
		s.asked = false
		b.asked--
	}
}

// of returns what the receiver knows of the sender of a delivery, nil if it does not know it,
// and the floor for it. A sender that was made again is another one.
func (b *Inbox) of(id string, born int64) (*sender, uint64) {
	s := b.senders[id]
	if s != nil && s.Born != born {
		return nil, max(b.floor, s.Highest)
	}
	return s, b.floor
}

// Check decides about a message of a delivery. If run is true, the message has to run; what
// comes of it goes to Finish, or is DeliveryFailed. Else answer is the answer, which may not
// be sent before all commits so far are durable. If it is not final, the messages behind it
// have to wait for the next batch: see Stops.
func (b *Inbox) Check(d *host.Delivery, m *host.DeliveryMessage) (answer host.DeliveryAnswer, run bool) {
	answer = host.DeliveryAnswer{ID: m.ID, Order: m.Order}
	s, floor := b.of(d.From.ID, d.Born)
	switch {
	case s != nil && m.Order <= s.Highest:
		answer.Result, answer.Err = s.answer(m.Order)
	case m.Order <= b.ended:
		answer.Result = host.DeliveryDestroyed
	case s == nil && m.Order <= floor:
		answer.Result, answer.Floor = host.DeliveryRenumber, floor
	case m.Prev != 0 && (s == nil || s.Highest < m.Prev):
		answer.Result = host.DeliveryGap
	default:
		return answer, true
	}
	return answer, false
}

// Stops reports whether the messages behind one with this result must not run now.
func Stops(r host.DeliveryResult) bool { return r >= host.DeliveryFailed }

// answer returns the answer that a message up to the mark had.
func (s *sender) answer(order uint64) (host.DeliveryResult, *host.Fault) {
	for _, a := range s.Refused {
		if a.Call != order {
			continue
		}
		err := &host.Fault{Code: a.Code, Message: a.Message, Metadata: a.Metadata}
		if a.Code == "" {
			return host.DeliveryGivenUp, err
		}
		return host.DeliveryRefused, err
	}
	return host.DeliveryDone, nil
}

// Finish notes that a message of a delivery is finished, with DeliveryDone, DeliveryRefused
// or DeliveryGivenUp, and returns the record and the floor for the commit that has its effect.
// The record shares no memory with the inbox.
func (b *Inbox) Finish(d *host.Delivery, m *host.DeliveryMessage, r host.DeliveryResult, err *host.Fault) (record store.Sender, floor uint64) {
	s, floor := b.of(d.From.ID, d.Born)
	if s == nil {
		b.floor = floor
		if before := b.senders[d.From.ID]; before != nil {
			b.drop(before)
		}
		b.put(store.Sender{ID: d.From.ID, Born: d.Born})
		s = b.senders[d.From.ID]
	}
	s.Highest = max(s.Highest, m.Order)
	if r != host.DeliveryDone {
		a := store.Answer{Call: m.Order}
		if err != nil {
			a.Message = err.Message
			if r == host.DeliveryRefused {
				a.Code, a.Metadata = cmp.Or(err.Code, wire.CodeInternal), err.Metadata
			}
		}
		s.Refused = append(s.Refused, a)
	}
	b.unsettle(s)
	record = s.Sender
	record.Refused = slices.Clone(s.Refused)
	return record, b.floor
}

// Settled notes that a sender no longer has any message up to a number. It changes nothing that
// has to be durable. now may not go back.
func (b *Inbox) Settled(id string, born int64, upTo uint64, now time.Time) {
	s, _ := b.of(id, born)
	if s == nil {
		return
	}
	s.Refused = slices.DeleteFunc(s.Refused, func(a store.Answer) bool { return a.Call <= upTo })
	if s.Highest <= upTo {
		b.settle(s, now)
	}
}

// Forget forgets the senders that have settled everything a while ago; with all, also those
// that have done so just now. It returns their ids and the floor, for the next commit.
func (b *Inbox) Forget(now time.Time, all bool) (gone []string, floor uint64) {
	for s := b.first; s != nil && (all || now.Sub(s.settled) >= keepSettled); s = b.first {
		b.floor = max(b.floor, s.Highest)
		b.drop(s)
		gone = append(gone, s.ID)
	}
	slices.Sort(gone)
	return gone, b.floor
}

// Forgets reports whether Forget with all has any.
func (b *Inbox) Forgets() bool { return b.first != nil }

// Len returns the number of senders.
func (b *Inbox) Len() int { return len(b.senders) }

// Asks reports whether answers of senders are awaited.
func (b *Inbox) Asks() bool { return b.asked > 0 }

// Excess returns senders that the receiver has to ask whether their messages are settled: the
// oldest of too many, at most 64, and no others before the answers of these are there, or
// have failed.
func (b *Inbox) Excess(now time.Time) []store.Sender {
	if len(b.senders)-b.settled <= maxSenders || b.asked > 0 || now.Before(b.pause) {
		return nil
	}
	b.round++
	return b.Next()
}

// Round begins to ask all senders whether their messages are settled.
func (b *Inbox) Round() { b.round++ }

// Next returns senders that have to be asked in a round, as many as may be asked at once: those
// that were not asked for the longest time, and of these the oldest.
func (b *Inbox) Next() []store.Sender {
	limit := maxAsked - b.asked
	if limit == 0 {
		return nil
	}
	compare := func(x, y *sender) int {
		return cmp.Or(cmp.Compare(x.round, y.round), cmp.Compare(x.Highest, y.Highest))
	}
	chosen := make([]*sender, 0, limit+1)
	for _, s := range b.senders {
		switch {
		case s.asked, s.round == b.round, !s.settled.IsZero():
		case len(chosen) == limit && compare(s, chosen[limit-1]) >= 0:
		default:
			i, _ := slices.BinarySearchFunc(chosen, s, compare)
			chosen = slices.Insert(chosen, i, s)
			chosen = chosen[:min(len(chosen), limit)]
		}
	}
	b.asked += len(chosen)
	records := make([]store.Sender, len(chosen))
	for i, s := range chosen {
		s.asked, s.round = true, b.round
		records[i] = store.Sender{ID: s.ID, Born: s.Born, Highest: s.Highest}
	}
	return records
}

// Answered is Settled for a sender that was asked. Without ok, there is no answer.
func (b *Inbox) Answered(id string, born int64, upTo uint64, ok bool, now time.Time) {
	s, _ := b.of(id, born)
	if s == nil {
		return
	}
	b.hear(s)
	if ok {
		b.Settled(id, born, upTo, now)
	}
	if s.settled.IsZero() {
		b.pause = now.Add(askPause)
	}
}
