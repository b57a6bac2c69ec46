package gateway

import "sync"

// A queue hands jobs to workers, in order. It has no bound of its own: a socket
// or a feed is in it at most once, and cold reads are at most one per channel.
type queue struct {
	mu     sync.Mutex
	ready  sync.Cond
	jobs   []job
	closed bool
}

// A job is something for a worker. run must not wait for anything.
type job interface{ run() }

func newQueue() *queue {
	q := &queue{}
	q.ready.L = &q.mu
	return q
}

// push adds a job; after close it does nothing.
func (q *queue) push(j job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.jobs = append(q.jobs, j)
	q.ready.Signal()
}

// pop waits for a job. ok is false once the queue is closed.
func (q *queue) pop() (j job, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.jobs) == 0 && !q.closed {
		q.ready.Wait()
	}
	if q.closed {
		return nil, false
	}
	j = q.jobs[0]
	q.jobs[0] = nil
	q.jobs = q.jobs[1:]
	return j, true
}

// close makes all workers stop. Jobs that wait are dropped.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.jobs = true, nil
	q.ready.Broadcast()
}

// A turnstile lets one goroutine at a time do a piece of work that many ask
// for, and makes sure that it is done once more if somebody asked meanwhile.
type turnstile struct {
	mu    sync.Mutex
	state uint8
}

const (
	idle  = iota // nobody works
	busy         // somebody works, or the work waits in a queue
	again        // and has to be repeated
)

// begin reports whether the caller is to do the work, or to have it done.
func (t *turnstile) begin() bool {
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
func (t *turnstile) end() (more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	more = t.state == again
	t.state--
	return more
}
