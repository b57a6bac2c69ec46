package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/store"
)

func survives(t *testing.T, s *reopenable) {
	c1 := full()
	c2 := turn("ada", 2, event(2))
	c2.Callers = []store.Caller{{ID: "y", Highest: 3, Used: start.UTC()}}
	bob := turn("bob", 1)
	commit(t, s, c1, bob)
	commit(t, s, c2)
	want := load(t, s, "ada")
	for range 2 {
		s.again(t)
		equal(t, "snapshot", load(t, s, "ada"), want)
		equal(t, "the other's", load(t, s, "bob"), snapshotOf(bob))
		got := entries(t, s, "ada", 0, 10, 1<<20)
		equal(t, "entries", got, slices.Concat(c1.Entries, c2.Entries))
		for i, c := range []*store.Commit{c1, c2} {
			if len(got) == 2 && !got[i].Time.Equal(c.Time) {
				t.Errorf("time of entry %d: got %v, want %v", i+1, got[i].Time, c.Time)
			}
		}
		var connected []string
		if err := s.Connected(t.Context(), store.AllPartitions, func(actor string) bool { connected = append(connected, actor); return true }); err != nil {
			t.Errorf("Connected: %v", err)
		}
		equal(t, "connected actors", connected, []string{"ada"})
		if errs := s.Commit(t.Context(), []*store.Commit{turn("ada", 2)}); len(errs) != 1 || !errors.Is(errs[0], store.ErrConflict) {
			t.Errorf("a revision that is stored: got %v, want one ErrConflict", errs)
		}
	}
	c3 := turn("ada", 3, event(3))
	c3.Gone = []uint32{1, 2}
	commit(t, s, c3)
	s.again(t)
	if got := load(t, s, "ada"); got.Rev != 3 || got.Head != 3 || len(got.Conns) != 0 || len(got.Callers) != 2 {
		t.Errorf("after another turn: got %+v, want revision 3 without connections", got)
	}
}

func reopenedEmpty(t *testing.T, s *reopenable) {
	s.again(t)
	unknownActor(t, s)
	connectedStopsEmpty(t, s)
	commit(t, s, turn("ada", 1, event(1)))
}

func connectedStopsEmpty(t *testing.T, s store.Store) {
	err := s.Connected(t.Context(), store.AllPartitions, func(actor string) bool {
		t.Errorf("Connected: got %q, want none", actor)
		return true
	})
	if err != nil {
		t.Errorf("Connected: %v", err)
	}
}

func manyCommits(t *testing.T, s *reopenable) {
	const turns = 3000
	for rev := uint64(1); rev <= turns; rev += 10 {
		var group []*store.Commit
		for r := rev; r < rev+10; r++ {
			group = append(group, turn("ada", r, event(r)))
		}
		commit(t, s, group...)
	}
	s.again(t)
	if got := load(t, s, "ada"); got.Rev != turns || got.Head != turns || string(got.State) != string(stateAt("ada", turns)) {
		t.Errorf("got revision %d, head %d, state %s; want those of revision %d", got.Rev, got.Head, got.State, turns)
	}
	got := entries(t, s, "ada", 1000, turns, 1<<30)
	if len(got) != turns-1000 || got[0].Seq != 1001 || got[len(got)-1].Seq != turns {
		t.Errorf("got %d entries, want 1001 to %d", len(got), turns)
	}
}

func largeGroup(t *testing.T, s *reopenable) {
	const actors, turns = 100, 10
	var group []*store.Commit
	for rev := uint64(1); rev <= turns; rev++ {
		for i := range actors {
			group = append(group, turn(fmt.Sprint("actor", i), rev, event(rev)))
		}
	}
	commit(t, s, group...)
	s.again(t)
	for i := range actors {
		actor := fmt.Sprint("actor", i)
		if got := load(t, s, actor); got.Rev != turns || string(got.State) != string(stateAt(actor, turns)) {
			t.Errorf("%s: got revision %d and state %s, want that of %d", actor, got.Rev, got.State, turns)
		}
		if got := entries(t, s, actor, 0, 100, 1<<20); len(got) != turns {
			t.Errorf("%s: got %d entries, want %d", actor, len(got), turns)
		}
	}
}

// states are JSON, but their strings may contain bytes that are not UTF-8.
func states(t *testing.T, s *reopenable) {
	large := `{"text":"` + strings.Repeat("wörd ", 200_000) + `"}`
	all := []string{
		`{}`, `null`, `{"a":"ä \u0000 \" \\ <b>"}`, `{"a":"` + strings.Repeat("\xff\x80", 100) + `"}`, `{"a":"` + strings.Repeat("\xff\x80", 101) + `\xc3"}`,
		large, strings.Replace(large, "wörd", "wœrd", 1), large[:500_000] + `"}`, `[]`, ` {"spaces" : 1}`,
	}
	for i, state := range all {
		c := turn("ada", uint64(i)+1)
		c.State = []byte(state)
		if c.Base = nil; i > 0 && i != 8 { // a store takes a state without a base whole
			c.Base = []byte(all[i-1])
		}
		commit(t, s, c)
		if got := load(t, s, "ada").State; !bytes.Equal(got, c.State) {
			t.Errorf("state %d: got %.100q, want %.100q", i, got, c.State)
		}
		s.again(t)
		if got := load(t, s, "ada").State; !bytes.Equal(got, c.State) {
			t.Errorf("state %d after reopening: got %.100q, want %.100q", i, got, c.State)
		}
	}
}
