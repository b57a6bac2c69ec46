package runtime

import (
	"context"
	"sync"
	"time"
)

// watchdog ends the context of a turn at its deadline, and abandons a turn that has not
// returned some time later. One timer serves all turns of an instance: setting it for
// each would cost more.
type watchdog struct {
	abandon func(*Turn) // called, without the lock, for a turn that does not return

	mu      sync.Mutex // guards the fields below
	turn    *Turn      // under way; nil if there is none
	timer   *time.Timer
	firesAt time.Time // zero if the timer is not set
}

// watch starts a turn's time.
func (w *watchdog) watch(t *Turn, limit time.Duration) *Turn {
	t.now = time.Now()
	t.deadline = t.now.Add(limit)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turn = t
	if w.firesAt.IsZero() || t.deadline.Before(w.firesAt) {
		w.setLocked(t.deadline)
	}
	return t
}

// unwatch ends the watch over a turn. It reports false if the turn was abandoned before.
func (w *watchdog) unwatch(t *Turn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.turn != t {
		return false
	}
	w.turn = nil
	return true
}

// setLocked sets the timer.
func (w *watchdog) setLocked(at time.Time) {
	w.firesAt = at
	if w.timer == nil {
		w.timer = time.AfterFunc(time.Until(at), w.onDeadline)
	} else {
		w.timer.Reset(time.Until(at))
	}
}

// running returns the turn that is under way, nil if there is none.
func (w *watchdog) running() *Turn {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.turn
}

// onDeadline is called when the timer fires.
func (w *watchdog) onDeadline() {
	w.mu.Lock()
	w.firesAt = time.Time{}
	t := w.turn
	if t == nil {
		w.mu.Unlock()
		return
	}
	left := time.Until(t.deadline)
	switch {
	case left > 0: // set for an earlier turn
		w.setLocked(t.deadline)
		w.mu.Unlock()
	case left > -abandonAfter:
		w.setLocked(time.Now().Add(abandonAfter))
		w.mu.Unlock()
		t.finish(context.DeadlineExceeded)
	default:
		w.turn = nil
		w.mu.Unlock()
		w.abandon(t)
	}
}

// stop ends the watch over all turns.
func (w *watchdog) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turn = nil
	if w.timer != nil {
		w.timer.Stop()
	}
}
