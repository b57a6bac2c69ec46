package memory

import "time"

// retained is one commit whose entries are kept: the first ones of its actor's
// among the commits that come after it in the queue.
type retained struct {
	actor   *member
	time    time.Time
	bytes   int64
	entries int
}

// queue is first in, first out, without an allocation per item.
type queue struct {
	items []retained
	head  int // items before it are gone
}

func (q *queue) push(r retained) { q.items = append(q.items, r) }

// first returns the oldest item, nil if there is none.
func (q *queue) first() *retained {
	if q.head == len(q.items) {
		return nil
	}
	return &q.items[q.head]
}

// pop removes the oldest item. Once half of the array is free, the rest moves
// down: each item moves once on average.
func (q *queue) pop() {
	q.items[q.head] = retained{}
	q.head++
	if 2*q.head >= len(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
}
