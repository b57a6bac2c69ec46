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

// TestSlices_newCallers: callers that get rows for the first time do so in slices, too. A crash
// between them loses nothing, and what an interrupted save has left goes if it is not needed.
func TestSlices_newCallers(t *testing.T) {
	const callers, size = 300, 5_000
	clock, dir := newClock(), t.TempDir()
	o := quiet.WithClock(clock.now).WithoutSync()
	s := open(t, dir, o)
	rev := uint64(0)
	next := func(s *sqlite.Store, callers []store.Caller, gone ...string) {
		rev++
		c := commitOf("ada", rev)
		c.Callers, c.GoneCallers = callers, gone
		commit(t, s, c)
	}
	answered := func(n int) (all []store.Caller) {
		for i := range n {
			answer := store.Answer{Call: 1, Result: []byte(`"` + strings.Repeat("x", size) + `"`)}
			all = append(all, store.Caller{ID: fmt.Sprintf("c%03d", i), Highest: rev, Used: startTime, Answers: []store.Answer{answer}})
		}
		return all
	}
	count := func(dir, table string) (n int) {
		must(t, raw(t, dir).QueryRow("SELECT count(*) FROM "+table).Scan(&n))
		return n
	}
	check := func(s *sqlite.Store, want int) {
		t.Helper()
		if got, err := s.Load(t.Context(), "ada"); err != nil || len(got.Callers) != want {
			t.Errorf("got %d callers, %v; want %d", len(got.Callers), err, want)
		}
	}
	due := func(s *sqlite.Store) {
		for range 4 { // loading it reads more of the journal than of a snapshot
			next(s, answered(callers))
		}
	}
	due(s)
	next(s, nil)
	var killed string
	rows := 0
	for s.Slice() {
		n := count(dir, "callers")
		if n-rows > 40 {
			t.Errorf("a slice wrote %d callers of %d bytes", n-rows, size)
		}
		if rows = n; rows > callers/2 && killed == "" {
			killed = crashed(t, dir)
		}
	}
	if check(s, callers); rows != callers || count(dir, "garbage") != 0 {
		t.Errorf("got %d rows of callers and %d of garbage, want %d and none", rows, count(dir, "garbage"), callers)
	}
	closeStore(t, s)

	// Those in the middle of it are back, and others take the place of the rows that it has left.
	for _, left := range []int{0, callers - 1} {
		dir := crashed(t, killed)
		s := open(t, dir, o)
		check(s, callers)
		last := rev
		var gone []string
		for i := range callers - left {
			gone = append(gone, fmt.Sprintf("c%03d", i))
		}
		next(s, nil, gone...)
		for range 2 {
			clock.pass(10 * time.Minute)
			s.Tick()
		}
		if check(s, left); count(dir, "callers") != left || count(dir, "garbage") != 0 {
			t.Errorf("got %d rows of callers and %d of garbage, want %d and none", count(dir, "callers"), count(dir, "garbage"), left)
		}
		closeStore(t, s)
		s = open(t, dir, o)
		check(s, left)
		closeStore(t, s)
		rev = last
	}
}
