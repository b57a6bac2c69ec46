package delivery

import (
	"container/heap"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// Doubted returns messages that Batches would have sent since the last call, if it were not
// for the end of the process that sent them before. The caller counts that in them, with
// the same Order; when its commit is durable, they are sent.
func (o *Outbox) Doubted() []*store.Message {
	doubted := o.doubted
	o.doubted = nil
	return doubted
}

// Postpone has the messages to a target wait until a time. Doubted has returned the first of
// them, and does so again then.
func (o *Outbox) Postpone(to string, until time.Time) {
	t := o.targets[to]
	if o.wait(t, until); t.place == 0 && !t.ready {
		heap.Push(&o.waiting, t)
	}
}

// Doubt notes that the owner of a target has died with an attempt that it has not answered: one
// of its messages, which it returns, may be why. The caller counts that in them, with the same
// Order; Doubted returns them when that is durable, and Trust has them sent. Silent comes next.
func (o *Outbox) Doubt(to string, attempt uint64) (messages []*store.Message) {
	t := o.targets[to]
	if t == nil || t.attempt != attempt {
		return nil
	}
	for _, e := range t.queue {
		if e.attempt == attempt && !e.answered {
			e.durable, e.doubted, e.alone, e.died = false, true, true, true
			messages = append(messages, e.m)
		}
	}
	return messages
}

// Trust has a message sent that Doubted has returned.
func (o *Outbox) Trust(m *store.Message) {
	if e := o.find(m.To, m.ID, m.Order); e != nil {
		e.doubted = false
		o.wake(o.targets[m.To])
	}
}
