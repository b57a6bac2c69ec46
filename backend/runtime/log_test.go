package runtime_test

import (
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
)

// The log in memory serves clients in their resume window, and is not kept longer.
func TestALogDropsEntriesOlderThanTheResumeWindow(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, clubsWith(actor.Options{ResumeWindow: time.Hour}))
		ada := b.open(clubRef, as("ada"))
		ada.read()
		in := func(when time.Duration, want bool) {
			t.Helper()
			time.Sleep(when - time.Since(b.started))
			for range 2 { // it forgets what others have had the time to read
				ada.call(uint64(time.Now().UnixNano()), "kick", "ada's ghost")
				ada.call(uint64(time.Now().UnixNano())+1, "rename", "ada", false)
				time.Sleep(time.Second)
			}
			ada.read()
			if _, ok := ada.log.After(0); ok != want {
				t.Errorf("after %s the first entry is in memory: %v, want %v", when, ok, want)
			}
		}
		in(time.Hour+time.Minute-10*time.Second, true)
		in(time.Hour+time.Minute+10*time.Second, false)
	})
}
