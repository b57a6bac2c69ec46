package runtime

import (
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// A message that was counted before runs neither beside those that are counted for the first
// time, nor they beside it.
func TestG12_WhoWasCountedBeforeRunsAlone(t *testing.T) {
	a := &Actor{id: "a"}
	fresh := []*store.Message{{ID: 1}, {ID: 2, To: "b"}}
	again := []*store.Message{{ID: 3, Fatal: 1}, {ID: 4, To: "b", Fatal: 1}}
	var d doubts
	want := func(when string, begins ...bool) {
		t.Helper()
		for i, m := range append(fresh[:2:2], again...) {
			if i < len(begins) && (d.begin(a, m) == 0) != begins[i] {
				t.Errorf("%s: begin of message %d is %v, want %v", when, m.ID, !begins[i], begins[i])
			}
		}
	}
	want("at first", true, true, false, false)
	want("once more", true, true, false, false)
	d.end("a", 1)
	if d.begin(a, again[0]) == 0 {
		t.Error("it runs beside one that is on its way")
	}
	d.endSent("a", "c")
	d.endSent("a", "b")
	if d.begin(a, again[0]) > 0 || !d.runs("a", 3) {
		t.Error("it does not run alone")
	}
	want("while one is alone", false, false, true, false)
	d.end("a", 3)
	if d.begin(a, again[1]) > 0 {
		t.Error("the next one does not run")
	}
	d.endOf("a")
	want("in the end", true, true)
}

// Nobody waits for a lock for each message while there are no doubts.
func TestWithoutDoubtsNothingIsLocked(t *testing.T) {
	var d doubts
	m := &store.Message{ID: 1}
	d.begin(&Actor{id: "a"}, m)
	d.end("a", 1)
	d.mu.Lock() // else these would wait
	defer d.mu.Unlock()
	done := make(chan bool)
	go func() {
		d.end("a", 1)
		d.endOf("a")
		d.endSent("a", "b")
		done <- d.runs("a", 1)
	}()
	select {
	case runs := <-done:
		if runs {
			t.Error("it runs")
		}
	case <-time.After(10 * time.Second):
		t.Error("they wait for the lock")
	}
}
