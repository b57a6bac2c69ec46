package sqlite_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// TestSlices_callers: the kept answers of an actor are written in slices, between which it goes
// on. Wherever a crash comes, its callers are those of its newest commit, and what has not changed
// since a snapshot is not written again.
func TestSlices_callers(t *testing.T) {
	const seed = 1
	random := rand.New(rand.NewPCG(seed, 0))
	clock, dir := newClock(), t.TempDir()
	o := quiet.WithClock(clock.now).WithoutSync()
	s := open(t, dir, o)
	callers := map[string]int{} // and the sizes of their answers
	check := func(s *sqlite.Store) {
		t.Helper()
		got, err := s.Load(t.Context(), "ada")
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		sizes := map[string]int{}
		for _, c := range got.Callers {
			sizes[c.ID] = len(c.Answers[0].Result)
		}
		if !maps.Equal(sizes, callers) {
			t.Fatalf("seed %d, revision %d: got %v, want %v", seed, got.Rev, sizes, callers)
		}
	}
	rev, slicesWritten, crashes := uint64(0), 0, 0
	next := func() (touched int) {
		rev++
		c := commitOf("ada", rev)
		c.Callers = nil
		for range 3 {
			id, size := fmt.Sprint("c", random.IntN(60)), 20_000+random.IntN(20_000)
			c.Callers = slices.DeleteFunc(c.Callers, func(c store.Caller) bool { return c.ID == id })
			answer := store.Answer{Call: rev, Result: []byte(`"` + strings.Repeat("x", size-2) + `"`)}
			c.Callers = append(c.Callers, store.Caller{ID: id, Highest: rev, Used: startTime, Answers: []store.Answer{answer}})
			callers[id] = size
		}
		if ids := slices.Sorted(maps.Keys(callers)); len(ids) > 30 {
			for _, id := range ids {
				if random.IntN(3) == 0 && !slices.ContainsFunc(c.Callers, func(c store.Caller) bool { return c.ID == id }) {
					c.GoneCallers = append(c.GoneCallers, id)
					delete(callers, id)
				}
			}
		}
		commit(t, s, c)
		return len(c.Callers) + len(c.GoneCallers)
	}
	for rev < 200 {
		next()
		if random.IntN(3) > 0 || !s.Slice() {
			continue
		}
		slicesWritten++
		if random.IntN(5) == 0 {
			crashes++
			after := open(t, crashed(t, dir), o)
			check(after)
			closeStore(t, after)
		}
	}
	if slicesWritten < 10 || crashes < 2 {
		t.Errorf("seed %d: %d slices and %d crashes between them, want more for this test", seed, slicesWritten, crashes)
	}
	for s.Slice() { // of the save under way
	}
	for first := rev; !s.Slice(); next() {
		if rev > first+1000 {
			t.Fatalf("seed %d: no slice is due after 1000 commits", seed)
		}
	}
	touched := next()
	for s.Slice() {
	}
	if got := s.Touched("ada"); got > touched {
		t.Errorf("seed %d: %d callers would be written again, want at most %d", seed, got, touched)
	}
	check(s)
	clock.pass(10 * time.Minute)
	s.Tick()
	closeStore(t, s)
	s = open(t, dir, o)
	check(s)
	closeStore(t, s)
}
