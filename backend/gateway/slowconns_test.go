package gateway

import (
	"fmt"
	"testing"
	"time"
)

// Slow connections are reported once, are remembered for a while, and up to a number.
func TestSlowConns(t *testing.T) {
	var s slowConns
	s.add([]string{"a", "b"})
	if !s.take("a") || s.take("a") || s.take("c") {
		t.Error("a connection that was cut off is not known exactly once")
	}
	s.tend(time.Now().Add(slowMemory / 2))
	if len(s.cut) != 1 {
		t.Errorf("%d connections are left, want 1", len(s.cut))
	}
	s.tend(time.Now().Add(slowMemory + time.Second))
	if len(s.cut) != 0 {
		t.Errorf("after %v %d connections are left, want 0", slowMemory, len(s.cut))
	}
	for i := range maxSlow + 1 {
		s.add([]string{fmt.Sprint(i)})
	}
	if len(s.cut) != maxSlow {
		t.Errorf("%d connections are kept, want %d", len(s.cut), maxSlow)
	}
}
