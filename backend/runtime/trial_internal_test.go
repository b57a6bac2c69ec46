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

// What was to run after the node got a partition, or after the time until which that is doubted, has
// not ended an owner before.
func TestG12_UntilWhenMessagesAreDoubted(t *testing.T) {
	since := time.Now()
	until := since.Add(-time.Minute)
	for name, of := range map[string]struct {
		adopt       func(d *doubts, part int)
		then, later bool // whether messages of until and of since are doubted; later ones never are
	}{
		"an owner has died":           {adopt: func(d *doubts, part int) { d.adopt(part, since, since) }, then: true, later: true},
		"one before the last":         {adopt: func(d *doubts, part int) { d.adopt(part, since, until) }, then: true},
		"its clock is ahead":          {adopt: func(d *doubts, part int) { d.adopt(part, since, since.Add(time.Hour)) }, then: true, later: true},
		"it was given away":           {adopt: func(d *doubts, part int) { d.adopt(part, since, since); d.adopt(part, since, time.Time{}) }},
		"of another time":             {adopt: func(d *doubts, part int) { d.adopt(part, since.Add(-time.Hour), since) }},
		"the process before has died": {adopt: func(d *doubts, _ int) { d.unclean = true }, then: true, later: true},
	} {
		var d doubts
		a := &Actor{id: "a", part: store.Partition("a"), since: since}
		of.adopt(&d, a.part)
		for at, want := range map[time.Time]bool{until: of.then, since: of.later, since.Add(time.Microsecond): false} {
			if got := d.has(a, &store.Message{ID: 1}, at); got != want {
				t.Errorf("%s: a message of %v is doubted: %v, want %v", name, at.Sub(since), got, want)
			}
		}
	}
}
