package gateway

import "testing"

func TestNumbers(t *testing.T) {
	var n numbers
	for _, c := range []uint32{1, 2, 5, 4, 3, 7} {
		if n.has(c) || !n.add(c) || !n.has(c) {
			t.Errorf("%d is not what it should be", c)
		}
	}
	if n.upTo != 5 || len(n.above) != 1 || n.has(6) || !n.has(7) || n.has(8) {
		t.Errorf("got %+v", n)
	}
	for c := uint32(1000); c < 1000+2*maxStray; c += 2 {
		n.add(c)
	}
	if len(n.above) != maxStray || n.add(1) {
		t.Errorf("%d numbers are kept, want %d", len(n.above), maxStray)
	}
}
