package sqlite_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// raw opens the file itself.
func raw(t testing.TB, dir string) *sql.DB {
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

// startReading opens a read transaction like that of a slow backup or of a shell. It
// ends with the test, or when the result is closed.
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

// The layout of the file is fixed when it is created.
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

// A program that reads the file, such as a backup, does not stop a server from
// starting.
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

// A file with a missing part is refused, with or without its log, unless the log has
// the missing part.
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
		// SQLite was moving its log into the file: the new pages are in both.
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
		startReading(t, dir) // keeps SQLite from restarting the log
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

// Files that must not be written stay unchanged, byte by byte.
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

func TestMigrations(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, quiet)
	commit(t, s, commitOf("ada", 1))
	closeStore(t, s)
	conn, err := raw(t, dir).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	steps := make([]string, sqlite.Versions(), sqlite.Versions()+2) // the first ones are done already
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

// Names counts the actors of each definition, in the journal and in snapshots.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, quiet)
	check := func(want map[string]int) {
		t.Helper()
		if got, err := s.Names(t.Context()); err != nil || !maps.Equal(got, want) {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
	}
	check(map[string]int{})
	other := commitOf("cleo", 1)
	other.Name = "hall"
	commit(t, s, commitOf("ada", 1), commitOf("bob", 1), other)
	commit(t, s, commitOf("ada", 2))
	check(map[string]int{"room": 2, "hall": 1})
	closeStore(t, s)
	s = open(t, dir, quiet)
	check(map[string]int{"room": 2, "hall": 1})
	closeStore(t, s)
	if _, err := s.Names(t.Context()); err == nil {
		t.Error("of a closed store: got no error")
	}
}

// The views make the file readable with a shell.
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
