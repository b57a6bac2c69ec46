package gateway

import "testing"

// Garbage is collected once after a crowd has arrived, not while it arrives, and not for
// a few.
func TestACrowdThatHasArrivedIsCollectedAfterOnce(t *testing.T) {
	ss := newSocketSet()
	arrive := func(n int) {
		for range n {
			ss.add(&socket{})
		}
	}
	ticks := func(want ...bool) {
		t.Helper()
		for i, want := range want {
			if got := ss.settled(); got != want {
				t.Errorf("tick %d: got %t, want %t", i, got, want)
			}
		}
	}
	arrive(crowd - 1)
	ticks(false, false, false)
	arrive(1)
	ticks(false)
	arrive(9 * crowd)
	ticks(false, true, false, false)
	arrive(crowd) // a tenth of those who are here
	ticks(false, false)
	arrive(3 * crowd)
	ticks(false, true, false)
}
