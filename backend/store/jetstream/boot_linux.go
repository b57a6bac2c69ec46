package jetstream

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootTime is the time since the machine's start, with the time that it was suspended:
// the lease of a machine that wakes up is over.
func bootTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return time.Since(processStart)
	}
	return time.Duration(t.Nano())
}

var processStart = time.Now()
