package sqlite_test

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// format3 returns a directory with a store as Troupe of format 3 left it: snapshots, and
// a journal behind them with edits, a difference, and bytes that are not UTF-8.
func format3(t testing.TB) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "format3.db.gz"))
	must(t, err)
	defer f.Close()
	unzip, err := gzip.NewReader(f)
	must(t, err)
	b, err := io.ReadAll(unzip)
	must(t, err)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "troupe.db"), b, 0o600))
	return dir
}

// checkFormat3 checks what is in the fixture.
func checkFormat3(t *testing.T, s store.Store) {
	t.Helper()
	for actor, want := range map[string]string{
		"ada":  `{"n":1} 2 2 [] [{"id":"x","h":2,"a":[{"c":2,"code":"no","m":"not so"}],"t":"2023-11-14T22:13:20Z"}]`,
		"bob":  `{"n":33} 3 1 [] [{"id":"y","h":1,"t":"2023-11-14T22:13:20Z","p":"p"}]`,
		"cleo": `{"n":1} 1 0 [] []`,
		"dora": "{\"s\":\"\xff\"} 1 0 [] []",
	} {
		got, err := s.Load(t.Context(), actor)
		if err != nil {
			t.Errorf("%s: %v", actor, err)
			continue
		}
		conns, _ := json.Marshal(append([]store.Conn{}, got.Conns...))
		callers, _ := json.Marshal(append([]store.Caller{}, got.Callers...))
		if g := fmt.Sprintf("%s %d %d %s %s", got.State, got.Rev, got.Head, conns, callers); g != want || got.Log != "log of "+actor {
			t.Errorf("%s: got %q, log %s, want %q", actor, g, got.Log, want)
		}
	}
	entries, err := s.Entries(t.Context(), "ada", 0, 10, 1<<20)
	if b, _ := json.Marshal(entries); err != nil || string(b) != `[{"s":1,"e":"said","d":{"n":1}},{"s":2,"e":"said","direct":true,"d":{"n":2}}]` {
		t.Errorf("entries: got %s, %v", b, err)
	}
	page, err := s.List(t.Context(), store.ListQuery{Limit: 10})
	if err != nil || len(page.Actors) < 4 {
		t.Errorf("List: got %+v, %v", page, err)
	}
}

// A file of format 3 is changed to the newest format with all that is in it, also after a
// crash. A copy of it is kept, which the old version can restore.
func TestFormat3(t *testing.T) {
	dir := format3(t)
	s := open(t, dir, quiet)
	checkFormat3(t, s)
	after := crashed(t, dir)
	closeStore(t, s)
	for _, dir := range []string{after, dir} {
		s = open(t, dir, quiet)
		checkFormat3(t, s)
		next := commitOf("ada", 3)
		next.Entries[0].Seq, next.Version, next.Due = 3, 2, startTime.Add(time.Hour)
		commit(t, s, next)
		closeStore(t, s)
		s = open(t, dir, quiet)
		if got, err := s.Load(t.Context(), "ada"); err != nil || got.Version != 2 || !got.Due.Equal(next.Due) || len(got.Callers) != 2 {
			t.Errorf("got %+v, %v", got, err)
		}
		closeStore(t, s)
	}
	kept := filepath.Join(dir, "troupe.db.format3")
	if info, err := os.Stat(kept); err != nil || info.Mode() != 0o600 {
		t.Errorf("the copy: got %v, %v; want mode 0600", info, err)
	}
	db, err := sql.Open("sqlite", kept)
	must(t, err)
	defer db.Close()
	var version, backup, actors int
	err = db.QueryRow("SELECT (SELECT * FROM pragma_user_version), backup, (SELECT count(*) FROM actors) FROM meta").Scan(&version, &backup, &actors)
	if err != nil || version != 3 || backup != 1 || actors != 4 {
		t.Errorf("the copy: got format %d, backup %d, %d actors, %v; want 3, 1, 4", version, backup, actors, err)
	}
	to := t.TempDir()
	if _, err := sqlite.Restore(t.Context(), to, kept); err != nil {
		t.Error(err)
	}
}

// Without room for the copy the file is changed anyway, and the log says so.
func TestFormat3_withoutACopy(t *testing.T) {
	dir := format3(t)
	must(t, os.Mkdir(filepath.Join(dir, "troupe.db.format3"), 0o700)) // the copy cannot take this name
	var log bytes.Buffer
	s := open(t, dir, sqlite.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	checkFormat3(t, s)
	closeStore(t, s)
	if !strings.Contains(log.String(), "without keeping a copy") {
		t.Errorf("got the log %s", log.String())
	}
	if _, err := os.Stat(filepath.Join(dir, "troupe.db.format3.part")); err == nil {
		t.Error("a part of the copy is left")
	}
}

// A version of Troupe that knows fewer formats refuses the file and leaves it alone.
func TestOpen_newerFormat(t *testing.T) {
	dir := t.TempDir()
	closeStore(t, open(t, dir, quiet))
	exec(t, raw(t, dir), fmt.Sprint("PRAGMA user_version = ", sqlite.Versions()+1))
	_, err := sqlite.Open(t.Context(), dir, quiet)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("a newer version of Troupe wrote it (its format is %d, this one knows up to %d)", sqlite.Versions()+1, sqlite.Versions())) {
		t.Errorf("got %v", err)
	}
}

// Everything that a file of format 3 may hold works after the change: a state of tens of
// megabytes, deep nesting, bytes that are not UTF-8.
func TestFormat3_large(t *testing.T) {
	size := 57 << 20
	if testing.Short() {
		size = 3 << 20
	}
	states := map[string]string{
		"list": `{"list":["` + strings.Repeat("x", size) + `"]}`,
		"deep": strings.Repeat("[", 2000) + strings.Repeat("]", 2000),
		"text": "{\"s\":\"\xff\"}",
	}
	dir := format3(t)
	db := raw(t, dir)
	num := 100
	for actor, state := range states {
		exec(t, db, "INSERT INTO actors (num, id, name, key, log) VALUES (?, ?, 'room', '[]', 'log')", num, actor)
		exec(t, db, "INSERT INTO snapshots (actor, rev, head, next_conn, connected, sum, state, conns, callers) VALUES (?, 1, 0, 1, 0, ?, CAST(? AS TEXT), '[]', '[]')",
			num, sqlite.Checksum(state, "[]", "[]"), []byte(state))
		num++
	}
	must(t, db.Close())
	o := quiet.WithoutSync()
	s := open(t, dir, o)
	checkFormat3(t, s)
	for rev := uint64(1); rev < 3; rev++ {
		for actor, state := range states {
			got, err := s.Load(t.Context(), actor)
			if err != nil || string(got.State) != state || got.Rev != rev {
				t.Fatalf("%s: got %d bytes at revision %d, %v; want %d at %d", actor, len(got.State), got.Rev, err, len(state), rev)
			}
			c := &store.Commit{Actor: actor, Name: "room", Key: []string{}, Log: "log", Time: startTime, Rev: rev + 1, Edits: []store.Edit{{At: 0, Cut: 1, Put: []byte(" " + state[:1])}}}
			commit(t, s, c)
			states[actor] = " " + state
		}
		closeStore(t, s)
		s = open(t, dir, o)
	}
	closeStore(t, s)
}
