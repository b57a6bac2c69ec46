package sqlite_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
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
