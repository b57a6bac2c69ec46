package delivery

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// maxSenders is how many senders a receiver keeps before it asks the oldest ones whether they
// still need it to.
const maxSenders = 10_000

// keepSettled is how long a receiver keeps a sender that has nothing to send: forgetting one
// that sends again costs more than keeping it.
const keepSettled = time.Minute

// Inbox is the receiver's side of all of its pairs.
type Inbox struct {
	senders map[string]*sender
	floor   uint64 // the highest number of a sender that was forgotten
	ended   uint64 // messages up to it are of a life that is over
	settled map[string]time.Time
}

type sender struct {
	store.Sender
	asked bool
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
	s.asked = false
	delete(b.settled, d.From.ID)
	record = s.Sender
	record.Refused = slices.Clone(s.Refused)
	return record, b.floor
}

// Settled notes that a sender no longer has any message up to a number. It changes nothing that
// has to be durable.
func (b *Inbox) Settled(id string, born int64, upTo uint64, now time.Time) {
	s, _ := b.of(id, born)
	if s == nil {
		return
	}
	s.asked = false
	s.Refused = slices.DeleteFunc(s.Refused, func(a store.Answer) bool { return a.Call <= upTo })
	if s.Highest > upTo {
		return
	}
	if b.settled == nil {
		b.settled = map[string]time.Time{}
	}
	if _, ok := b.settled[id]; !ok {
		b.settled[id] = now
	}
}

// Forget forgets the senders that have settled everything a while ago; with all, also those
// that have done so just now. It returns their ids and the floor, for the next commit.
func (b *Inbox) Forget(now time.Time, all bool) (gone []string, floor uint64) {
	for id, at := range b.settled {
		if !all && now.Sub(at) < keepSettled && !now.Before(at) {
			continue
		}
		b.floor = max(b.floor, b.senders[id].Highest)
		delete(b.senders, id)
		delete(b.settled, id)
		gone = append(gone, id)
	}
	slices.Sort(gone)
	return gone, b.floor
}

// Forgets reports whether Forget with all has any.
func (b *Inbox) Forgets() bool { return len(b.settled) > 0 }

// Len returns the number of senders.
func (b *Inbox) Len() int { return len(b.senders) }

// Unsettled returns the senders that the receiver has to ask whether their messages are
// settled: all of them, or some of the oldest if there are too many. It returns none twice
// before it hears from it, or before it is called with again.
func (b *Inbox) Unsettled(all, again bool) []store.Sender {
	limit := len(b.senders)
	if !all {
		limit = min(limit-maxSenders, maxSenders/100)
	}
	if limit <= 0 {
		return nil
	}
	var ask []*sender
	for _, s := range slices.SortedFunc(maps.Values(b.senders), func(x, y *sender) int { return cmp.Compare(x.Highest, y.Highest) }) {
		if len(ask) == limit {
			break
		}
		if _, ok := b.settled[s.ID]; !ok && (again || !s.asked) {
			ask = append(ask, s)
		}
	}
	records := make([]store.Sender, len(ask))
	for i, s := range ask {
		s.asked = true
		records[i] = store.Sender{ID: s.ID, Born: s.Born, Highest: s.Highest}
	}
	return records
}
