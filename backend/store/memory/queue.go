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

// queue is first in, first out. Its items stay where they are: growing one array
// would copy each of them several times in its life.
type queue[T any] struct {
	chunks [][]T // none is empty
	n      int
}

const (
	firstChunk = 4 // items
	maxChunk   = 64
)

func (q *queue[T]) push(item T) {
	last := len(q.chunks) - 1
	if last < 0 || len(q.chunks[last]) == cap(q.chunks[last]) {
		q.chunks = append(q.chunks, make([]T, 0, max(firstChunk, min(q.n, maxChunk))))
		last++
	}
	q.chunks[last] = append(q.chunks[last], item)
	q.n++
}

// first returns the oldest item, nil if there is none.
func (q *queue[T]) first() *T {
	if q.n == 0 {
		return nil
	}
	return &q.chunks[0][0]
}

// pop removes the oldest item.
func (q *queue[T]) pop() {
	clear(q.chunks[0][:1])
	q.chunks[0] = q.chunks[0][1:]
	if len(q.chunks[0]) == 0 {
		q.chunks[0] = nil
		if q.chunks = q.chunks[1:]; len(q.chunks) == 0 {
			q.chunks = nil // a quiet actor holds no empty array
		}
	}
	q.n--
}

// all calls f with the items from the one at place i on, the oldest being at 0,
// until f returns false.
func (q *queue[T]) all(i int, f func(*T) bool) {
	for _, chunk := range q.chunks {
		if i >= len(chunk) {
			i -= len(chunk)
			continue
		}
		for k := range chunk[i:] {
			if !f(&chunk[i+k]) {
				return
			}
		}
		i = 0
	}
}
