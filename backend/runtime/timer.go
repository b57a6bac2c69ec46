package runtime

import (
	"sync"
	"time"
)

// timer is an After or an Every of an instance.
type timer struct {
	interval time.Duration
	every    bool
	run      func(*Turn) error

	mu      sync.Mutex // guards the fields below
	stopped bool
	waiting bool // a tick is in the mailbox
	t       *time.Timer
}

// start arms the timer for an instance. tick is called each time it fires.
func (tm *timer) start(tick func(*timer)) {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	if tm.stopped {
		return
	}
	tm.t = time.AfterFunc(tm.interval, func() {
		tm.mu.Lock()
		if tm.stopped {
			tm.mu.Unlock()
			return
		}
		late := tm.waiting
		tm.waiting = true
		if tm.every {
			tm.t.Reset(tm.interval)
		}
		tm.mu.Unlock()
		if !late {
			tick(tm)
		}
	})
}

// begin reports whether the timer still runs when its tick is delivered.
func (tm *timer) begin() bool {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	tm.waiting = false
	return !tm.stopped
}

// stop ends the timer immediately and permanently, even if the turn that stops it fails.
func (tm *timer) stop() {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	tm.stopped = true
	if tm.t != nil {
		tm.t.Stop()
	}
}

func (tm *timer) isStopped() bool {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	return tm.stopped
}
