package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// raw opens the file itself.
func raw(t *testing.T, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "troupe.db")+"?_pragma=busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func exec(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// startReading reads the file as another program does that takes its time: a
// backup, or a shell with an open transaction. It ends with the test, or when what
// it returns is closed.
func startReading(t *testing.T, dir string) *sql.DB {
	t.Helper()
	db := raw(t, dir)
	db.SetMaxOpenConns(1)
	exec(t, db, "BEGIN")
	var n int
	if err := db.QueryRow("SELECT count(*) FROM groups").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return db
}

// How the file is laid out cannot be changed once there is one.
func TestOpen_layout(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, quiet)
	defer closeStore(t, s)
	var pageSize, vacuum int
	var journal string
	row := raw(t, dir).QueryRow("SELECT (SELECT * FROM pragma_page_size), (SELECT * FROM pragma_auto_vacuum), (SELECT * FROM pragma_journal_mode)")
	if err := row.Scan(&pageSize, &vacuum, &journal); err != nil || pageSize != 8192 || vacuum != 2 || journal != "wal" {
		t.Errorf("got pages of %d bytes, vacuum %d, journal %s, %v; want 8192, 2, wal", pageSize, vacuum, journal, err)
	}
}

// One process at a time: the second one is told who has the directory.
func TestG10_OneProcessADirectory(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, quiet)
	o := quiet
	o.LockWait = -1
	_, err := sqlite.Open(t.Context(), dir, o)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second one: got %v, want an error that names the directory and the process", err)
	}

	opened := make(chan error, 1)
	go func() { // one that waits gets it
		second, err := sqlite.Open(context.Background(), dir, quiet)
		if err == nil {
			err = second.Close()
		}
		opened <- err
	}()
	closeStore(t, first)
	if err := <-opened; err != nil {
		t.Errorf("one that waits: %v", err)
	}
}

func TestOpen_inADirectoryThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "troupe.lock"), 0o700); err != nil { // for root, too
		t.Fatal(err)
	}
	_, err := sqlite.Open(t.Context(), dir, quiet)
	if want := "the data directory " + dir + " cannot be written: "; err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want one line that starts with %q", err, want)
	}
}

// A process whose lock does not count any more cannot write: the epoch fences.
func TestG10_AStaleProcessCannotWrite(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, quiet)
	commit(t, s, commitOf("ada", 1))
	exec(t, raw(t, dir), "UPDATE meta SET epoch = epoch + 1")
	for range 2 {
		errs := s.Commit(t.Context(), []*store.Commit{commitOf("ada", 2), commitOf("bob", 1)})
		if len(errs) != 2 || !errors.Is(errs[0], store.ErrConflict) || !errors.Is(errs[1], store.ErrConflict) {
			t.Errorf("got %v, want ErrConflict twice", errs)
		}
	}
	checkFenced(t, s)
	closeStore(t, s)
	checkClosed(t, s)
	again := open(t, dir, quiet)
	defer closeStore(t, again)
	checkActor(t, again, "ada", 1)
	if got, err := again.Load(t.Context(), "ada"); err != nil || got.Rev != 1 {
		t.Errorf("got %+v, %v; want revision 1", got, err)
	}
	if _, err := again.Load(t.Context(), "bob"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

// What is written without a commit is fenced, too: here the snapshot of an actor
// that leaves memory.
func TestG10_AStaleProcessDoesNoUpkeep(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	s := open(t, dir, quiet.WithClock(c.now))
	defer closeStore(t, s)
	commit(t, s, commitOf("ada", 1))
	db := raw(t, dir)
	exec(t, db, "UPDATE meta SET epoch = epoch + 1")
	c.pass(time.Hour)
	s.Tick()
	var snapshots, rows int
	if err := db.QueryRow("SELECT (SELECT count(*) FROM snapshots), (SELECT count(*) FROM groups)").Scan(&snapshots, &rows); err != nil || snapshots != 0 || rows != 1 {
		t.Errorf("got %d snapshots and %d rows, %v; want what there was: none and 1", snapshots, rows, err)
	}
	checkFenced(t, s)
}

// checkFenced checks that a store says nothing, since another process may have
// gone on.
func checkFenced(t *testing.T, s *sqlite.Store) {
	t.Helper()
	checkRefuses(t, s, "another process has taken over the store")
	if _, err := s.Load(t.Context(), "ada"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Load: got %v, want ErrConflict", err)
	}
}

// checkClosed checks that a store that is closed says so.
func checkClosed(t *testing.T, s *sqlite.Store) {
	t.Helper()
	checkRefuses(t, s, "the store is closed")
}

func checkRefuses(t *testing.T, s *sqlite.Store, want string) {
	t.Helper()
	_, loadErr := s.Load(t.Context(), "ada")
	_, entriesErr := s.Entries(t.Context(), "ada", 0, 10, 1<<20)
	errs := map[string]error{
		"Load": loadErr, "Entries": entriesErr, "Health": s.Health(),
		"Connected": s.Connected(t.Context(), func(string) bool { return true }),
		"Commit":    errors.Join(s.Commit(t.Context(), []*store.Commit{commitOf("ada", 99)})...),
	}
	for method, err := range errs {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want that %s", method, err, want)
		}
	}
}

// Who reads the file, a backup for one, keeps no server from starting.
func TestOpen_withAReader(t *testing.T) {
	t.Run("after a crash", func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir, quiet)
		commit(t, s, commitOf("ada", 1))
		after := crashed(t, dir)
		closeStore(t, s)
		startReading(t, after)
		s = open(t, after, quiet)
		defer closeStore(t, s)
		checkActor(t, s, "ada", 1)
		commit(t, s, commitOf("ada", 2))
	})
	t.Run("after a clean stop", func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir, quiet)
		commit(t, s, commitOf("ada", 1))
		startReading(t, dir)
		closeStore(t, s)
		s = open(t, dir, quiet)
		defer closeStore(t, s)
		checkActor(t, s, "ada", 1)
		commit(t, s, commitOf("ada", 2))
	})
}

func TestAnotherProgramThatLocksTheFile(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	s := open(t, dir, quiet.WithBusy(time.Millisecond).WithClock(c.now))
	defer closeStore(t, s)
	commit(t, s, commitOf("ada", 1))
	shell, err := raw(t, dir).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shell.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	errs := s.Commit(t.Context(), []*store.Commit{commitOf("ada", 2)})
	if len(errs) != 1 || errs[0] == nil || errors.Is(errs[0], store.ErrUnknown) || !strings.Contains(s.Health().Error(), "locked") {
		t.Errorf("got %v and health %v, want an error that the file is locked", errs, s.Health())
	}
	checkActor(t, s, "ada", 1)
	if _, err := shell.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	c.pass(time.Second)
	commit(t, s, commitOf("ada", 2))
	if err := s.Health(); err != nil {
		t.Errorf("Health: %v", err)
	}
}

// A file of which a part is missing is refused, whether its log is there or not;
// one whose log has what is missing is not.
func TestOpen_refusesAPart(t *testing.T) {
	whole := t.TempDir()
	s := open(t, whole, quiet)
	for rev := uint64(1); rev <= 1500; rev += 10 { // so that the log was moved into the file before
		var group []*store.Commit
		for r := rev; r < rev+10; r++ {
			c := commitOf("ada", r)
			c.Base = nil
			group = append(group, c)
		}
		commit(t, s, group...)
	}
	crash := crashed(t, whole)
	closeStore(t, s)
	size := func(dir string) int64 {
		info, err := os.Stat(filepath.Join(dir, "troupe.db"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	for _, from := range []string{whole, crash} {
		full := size(from)
		for _, length := range []int64{0, 100, 4096, 8192, 3 * 8192, full - 8192, full - 1} {
			if from == whole && length == 0 {
				continue // an empty file alone is a new one
			}
			t.Run(fmt.Sprintf("%d of %d bytes, after a crash: %t", length, full, from == crash), func(t *testing.T) {
				dir := t.TempDir()
				if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(dir, "troupe.db")
				if err := os.Truncate(path, length); err != nil {
					t.Fatal(err)
				}
				_, err := sqlite.Open(t.Context(), dir, quiet)
				if err == nil || !strings.Contains(err.Error(), path+" is damaged and was left as it is") || strings.Contains(err.Error(), "\n") {
					t.Errorf("got error %v, want one line that the file is damaged", err)
				}
				for name, want := range map[string]string{"troupe.db": "", "troupe.db-wal": filepath.Join(from, "troupe.db-wal")} {
					got, _ := os.ReadFile(filepath.Join(dir, name))
					if want != "" {
						if before, _ := os.ReadFile(want); !bytes.Equal(got, before) {
							t.Errorf("%s has changed", name)
						}
					} else if int64(len(got)) != length {
						t.Errorf("%s has now %d bytes, want %d", name, len(got), length)
					}
				}
			})
		}
	}
	t.Run("a log alone", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(crash)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "troupe.db")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := sqlite.Open(t.Context(), dir, quiet); err == nil || !strings.Contains(err.Error(), path+" is damaged") {
			t.Errorf("got error %v, want that the file is damaged", err)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v, want that no file is made", err)
		}
	})
	t.Run("the log has the rest", func(t *testing.T) {
		// SQLite was moving its log into the file: all that is new is in both.
		dir := t.TempDir()
		s := open(t, dir, quiet)
		defer closeStore(t, s)
		before := size(dir)
		for rev := uint64(1); rev <= 30; rev++ {
			c := commitOf("ada", rev)
			c.Entries[0].Data = []byte(`"` + strings.Repeat("x", 10_000) + `"`)
			commit(t, s, c)
		}
		db := raw(t, dir)
		startReading(t, dir) // keeps the log from beginning anew
		exec(t, db, "PRAGMA wal_checkpoint(PASSIVE)")
		after := crashed(t, dir)
		if size(after) < before+3*8192 {
			t.Fatalf("the file grew from %d to %d bytes, want more", before, size(after))
		}
		if err := os.Truncate(filepath.Join(after, "troupe.db"), before+8192); err != nil {
			t.Fatal(err)
		}
		again := open(t, after, quiet)
		defer closeStore(t, again)
		checkActor(t, again, "ada", 30)
	})
}

// Files that must not be written are left as they are, byte by byte.
func TestOpen_refuses(t *testing.T) {
	stored := func(t *testing.T, dir string) {
		s := open(t, dir, quiet)
		for rev := uint64(1); rev <= 50; rev++ {
			commit(t, s, commitOf("ada", rev))
		}
		closeStore(t, s)
	}
	tests := []struct {
		name string
		make func(t *testing.T, dir string)
		want string
	}{
		{"no database", func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "troupe.db"), bytes.Repeat([]byte("not a database "), 1000), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "is damaged and was left as it is"},
		{"another database", func(t *testing.T, dir string) {
			exec(t, raw(t, dir), "CREATE TABLE t (x)")
		}, "not one of Troupe"},
		{"a newer version", func(t *testing.T, dir string) {
			stored(t, dir)
			exec(t, raw(t, dir), fmt.Sprint("PRAGMA user_version = ", sqlite.Versions()+1))
		}, "a newer version of Troupe wrote it"},
		{"a journal with a gap", func(t *testing.T, dir string) {
			stored(t, dir)
			exec(t, raw(t, dir), "DELETE FROM groups WHERE id = 20")
		}, "is damaged and was left as it is"},
		{"nonsense in the journal", func(t *testing.T, dir string) {
			stored(t, dir)
			exec(t, raw(t, dir), "UPDATE groups SET places = '1 2 x' WHERE id = 20")
		}, "is damaged and was left as it is"},
		{"a page that was overwritten", func(t *testing.T, dir string) {
			stored(t, dir)
			f, err := os.OpenFile(filepath.Join(dir, "troupe.db"), os.O_RDWR, 0)
			if err == nil {
				_, err = f.WriteAt(bytes.Repeat([]byte{0xee}, 8192), 0)
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}, "is damaged and was left as it is"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			test.make(t, dir)
			path := filepath.Join(dir, "troupe.db")
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = sqlite.Open(t.Context(), dir, quiet)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got error %v, want one line with %q and the file's name", err, test.want)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file has changed, %v", err)
			}
		})
	}
}

// What is damaged inside is an actor's trouble, not that of the others: the
// journal is trimmed all the same, and what it has of that actor is set aside.
func TestADamagedActor(t *testing.T) {
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

// If not even what is to be set aside can be read, nothing is thrown away. The
// store works on.
func TestADamagedJournal(t *testing.T) {
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

// A state that was made from a difference is checked, not only the bytes of the
// journal.
func TestADifferenceThatDoesNotFit(t *testing.T) {
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
	defer s.Close() // of which the next lines say that it cannot save
	if got, err := s.Load(t.Context(), "ada"); err == nil || !strings.Contains(err.Error(), "the state does not have its checksum") {
		t.Errorf("got %+v, %v; want an error about the state's checksum", got, err)
	}
}

func TestMigrations(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, quiet)
	commit(t, s, commitOf("ada", 1))
	closeStore(t, s)
	conn, err := raw(t, dir).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	steps := make([]string, sqlite.Versions(), sqlite.Versions()+2) // those that the file has are not done again
	steps = append(steps, "CREATE TABLE further (x); INSERT INTO further VALUES (1)", "INSERT INTO further VALUES (2)")
	for range 2 {
		if err := sqlite.Migrate(t.Context(), conn, steps); err != nil {
			t.Fatal(err)
		}
	}
	var sum, version int
	if err := conn.QueryRowContext(t.Context(), "SELECT sum(x), (SELECT * FROM pragma_user_version) FROM further").Scan(&sum, &version); err != nil || sum != 3 || version != len(steps) {
		t.Errorf("got sum %d and version %d, %v; want 3 and %d", sum, version, err, len(steps))
	}
	// A step that fails changes nothing.
	if err := sqlite.Migrate(t.Context(), conn, append(steps, "INSERT INTO further VALUES (4); INSERT INTO nowhere VALUES (1)")); err == nil {
		t.Error("a wrong step: got no error")
	}
	if err := conn.QueryRowContext(t.Context(), "SELECT sum(x), (SELECT * FROM pragma_user_version) FROM further").Scan(&sum, &version); err != nil || sum != 3 || version != len(steps) {
		t.Errorf("after a wrong step: got sum %d and version %d, %v; want 3 and %d", sum, version, err, len(steps))
	}
}

// People can read the file.
func TestViews(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, quiet)
	defer closeStore(t, s)
	for rev := uint64(1); rev <= 60; rev++ {
		commit(t, s, commitOf("ada", rev))
	}
	var name, key, at, state, entries string
	db := raw(t, dir)
	if err := db.QueryRow("SELECT name, key, time, state, entries FROM commits WHERE rev = 1").Scan(&name, &key, &at, &state, &entries); err != nil {
		t.Fatal(err)
	}
	if name != "room" || key != `["ada"]` || at != "2023-11-14 22:13:20.000" || state != string(stateOf("ada", 1)) || entries != `[{"s":1,"e":"said","d":{"n":1}}]` {
		t.Errorf("got %s %s %s %s %s", name, key, at, state, entries)
	}
	var delta sql.NullString
	if err := db.QueryRow("SELECT delta FROM commits WHERE rev = 60").Scan(&delta); err != nil || !strings.Contains(delta.String, "message 59") || len(delta.String) > 200 {
		t.Errorf("got %v, %v; want a short difference", delta, err)
	}
}

func TestBackup(t *testing.T) {
	dir, copied := t.TempDir(), filepath.Join(t.TempDir(), "copied")
	if err := os.Mkdir(copied, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(copied, "troupe.db")
	if err := sqlite.Backup(t.Context(), dir, file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nothing: got %v, want that there is no store", err)
	}
	s := open(t, dir, quiet)
	w := startWriters(t, s, 4)
	for len(w.acknowledged()) < 4 {
		_, _ = os.Stat(dir)
	}
	acked := w.acknowledged()
	if err := sqlite.Backup(t.Context(), dir, file); err != nil {
		t.Fatal(err)
	}
	close(w.stop)
	w.wait.Wait()
	if err := sqlite.Backup(t.Context(), dir, file); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("to a file that exists: got %v, want an error", err)
	}
	before, err := s.Load(t.Context(), "actor0")
	if err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	if left, err := os.ReadDir(copied); err != nil || len(left) != 1 {
		t.Errorf("got the files %v, %v; want the backup alone", left, err)
	}

	var logs []string
	for range 2 {
		restored := open(t, copied, quiet)
		for actor, rev := range acked {
			checkActor(t, restored, actor, rev)
		}
		got, err := restored.Load(t.Context(), "actor0")
		if err != nil {
			t.Fatal(err)
		}
		logs = append(logs, got.Log)
		closeStore(t, restored)
	}
	if logs[0] == before.Log || logs[0] == "" || logs[0] != logs[1] {
		t.Errorf("the restored logs are %q; want a new identity, once: clients may have seen more of %q", logs, before.Log)
	}
	// One that is cancelled, or cannot be written, leaves nothing and names what it
	// was to be.
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	other := t.TempDir()
	if err := sqlite.Backup(cancelled, copied, filepath.Join(other, "b.db")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	if left, err := os.ReadDir(other); err != nil || len(left) != 0 {
		t.Errorf("cancelled: got the files %v, %v; want none", left, err)
	}
	nowhere := filepath.Join(other, "nowhere", "b.db")
	if err := sqlite.Backup(t.Context(), copied, nowhere); err == nil || !strings.Contains(err.Error(), "write the backup "+nowhere+": ") || strings.Contains(err.Error(), ".troupe-backup") {
		t.Errorf("into a directory that does not exist: got %v, want an error that names the file", err)
	}
	// A store that nobody has open can be backed up, too.
	if err := sqlite.Backup(t.Context(), copied, filepath.Join(dir, "again.db")); err != nil {
		t.Error(err)
	}
}
