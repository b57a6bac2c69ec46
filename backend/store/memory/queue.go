package memory

import "time"

// retained is one commit whose entries are retained. They come before the entries
// of the same actor's later commits in the queue.
type retained struct {
	actor   *member
	time    time.Time
	bytes   int64
	entries int
}

// queue is first in, first out. It never moves its items: growing one array would
// copy each of them several times.
type queue struct {
	chunks [][]retained // none is empty
	n      int
}

const (
	commitSize = 56 // bytes of a retained
	queueChunk = 64 // items
)

func (q *queue) push(item retained) {
	last := len(q.chunks) - 1
	if last < 0 || len(q.chunks[last]) == cap(q.chunks[last]) {
		q.chunks = append(q.chunks, make([]retained, 0, queueChunk))
		last++
	}
	q.chunks[last] = append(q.chunks[last], item)
	q.n++
}

// first returns the oldest item, nil if there is none.
func (q *queue) first() *retained {
	if q.n == 0 {
		return nil
	}
	return &q.chunks[0][0]
}

// pop removes the oldest item.
func (q *queue) pop() {
	clear(q.chunks[0][:1])
	q.chunks[0] = q.chunks[0][1:]
	if len(q.chunks[0]) == 0 {
		q.chunks[0] = nil
		if q.chunks = q.chunks[1:]; len(q.chunks) == 0 {
			q.chunks = nil
		}
	}
	q.n--
}
