package runtime

import (
	"maps"
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

// timers are those of an instance. They belong to its goroutine.
type timers struct {
	all  map[*timer]struct{}
	kept int // how many there were after stopped ones were last dropped
	tick func(*timer)
}

// newTimers returns no timers. tick is called each time one fires.
func newTimers(tick func(*timer)) timers {
	return timers{all: map[*timer]struct{}{}, tick: tick}
}

// start starts the timers of a turn.
func (ts *timers) start(started []*timer) {
	if len(ts.all)+len(started) > 2*ts.kept+64 { // drop those that have stopped
		maps.DeleteFunc(ts.all, func(tm *timer, _ struct{}) bool { return tm.isStopped() })
		ts.kept = len(ts.all)
	}
	for _, tm := range started {
		ts.all[tm] = struct{}{}
		tm.start(ts.tick)
	}
}

func (ts *timers) remove(tm *timer) { delete(ts.all, tm) }

// stop stops all of them.
func (ts *timers) stop() {
	for tm := range ts.all {
		tm.stop()
	}
}
