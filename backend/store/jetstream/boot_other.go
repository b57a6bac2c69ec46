//go:build !linux

package jetstream

import "time"

var processStart = time.Now()

// bootTime is a time that never goes back.
func bootTime() time.Duration { return time.Since(processStart) }
