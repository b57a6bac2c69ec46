package sqlite_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// The pages of Due leave out no actor, wherever their ends are among the snapshots, the
// residents, and the snapshots that a resident's Due takes the place of.
func TestDue_pages(t *testing.T) {
	clock := newClock()
	s := open(t, t.TempDir(), quiet.WithClock(clock.now))
	defer closeStore(t, s)
	due := func(actor string, rev uint64, second int) {
		c := commitOf(actor, rev)
		c.Due = startTime.Add(time.Duration(second) * time.Second)
		commit(t, s, c)
	}
	for i := range 4 {
		due(fmt.Sprint("asleep", i), 1, i+1)
	}
	for range 3 {
		clock.pass(time.Hour)
		s.Tick()
	}
	if actors, _ := s.Resident(); actors != 0 {
		t.Fatalf("got %d actors in memory, want none", actors)
	}
	due("awake0", 1, 100)
	due("awake1", 1, 200)
	due("asleep1", 2, 300)
	want := "[asleep0 asleep2 asleep3 awake0 awake1 asleep1]"
	for limit := 1; limit < 8; limit++ {
		var got []string
		for after := (store.Wake{}); len(got) < 10; {
			wakes, err := s.Due(t.Context(), after, startTime.Add(time.Hour), limit)
			if err != nil {
				t.Fatal(err)
			}
			if len(wakes) == 0 {
				break
			}
			for _, w := range wakes {
				got = append(got, w.Actor)
			}
			after = wakes[len(wakes)-1]
		}
		if fmt.Sprint(got) != want {
			t.Errorf("pages of %d: got %v, want %s", limit, got, want)
		}
	}
}
