package sqlite_test

import (
	"sync"
	"time"
)

// clock is a clock that the test advances.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: startTime} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// runningClock is a clock that advances each time it is read.
type runningClock struct{ clock }

func newClockThatRuns() *runningClock { return &runningClock{clock{at: startTime}} }

func (c *runningClock) now() time.Time {
	c.pass(100 * time.Millisecond)
	return c.clock.now()
}
