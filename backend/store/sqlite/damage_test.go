package sqlite_test

import (
	"bytes"
	"errors"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
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
	path := filepath.Join(dir, "troupe.db")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 8192
	for at := 0; at < len(content); at += page {
		if bytes.Count(content[at:at+page], []byte("z")) > page-10 {
			copy(content[at:], bytes.Repeat([]byte{0xee}, page))
		}
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
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
