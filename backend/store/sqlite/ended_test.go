package sqlite_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/troupe-dev/troupe/backend/store"
)

// A destroyed actor is out of the file once the journal is trimmed: its state, also in
// pieces, its items, connections and answers. A forgotten one leaves no row at all.
func TestDestroyed_leavesTheFile(t *testing.T) {
	const marker = "marker-of-the-secret"
	for name, size := range map[string]int{"small": 10, "large": 2 << 20} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			clock := newClock()
			s := open(t, dir, quiet.WithClock(clock.now))
			text := json.RawMessage(`"` + marker + `"`)
			rows := func(table string) (n int) {
				t.Helper()
				if err := raw(t, dir).QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
					t.Fatal(err)
				}
				return n
			}
			for rev := uint64(1); rev < 4; rev++ {
				c := commitOf("ada", rev)
				c.State = []byte(`{"s":"` + strings.Repeat(marker, size/len(marker)+1) + fmt.Sprint(rev) + `"}`)
				c.Conns = []store.Conn{{Num: 1, ID: "c", State: text}}
				c.Entries[0].Data = text
				c.Tables = []store.Table{{ID: 1, Field: "items"}}
				for i := range 200 {
					c.Items = append(c.Items, store.ItemEdit{Table: 1, Key: []byte(fmt.Sprint(rev, i)), Value: text})
					c.Callers = append(c.Callers, store.Caller{ID: fmt.Sprint(i), Used: startTime, Answers: []store.Answer{{Call: rev, Result: text}}})
				}
				commit(t, s, c)
				clock.pass(time.Hour)
				s.Tick()
				s.Tick()
			}
			if rows("items") != 600 || rows("callers") != 201 || (rows("pieces") > 0) != (size > 1<<20) {
				t.Errorf("got %d items, %d callers, %d pieces", rows("items"), rows("callers"), rows("pieces"))
			}
			end := commitOf("ada", 4)
			end.State, end.Base, end.End = nil, nil, store.Destroyed
			commit(t, s, end, commitOf("bob", 1))
			for range 3 {
				clock.pass(time.Hour)
				s.Tick()
			}
			for _, table := range []string{"items", "callers", "pieces", "garbage"} {
				if n := rows(table); n != 0 && table != "callers" {
					t.Errorf("%s: got %d rows, want none", table, n)
				}
			}
			exec(t, raw(t, dir), "PRAGMA wal_checkpoint(TRUNCATE)")
			b, err := os.ReadFile(filepath.Join(dir, "troupe.db"))
			must(t, err)
			if n := bytes.Count(b, []byte(marker)); n > 0 {
				t.Errorf("the file has the marker %d times", n)
			}

			gone := commitOf("ada", 5)
			gone.State, gone.Base, gone.End = nil, nil, store.Forgotten
			commit(t, s, gone)
			for range 3 {
				clock.pass(time.Hour)
				s.Tick()
			}
			if n := rows("actors") + rows("snapshots") + rows("callers"); n != 2 {
				t.Errorf("got %d rows, want those of bob only", n)
			}
			again := commitOf("ada", 1)
			commit(t, s, again)
			closeStore(t, s)
			s = open(t, dir, quiet)
			defer closeStore(t, s)
			checkActor(t, s, "ada", 1)
		})
	}
}

// Unclean tells a process that the one before has not closed the store.
func TestUnclean(t *testing.T) {
	dir := t.TempDir()
	check := func(dir string, want bool) {
		t.Helper()
		s := open(t, dir, quiet)
		defer closeStore(t, s)
		if s.Unclean() != want {
			t.Errorf("got %t, want %t", s.Unclean(), want)
		}
	}
	s := open(t, dir, quiet)
	commit(t, s, commitOf("ada", 1))
	killed := crashed(t, dir)
	closeStore(t, s)
	check(dir, false)
	check(killed, true)
	check(killed, false)
	check(format3(t), false)
}

// Garbage of a transaction that was durable, though the disk failed after it, is deleted
// once the file is open again.
func TestGarbage_afterTheDiskFailed(t *testing.T) {
	d, clock, dir := newDisk(t), newClock(), t.TempDir()
	s := open(t, dir, quiet.WithVFS(d.name).WithClock(clock.now))
	defer closeStore(t, s)
	commit(t, s, commitOf("bob", 1))
	s.Tick()
	d.failAll(opSync, sqlite3.SQLITE_IOERR_FSYNC)
	if errs := s.Commit(t.Context(), []*store.Commit{commitOf("bob", 2)}); errs == nil {
		t.Fatal("the disk did not fail")
	}
	d.failing(nil)
	exec(t, raw(t, dir), "INSERT INTO garbage VALUES (1000, -1)")
	clock.pass(time.Second)
	s.Tick()
	var rows int
	if err := raw(t, dir).QueryRow("SELECT count(*) FROM garbage").Scan(&rows); err != nil || rows != 0 {
		t.Errorf("got %d rows of garbage, %v; want none", rows, err)
	}
}
