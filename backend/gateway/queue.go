package gateway

import (
	"runtime"
	"sync"
)

// A queue hands jobs to workers, in order. It has no bound of its own: a socket
// or a fanout is in it at most once, and store reads and gap scans are at most one per
// channel.
type queue struct {
	mu     sync.Mutex
	ready  sync.Cond
	jobs   []job // from next on
	next   int
	closed bool
}

// A job is work for a worker. run must not block.
type job interface{ run() }

func newQueue() *queue {
	q := &queue{}
	q.ready.L = &q.mu
	return q
}

// push adds jobs; after close it does nothing.
func (q *queue) push(jobs ...job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.jobs = append(q.jobs, jobs...)
	if len(jobs) > 1 {
		q.ready.Broadcast()
	} else {
		q.ready.Signal()
	}
}

// pop waits for a job. ok is false once the queue is closed.
//
// A worker that has waited lets other goroutines run before it takes a job. On a busy
// CPU those are readers and actors, which push more jobs: so reads, turns and writes
// come in batches instead of alternating. Each finds its code and data in the caches, and
// fewer clients are woken between two turns. On an idle CPU the worker continues at once.
func (q *queue) pop() (j job, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.next == len(q.jobs) && !q.closed {
		q.ready.Wait()
		q.mu.Unlock()
		runtime.Gosched()
		q.mu.Lock()
	}
	if q.closed {
		return nil, false
	}
	j = q.jobs[q.next]
	q.jobs[q.next] = nil
	// The slots at the start are used again, so that pushing costs no memory.
	if q.next++; q.next == len(q.jobs) {
		q.jobs, q.next = q.jobs[:0], 0
	} else if q.next > len(q.jobs)/2 {
		n := copy(q.jobs, q.jobs[q.next:])
		clear(q.jobs[n:])
		q.jobs, q.next = q.jobs[:n], 0
	}
	return j, true
}

// close makes all workers stop. Jobs that wait are dropped.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.jobs, q.next = true, nil, 0
	q.ready.Broadcast()
}

// A coalescer lets one goroutine at a time do a piece of work that many request, and
// makes sure that it is done once more if it was requested meanwhile.
type coalescer struct {
	mu    sync.Mutex
	state uint8
}

const (
	idle  = iota // no work is under way
	busy         // the work is under way, or waits in a queue
	again        // and has to be repeated
)

// begin reports whether the caller is to do the work, or to have it done.
func (t *coalescer) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == idle {
		t.state = busy
		return true
	}
	t.state = again
	return false
}

// end reports whether the work has to be done once more; then the caller is
// still the one to do it.
func (t *coalescer) end() (more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	more = t.state == again
	t.state--
	return more
}
