package limit

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestG9_WorkIsLimited: everything that is read counts, whatever its effect. A client that
// sends more than is read from it waits, and is over after 10 s; one that pauses is not.
func TestG9_WorkIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMessages(100, 200, 50, 500)
		read := func(n int) (took time.Duration, err error) {
			begin := time.Now()
			for range n {
				wait, err := m.Charge()
				if err != nil {
					return time.Since(begin), err
				}
				time.Sleep(wait)
			}
			return time.Since(begin), nil
		}
		if took, err := read(1400); took > 0 || err != nil {
			t.Errorf("what twice the limits allow at once took %v, %v", took, err)
		}
		for range 10 {
			if took, err := read(2000); took > 7*time.Second || err != nil {
				t.Fatalf("2,000 messages took %v, %v; want about 6.7 s", took, err)
			}
			time.Sleep(5 * time.Second)
		}
		took, err := read(10_000)
		if !errors.Is(err, ErrFlood) || took < 10*time.Second || took > 18*time.Second {
			t.Errorf("a flood ended after %v, %v; want ErrFlood after 10 s of waiting", took, err)
		}
	})
}
