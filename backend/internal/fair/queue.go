// Package fair shares a number of places among owners and kinds of work.
package fair

import (
	"container/list"
	"sync"
)

// A Queue gives out places. No kind of work may have more than three quarters of them.
// Waiters get places in turns: kinds take turns, then the owners within a kind, then the
// order of arrival counts. So an owner who waits for many delays others by one place each. All
// methods may be called at the same time.
type Queue struct {
	places  int
	perKind int

	mu      sync.Mutex
	taken   int
	waiting int
	kinds   map[string]*kind
	order   list.List // of *kind, those whose turn comes next first
}

type kind struct {
	name   string
	taken  int
	owners map[string]*owner
	order  list.List // of *owner that wait, likewise
	at     *list.Element
}

type owner struct {
	name    string
	waiting list.List // of func()
	at      *list.Element
}

// New makes a queue with a number of places, at least 2.
func New(places int) *Queue {
	return &Queue{places: places, perKind: places - max(1, places/4), kinds: map[string]*kind{}}
}

// Acquire calls ready when a place is free: before it returns, or later from another
// goroutine. Return the place with Release. cancel gives up waiting; it reports false if
// ready was, or is about to be, called.
func (q *Queue) Acquire(of, by string, ready func()) (cancel func() bool) {
	q.mu.Lock()
	k := q.kinds[of]
	if k == nil {
		k = &kind{name: of, owners: map[string]*owner{}}
		k.at = q.order.PushBack(k)
		q.kinds[of] = k
	}
	if q.taken < q.places && k.taken < q.perKind && len(k.owners) == 0 {
		q.taken++
		k.taken++
		q.mu.Unlock()
		ready()
		return func() bool { return false }
	}
	o := k.owners[by]
	if o == nil {
		o = &owner{name: by}
		o.at = k.order.PushBack(o)
		k.owners[by] = o
	}
	at := o.waiting.PushBack(ready)
	q.waiting++
	q.mu.Unlock()
	return func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		if at.Value == nil {
			return false
		}
		q.takeLocked(k, o, at)
		q.tidyLocked(k)
		return true
	}
}

// Release returns a place.
func (q *Queue) Release(of string) {
	q.mu.Lock()
	q.taken--
	q.kinds[of].taken--
	ready := q.nextLocked()
	if k := q.kinds[of]; k != nil {
		q.tidyLocked(k)
	}
	q.mu.Unlock()
	if ready != nil {
		ready()
	}
}

// Waiting returns how many wait in all, and of one kind and owner.
func (q *Queue) Waiting(of, by string) (all, own int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if k := q.kinds[of]; k != nil && k.owners[by] != nil {
		own = k.owners[by].waiting.Len()
	}
	return q.waiting, own
}

// nextLocked gives the free place to the next one who may have it.
func (q *Queue) nextLocked() (ready func()) {
	for e := q.order.Front(); e != nil; e = e.Next() {
		k := e.Value.(*kind)
		if k.order.Len() == 0 || k.taken >= q.perKind {
			continue
		}
		o := k.order.Front().Value.(*owner)
		ready = q.takeLocked(k, o, o.waiting.Front())
		q.taken++
		k.taken++
		if k.owners[o.name] == o {
			k.order.MoveToBack(o.at)
		}
		q.order.MoveToBack(e)
		return ready
	}
	return nil
}

// takeLocked takes one who waits out of the queue.
func (q *Queue) takeLocked(k *kind, o *owner, at *list.Element) (ready func()) {
	ready = o.waiting.Remove(at).(func())
	at.Value = nil
	q.waiting--
	if o.waiting.Len() == 0 {
		k.order.Remove(o.at)
		delete(k.owners, o.name)
	}
	return ready
}

// tidyLocked forgets a kind that has nothing in the queue.
func (q *Queue) tidyLocked(k *kind) {
	if k.taken == 0 && len(k.owners) == 0 {
		q.order.Remove(k.at)
		delete(q.kinds, k.name)
	}
}
