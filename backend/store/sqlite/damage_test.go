package sqlite_test

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// A damaged actor does not affect the others: the journal is still trimmed, and its
// rows of the damaged actor are set aside.
func TestDamagedActor(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	s := open(t, dir, quiet)
	for _, actor := range []string{"ada", "bob", "cleo", "dan"} {
		commit(t, s, commitOf(actor, 1))
	}
	closeStore(t, s)
	s = open(t, dir, quiet)
	commit(t, s, commitOf("dan", 2)) // the snapshot of his first revision is good
	after := crashed(t, dir)
	closeStore(t, s)
	db := raw(t, after)
	exec(t, db, "UPDATE snapshots SET state = '{}' WHERE actor = (SELECT num FROM actors WHERE id = 'ada')")
	exec(t, db, "UPDATE groups SET commits = replace(commits, 'message', 'massage')")
	exec(t, db, "DELETE FROM snapshots WHERE actor = (SELECT num FROM actors WHERE id = 'bob')")
	var log bytes.Buffer
	o := quiet.WithClock(c.now)
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s = open(t, after, o)
	check := func(rev uint64) {
		t.Helper()
		for _, actor := range []string{"ada", "bob", "dan"} {
			if got, err := s.Load(t.Context(), actor); err == nil || errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: got %+v, %v; want an error that it is damaged", actor, got, err)
			}
			if errs := s.Commit(t.Context(), []*store.Commit{commitOf(actor, 3)}); errs == nil || errors.Is(errs[0], store.ErrConflict) {
				t.Errorf("%s: a commit: got %v, want an error that it is damaged", actor, errs)
			}
		}
		if got, err := s.Load(t.Context(), "cleo"); err != nil || got.Rev != rev {
			t.Errorf("cleo: got %+v, %v; want revision %d", got, err, rev)
		}
		if err := s.Health(); err != nil {
			t.Errorf("Health: got %v, though the store can be written", err)
		}
	}
	check(1)
	for range 3 {
		c.pass(time.Hour)
		s.Tick()
	}
	check(1)
	commit(t, s, commitOf("cleo", 2))
	if got := strings.Count(log.String(), "set aside"); got != 3 {
		t.Errorf("got %d lines about actors, want one for each of 3:\n%s", got, log.String())
	}
	var rows, aside int
	if err := db.QueryRow("SELECT (SELECT count(*) FROM groups), (SELECT count(*) FROM aside)").Scan(&rows, &aside); err != nil || rows != 1 || aside != 4 {
		t.Errorf("got %d rows in the journal and %d aside, %v; want 1, the newest, and 4", rows, aside, err)
	}
	closeStore(t, s)
	s = open(t, after, o)
	defer closeStore(t, s)
	check(2)
}

// If the rows that would be set aside cannot be read, nothing is deleted. The store
// keeps working.
func TestDamagedJournal(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	s := open(t, dir, quiet)
	large := commitOf("ada", 1)
	large.Entries[0].Data = []byte(`"` + strings.Repeat("z", 60_000) + `"`)
	commit(t, s, large)
	commit(t, s, commitOf("bob", 1))
	closeStore(t, s)
	exec(t, raw(t, dir), "DELETE FROM snapshots; PRAGMA wal_checkpoint(TRUNCATE)")
	overwritePages(t, filepath.Join(dir, "troupe.db"))
	var log bytes.Buffer
	o := quiet.WithClock(c.now)
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s = open(t, dir, o)
	defer closeStore(t, s)
	for range 3 {
		c.pass(time.Hour)
		s.Tick()
	}
	commit(t, s, commitOf("bob", 2))
	checkActor(t, s, "bob", 2)
	if err := s.Health(); err != nil || strings.Count(log.String(), "no longer trimmed") != 1 {
		t.Errorf("got health %v, want none, and the log\n%s\nwant one line that the journal is no longer trimmed", err, log.String())
	}
	var rows int
	if err := raw(t, dir).QueryRow("SELECT count(*) FROM groups").Scan(&rows); err != nil || rows != 3 {
		t.Errorf("got %d rows in the journal, %v; want all 3", rows, err)
	}
}

// A state that is computed from a delta is checked, not only the bytes of the journal.
func TestDamagedDelta(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, quiet)
	for rev := uint64(1); rev <= 5; rev++ {
		commit(t, s, commitOf("ada", rev))
	}
	after := crashed(t, dir)
	closeStore(t, s)
	db := raw(t, after)
	var commits []byte
	if err := db.QueryRow("SELECT CAST(replace(commits, 'message 3', 'massage 3') AS BLOB) FROM groups WHERE id = 4").Scan(&commits); err != nil || !bytes.Contains(commits, []byte("massage")) {
		t.Fatalf("got %s, %v; want a commit with another text", commits, err)
	}
	exec(t, db, "UPDATE groups SET commits = CAST(? AS TEXT), sum = ? WHERE id = 4", commits, crc32.Checksum(commits, crc32.MakeTable(crc32.Castagnoli)))
	s = open(t, after, quiet)
	defer s.Close() // it cannot snapshot the actor
	if got, err := s.Load(t.Context(), "ada"); err == nil || !strings.Contains(err.Error(), "the state does not have its checksum") {
		t.Errorf("got %+v, %v; want an error about the state's checksum", got, err)
	}
}

// One bad record does not take the store: each kind of record in the file is damaged in
// turn, of one actor, and everything of the others works, before and after a restart.
func TestDamagedRecord(t *testing.T) {
	const ada = "(SELECT num FROM actors WHERE id = 'ada')"
	tests := []struct {
		name, damage string
		lost         bool // the record that tells which actor it is
	}{
		{"snapshot: the state", "UPDATE snapshots SET state = '{\"rev\":7' WHERE actor = " + ada, false},
		{"snapshot: the connections", "UPDATE snapshots SET conns = '[{\"n\":\"one\"}]' WHERE actor = " + ada, false},
		{"snapshot: the callers", "UPDATE snapshots SET callers = '[7]' WHERE actor = " + ada, false},
		{"snapshot: the checksum", "UPDATE snapshots SET sum = sum + 1 WHERE actor = " + ada, false},
		{"snapshot: no checksum", "UPDATE snapshots SET sum = 'none' WHERE actor = " + ada, false},
		{"snapshot: the revision", "UPDATE snapshots SET rev = 'one' WHERE actor = " + ada, false},
		{"snapshot: a revision that is too low", "UPDATE snapshots SET rev = 1 WHERE actor = " + ada, false},
		{"snapshot: a revision that is too high", "UPDATE snapshots SET rev = 99 WHERE actor = " + ada, false},
		{"snapshot: the head", "UPDATE snapshots SET head = 'one' WHERE actor = " + ada, false},
		{"snapshot: missing", "DELETE FROM snapshots WHERE actor = " + ada, false},
		{"actor: the key", "UPDATE actors SET key = '[' WHERE id = 'ada'", false},
		{"actor: the name", "UPDATE actors SET name = x'ff00' WHERE id = 'ada'", false},
		{"actor: missing", "DELETE FROM actors WHERE id = 'ada'", true},
		{"actor: the id", "UPDATE actors SET id = x'ff' WHERE id = 'ada'", true},
		{"commit: an entry", "UPDATE groups SET commits = replace(commits, '\"e\":\"said\"', '\"e\":7') WHERE id IN " + rowsOfAda, false},
		{"commit: the state", "UPDATE groups SET commits = replace(commits, 'message', 'massage') WHERE id IN " + rowsOfAda, false},
		{"commit: a connection", "UPDATE groups SET commits = replace(commits, '\"n\":1', '\"n\":\"1\"') WHERE id IN " + rowsOfAda, false},
		{"commit: a caller", "UPDATE groups SET commits = replace(commits, '\"h\":', '\"h\":-') WHERE id IN " + rowsOfAda, false},
		{"commit: cut off", "UPDATE groups SET commits = substr(commits, 1, 20) WHERE id IN " + rowsOfAda, false},
		{"commit: empty", "UPDATE groups SET commits = '' WHERE id IN " + rowsOfAda, false},
		{"commit: the checksum", "UPDATE groups SET sum = sum + 1 WHERE id IN " + rowsOfAda, false},
		{"commit: no checksum", "UPDATE groups SET sum = 'none' WHERE id IN " + rowsOfAda, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir, c := t.TempDir(), newClock()
			s := open(t, dir, quiet)
			connected := commitOf("bob", 1)
			connected.Conns = []store.Conn{{Num: 1, ID: "a"}}
			commit(t, s, commitOf("ada", 1))
			commit(t, s, connected)
			commit(t, s, commitOf("ada", 2))
			closeStore(t, s)
			s = open(t, dir, quiet)
			commit(t, s, commitOf("ada", 3)) // in no snapshot
			commit(t, s, commitOf("bob", 2))
			dir = crashed(t, dir)
			_ = s.Close()
			db := raw(t, dir)
			exec(t, db, test.damage)
			exec(t, db, "PRAGMA wal_checkpoint(TRUNCATE)")
			must(t, db.Close())

			log := &bytes.Buffer{}
			o := quiet.WithClock(c.now)
			o.Logger = slog.New(slog.NewTextHandler(log, nil))
			s = open(t, dir, o)
			rev := uint64(2)
			check := func() {
				t.Helper()
				if _, err := s.Load(t.Context(), "ada"); !test.lost && err == nil && strings.HasPrefix(test.name, "snapshot: the state") {
					t.Error("ada: got no error")
				}
				checkActor(t, s, "bob", rev)
				var got []string
				if err := s.Connected(t.Context(), store.AllPartitions, func(actor string) bool { got = append(got, actor); return true }); err != nil || !slices.Contains(got, "bob") {
					t.Errorf("Connected: got %v, %v; want bob", got, err)
				}
				rev++
				commit(t, s, commitOf("bob", rev), commitOf("new", rev-2))
				if err := s.Health(); err != nil {
					t.Errorf("Health: %v", err)
				}
			}
			check()
			for range 3 {
				c.pass(time.Hour)
				s.Tick()
				check()
			}
			closeStore(t, s)
			s = open(t, dir, o)
			check()
			closeStore(t, s)
			if got := log.String(); strings.Contains(got, "cannot be written") {
				t.Errorf("the store was unavailable:\n%s", got)
			}
		})
	}
}

// rowsOfAda are the rows of the journal that have commits of ada: other actors have none
// in them.
const rowsOfAda = "(SELECT id FROM groups WHERE CAST(places AS INTEGER) = (SELECT num FROM actors WHERE id = 'ada'))"

// The same for pages of the file: those of the snapshot of one actor, and of its commit.
func TestDamagedPage(t *testing.T) {
	for _, test := range []struct {
		name   string
		commit bool // the commit has the large part, not the snapshot
	}{{"of a snapshot", false}, {"of a commit", true}} {
		t.Run(test.name, func(t *testing.T) {
			dir, c := t.TempDir(), newClock()
			s := open(t, dir, quiet)
			large := commitOf("ada", 1)
			filler := []byte(`"` + strings.Repeat("z", 60_000) + `"`)
			if test.commit {
				large.Entries[0].Data = filler
			} else {
				large.State = filler
			}
			commit(t, s, commitOf("bob", 1))
			commit(t, s, large)
			closeStore(t, s)
			if !test.commit { // the journal has the state, too
				s = open(t, dir, quiet.WithClock(c.now))
				c.pass(time.Hour)
				for range 3 {
					s.Tick()
				}
				closeStore(t, s)
			}
			db := raw(t, dir)
			exec(t, db, "PRAGMA wal_checkpoint(TRUNCATE)")
			must(t, db.Close())
			overwritePages(t, filepath.Join(dir, "troupe.db"))

			log := &bytes.Buffer{}
			o := quiet.WithClock(c.now)
			o.Logger = slog.New(slog.NewTextHandler(log, nil))
			s = open(t, dir, o)
			for rev := uint64(2); rev <= 5; rev++ {
				commit(t, s, commitOf("bob", rev))
				_ = s.Commit(t.Context(), []*store.Commit{commitOf("ada", 2)}) // fails
				c.pass(time.Hour)
				s.Tick()
				checkActor(t, s, "bob", rev)
				if err := s.Health(); err != nil {
					t.Errorf("Health: %v", err)
				}
			}
			closeStore(t, s)
			if got := log.String(); strings.Contains(got, "cannot be written") {
				t.Errorf("the store was unavailable:\n%s", got)
			}
			s = open(t, dir, o)
			defer closeStore(t, s)
			checkActor(t, s, "bob", 5)
		})
	}
}

// Garbage that cannot be deleted because its page is damaged stays. The store keeps working.
func TestDamagedPage_underGarbage(t *testing.T) {
	dir, c, log := t.TempDir(), newClock(), &bytes.Buffer{}
	o := quiet.WithoutSync().WithClock(c.now)
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	s := open(t, dir, o)
	ada := commitOf("ada", 1)
	ada.Items = []store.ItemEdit{{Table: 1, Key: []byte("k"), Value: []byte(`"` + strings.Repeat("z", 60_000) + `"`)}}
	commit(t, s, ada)
	for range 3 { // empties the journal
		c.pass(time.Hour)
		s.Tick()
	}
	closeStore(t, s)
	db := raw(t, dir)
	exec(t, db, "PRAGMA wal_checkpoint(TRUNCATE)")
	must(t, db.Close())
	overwritePages(t, filepath.Join(dir, "troupe.db"))
	s = open(t, dir, o)
	defer closeStore(t, s)
	end := commitOf("ada", 2)
	end.Base, end.State, end.End = nil, nil, store.Destroyed
	commit(t, s, end)
	for rev := uint64(1); rev <= 5; rev++ {
		c.pass(time.Hour)
		s.Tick()
		if err := s.Health(); err != nil {
			t.Errorf("Health: %v", err)
		}
		commit(t, s, commitOf("bob", rev))
	}
	if got := log.String(); strings.Contains(got, "cannot be written") || !strings.Contains(got, "cannot be deleted") {
		t.Errorf("got the log\n%s", got)
	}
}

// overwritePages overwrites the pages of a file that are full of z.
func overwritePages(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	const page = 8192
	n := 0
	for at := 0; at < len(content); at += page {
		if bytes.Count(content[at:at+page], []byte("z")) > page-10 {
			copy(content[at:], bytes.Repeat([]byte{0xee}, page))
			n++
		}
	}
	if n == 0 {
		t.Fatal("no page was overwritten")
	}
	must(t, os.WriteFile(path, content, 0o600))
}

// A snapshot that cannot be written because its page is damaged fails neither the
// commits of its transaction nor the store. The actor stays in the journal.
func TestDamagedPage_underASnapshot(t *testing.T) {
	const actors, victim = 200, "actor100"
	dir, c, log := t.TempDir(), newClock(), &bytes.Buffer{}
	o := quiet.WithoutSync().WithClock(c.now)
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	s := open(t, dir, o)
	for i := range actors {
		state := commitOf(fmt.Sprint("actor", i), 1)
		state.State = fmt.Appendf(nil, `{"of":"%s", "filler":"%s"}`, state.Actor, strings.Repeat("z", 500))
		commit(t, s, state)
	}
	c.pass(time.Hour)
	for range 5 {
		s.Tick() // empties the journal
	}
	closeStore(t, s)
	s = open(t, dir, o)
	edit := commitOf(victim, 2)
	edit.Base, edit.State, edit.Edits = nil, nil, []store.Edit{{Put: []byte(" ")}}
	commit(t, s, edit) // its record is in memory now
	db := raw(t, dir)
	exec(t, db, "PRAGMA wal_checkpoint(TRUNCATE)")
	rows, err := db.Query("SELECT pageno FROM dbstat WHERE name = 'snapshots' AND pagetype = 'leaf'")
	must(t, err)
	var leaves []int
	for rows.Next() {
		leaves = append(leaves, 0)
		must(t, rows.Scan(&leaves[len(leaves)-1]))
	}
	must(t, errors.Join(rows.Err(), db.Close()))
	path := filepath.Join(dir, "troupe.db")
	content, err := os.ReadFile(path)
	must(t, err)
	damaged := map[string]bool{}
	for _, n := range leaves {
		const size = 8192
		p := content[(n-1)*size : n*size]
		if !bytes.Contains(p, []byte(`{"of":"`+victim+`"`)) {
			continue
		}
		for i := range actors {
			if actor := fmt.Sprint("actor", i); bytes.Contains(p, []byte(`{"of":"`+actor+`"`)) {
				damaged[actor] = true
			}
		}
		copy(p, bytes.Repeat([]byte{0xee}, size))
	}
	if len(damaged) == 0 || len(damaged) > actors/2 {
		t.Fatalf("the damaged pages have %d actors", len(damaged))
	}
	must(t, os.WriteFile(path, content, 0o600))

	commit(t, s, commitOf("bob", 1))
	for rev := uint64(2); rev <= 30; rev++ { // with those that trim
		c.pass(5 * time.Minute)
		commit(t, s, commitOf("bob", rev))
		s.Tick()
		checkActor(t, s, "bob", rev)
		if got, err := s.Load(t.Context(), victim); err != nil || got.Rev != 2 {
			t.Fatalf("%s: got %+v, %v; want revision 2", victim, got, err)
		}
		if err := s.Health(); err != nil {
			t.Fatalf("Health: %v", err)
		}
	}
	for i := range actors {
		actor := fmt.Sprint("actor", i)
		if got, err := s.Load(t.Context(), actor); !damaged[actor] && err != nil {
			t.Errorf("%s: got %+v, %v; want revision 1", actor, got, err)
		}
	}
	closeStore(t, s)
	if got := log.String(); strings.Contains(got, "cannot be written") || strings.Count(got, "actor="+victim) < 2 {
		t.Errorf("got the log\n%s\nwant lines about %s, and none about the store", got, victim)
	}
	s = open(t, dir, o)
	for rev := uint64(31); rev <= 50; rev++ { // now the victim cannot be read
		c.pass(5 * time.Minute)
		commit(t, s, commitOf("bob", rev))
		s.Tick()
		checkActor(t, s, "bob", rev)
		if err := s.Health(); err != nil {
			t.Fatalf("Health: %v", err)
		}
	}
	closeStore(t, s)
	s = open(t, dir, o)
	defer closeStore(t, s)
	checkActor(t, s, "bob", 50)
}
