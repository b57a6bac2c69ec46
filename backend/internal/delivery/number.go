package delivery

import "time"

// Next returns the next number of an actor's messages, where last is the highest one that it
// has given or received. Numbers follow the clock, so that those of different actors, and of
// an actor's lives, can be compared; they never go back with it.
func Next(last uint64, now time.Time) uint64 {
	return max(last+1, uint64(max(now.UnixMicro(), 0)))
}
