package sqlite_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// largeActor is the first commit of an actor that is saved in slices: its state and its
// items take several.
func largeActor(actor string) *store.Commit {
	c := commitOf(actor, 1)
	c.State = []byte(`{"s":"` + strings.Repeat("0123456789", 200<<10) + `"}`)
	c.Tables = []store.Table{{ID: 1, Field: "items", Len: 400}}
	for i := range 400 {
		c.Items = append(c.Items, store.ItemEdit{Table: 1, Key: fmt.Appendf(nil, "%03d", i), Value: []byte("1")})
	}
	return c
}

// checkLarge checks that all of a largeActor is there.
func checkLarge(t *testing.T, s store.Store, c *store.Commit) {
	t.Helper()
	got, err := s.Load(t.Context(), c.Actor)
	if err != nil || !bytes.Equal(got.State, c.State) {
		t.Errorf("%s: %v", c.Actor, err)
	}
	page, err := s.Items(t.Context(), c.Actor, store.ItemRange{Table: 1, Limit: 1000, MaxBytes: 1 << 20})
	if err != nil || len(page.Items) != len(c.Items) {
		t.Errorf("%s: got %d items, %v; want %d", c.Actor, len(page.Items), err, len(c.Items))
	}
}

// A slice for which there is no room is not taken for written once there is room again.
func TestSlices_whileTheDiskIsFull(t *testing.T) {
	d, dir := newDisk(t), t.TempDir()
	for n := 0; ; n++ {
		clock := newClock()
		o := quiet.WithVFS(d.name).WithClock(clock.now)
		s := open(t, dir, o)
		c := largeActor(fmt.Sprint("ada", n))
		commit(t, s, c)
		clock.pass(10 * time.Minute)
		writes := 0
		d.failing(func(op diskOp, path string) int32 {
			if op == opWrite && strings.HasSuffix(path, "-wal") {
				if writes++; writes > n*200 {
					return sqlite3.SQLITE_FULL
				}
			}
			return 0
		})
		s.Tick()
		failed := s.Health() != nil
		d.failing(nil)
		for range 3 {
			clock.pass(10 * time.Minute)
			s.Tick()
		}
		if err := s.Health(); err != nil {
			t.Error(err)
		}
		closeStore(t, s)
		s = open(t, dir, o)
		checkLarge(t, s, c)
		closeStore(t, s)
		if !failed {
			if n < 3 {
				t.Error("no slice failed")
			}
			return
		}
	}
}

// Pieces of a save that was given up, or that a crash has ended, leave the file even if the
// state is not large any more.
func TestSlices_leftPieces(t *testing.T) {
	d, clock, dir := newDisk(t), newClock(), t.TempDir()
	s := open(t, dir, quiet.WithVFS(d.name).WithClock(clock.now))
	commit(t, s, largeActor("ada"))
	clock.pass(10 * time.Minute)
	d.failing(func(op diskOp, path string) int32 {
		var pieces int
		if op == opWrite && raw(t, dir).QueryRow("SELECT count(*) FROM pieces").Scan(&pieces) == nil && pieces > 0 {
			return sqlite3.SQLITE_FULL
		}
		return 0
	})
	s.Tick()
	if s.Health() == nil {
		t.Fatal("no slice failed")
	}
	d.failing(nil)
	after := crashed(t, dir)
	check := func(dir string, s *sqlite.Store) {
		t.Helper()
		small := commitOf("ada", 2)
		small.Base = nil
		commit(t, s, small)
		for range 3 {
			clock.pass(10 * time.Minute)
			s.Tick()
		}
		var pieces, garbage int
		must(t, raw(t, dir).QueryRow("SELECT (SELECT count(*) FROM pieces), (SELECT count(*) FROM garbage)").Scan(&pieces, &garbage))
		if pieces != 0 || garbage != 0 {
			t.Errorf("got %d pieces and %d rows of garbage, want none", pieces, garbage)
		}
		closeStore(t, s)
	}
	clock.pass(time.Second)
	s.Tick()
	check(dir, s)
	check(after, open(t, after, quiet.WithClock(clock.now)))
}

// Garbage of old pieces that is not deleted yet does not take new ones with it.
func TestSlices_newPieces(t *testing.T) {
	dir := t.TempDir()
	o := quiet.WithClock(newClock().now)
	s := open(t, dir, o)
	c := largeActor("ada")
	commit(t, s, c)
	const before4 = -5
	exec(t, raw(t, dir), fmt.Sprint("INSERT INTO garbage SELECT num, ", before4, " FROM actors"))
	closeStore(t, s)
	s = open(t, dir, o)
	s.Tick()
	checkLarge(t, s, c)
	closeStore(t, s)
}

// A table that was dropped has no items, also while their rows wait to be deleted.
func TestItems_ofADroppedTable(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, quiet.WithClock(newClock().now))
	c := largeActor("ada")
	commit(t, s, c)
	closeStore(t, s)
	s = open(t, dir, quiet.WithClock(newClock().now))
	drop := commitOf("ada", 2)
	drop.Base, drop.State, drop.Tables = nil, c.State, []store.Table{{ID: 1}}
	commit(t, s, drop)
	closeStore(t, s)
	s = open(t, dir, quiet.WithClock(newClock().now))
	defer closeStore(t, s)
	page, err := s.Items(t.Context(), "ada", store.ItemRange{Table: 1, Limit: 10, MaxBytes: 1 << 20})
	if err != nil || len(page.Items) != 0 {
		t.Errorf("got %d items, %v; want none", len(page.Items), err)
	}
}

// The empty key is one like others, also as nil.
func TestItems_emptyKey(t *testing.T) {
	for _, key := range [][]byte{nil, {}} {
		clock := newClock()
		s := open(t, t.TempDir(), quiet.WithClock(clock.now))
		for rev, value := range []string{"", "1", ""} {
			c := commitOf("ada", uint64(rev+1))
			c.Items = []store.ItemEdit{{Table: 1, Key: key, Value: []byte(value)}}
			want := 1
			if value == "" {
				c.Items[0].Value, want = nil, 0
			}
			commit(t, s, c)
			for range 3 {
				clock.pass(time.Hour)
				s.Tick()
			}
			page, err := s.Items(t.Context(), "ada", store.ItemRange{Table: 1, Limit: 10, MaxBytes: 1 << 20})
			if err != nil || len(page.Items) != want || s.Unsaved("ada") {
				t.Errorf("key %#v, revision %d: got %v, %v, unsaved %t; want %d items", key, c.Rev, page.Items, err, s.Unsaved("ada"), want)
			}
		}
		c := commitOf("ada", 4)
		c.Items = []store.ItemEdit{{Table: 1, Key: key, Value: []byte("1")}}
		end := commitOf("ada", 5)
		end.Base, end.State, end.End = nil, nil, store.Destroyed
		for _, c := range []*store.Commit{c, end} {
			commit(t, s, c)
			clock.pass(time.Hour)
			s.Tick() // ends, because the garbage does
		}
		closeStore(t, s)
	}
}
