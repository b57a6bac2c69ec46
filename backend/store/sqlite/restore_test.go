package sqlite_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// backupOf returns a backup of a store in which ada has a revision.
func backupOf(t *testing.T, revisions uint64) string {
	t.Helper()
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "backup.db")
	s := open(t, dir, quiet)
	defer closeStore(t, s)
	for rev := uint64(1); rev <= revisions; rev++ {
		commit(t, s, commitOf("ada", rev))
	}
	must(t, sqlite.Backup(t.Context(), dir, file))
	return file
}

func revisionOf(t *testing.T, dir string) uint64 {
	t.Helper()
	s := open(t, dir, quiet)
	defer closeStore(t, s)
	got, err := s.Load(t.Context(), "ada")
	must(t, err)
	return got.Rev
}

// A restored store is the backup, whatever a killed server left in the directory.
func TestRestore(t *testing.T) {
	backup := backupOf(t, 3)
	before, err := os.ReadFile(backup)
	must(t, err)

	killed := t.TempDir()
	s := open(t, killed, quiet)
	for rev := uint64(1); rev <= 300; rev++ {
		commit(t, s, commitOf("ada", rev))
	}
	dir := crashed(t, killed)
	closeStore(t, s)
	must(t, os.WriteFile(filepath.Join(dir, "session.key"), []byte("key"), 0o600))

	replaced, err := sqlite.Restore(t.Context(), dir, backup)
	must(t, err)
	if got := revisionOf(t, dir); got != 3 {
		t.Errorf("the restored store has revision %d, want 3", got)
	}
	if got := revisionOf(t, replaced); got != 300 {
		t.Errorf("the replaced store has revision %d, want 300", got)
	}
	if after, err := os.ReadFile(backup); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the backup has changed, %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "session.key")); err != nil {
		t.Error(err)
	}

	// Into a directory that does not exist; and twice.
	empty := filepath.Join(t.TempDir(), "a", "b")
	for i := range 2 {
		replaced, err := sqlite.Restore(t.Context(), empty, backup)
		if err != nil || (replaced == "") != (i == 0) {
			t.Errorf("restore %d: got %q, %v", i, replaced, err)
		}
	}
	if got := revisionOf(t, empty); got != 3 {
		t.Errorf("the restored store has revision %d, want 3", got)
	}
}

// A restore that is refused changes nothing.
func TestRestore_refuses(t *testing.T) {
	backup := backupOf(t, 100)
	content, err := os.ReadFile(backup)
	must(t, err)
	file := func(content []byte) string {
		name := filepath.Join(t.TempDir(), "b.db")
		must(t, os.WriteFile(name, content, 0o600))
		return name
	}
	foreign := filepath.Join(t.TempDir(), "troupe.db")
	exec(t, raw(t, filepath.Dir(foreign)), "CREATE TABLE t (x)")
	newer := t.TempDir()
	must(t, os.WriteFile(filepath.Join(newer, "troupe.db"), content, 0o600))
	exec(t, raw(t, newer), fmt.Sprint("PRAGMA user_version = ", sqlite.Versions()+1))
	running := t.TempDir()
	s := open(t, running, quiet)
	commit(t, s, commitOf("ada", 1))
	tests := []struct{ name, dir, file, want string }{
		{"a file that does not exist", "", filepath.Join(t.TempDir(), "no.db"), "no such file"},
		{"a directory", "", t.TempDir(), "not a backup"},
		{"an empty file", "", file(nil), "not a backup"},
		{"a text", "", file([]byte(strings.Repeat("not a database ", 1000))), "not a database"},
		{"another database", "", foreign, "not one of Troupe"},
		{"a backup of which a part is missing", "", file(content[:len(content)-8192]), "pages take"},
		{"a backup of a newer version", "", filepath.Join(newer, "troupe.db"), "a newer version"},
		{"a store that a server has open", running, backup, fmt.Sprint("in use by process ", os.Getpid())},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := test.dir
			if dir == "" {
				dir = filepath.Join(t.TempDir(), "data")
			}
			_, err := sqlite.Restore(t.Context(), dir, test.file)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got error %v, want one line with %q", err, test.want)
			}
			if test.dir != "" {
				return
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %v, want no directory", err)
			}
		})
	}
	closeStore(t, s)
	if got := revisionOf(t, running); got != 1 {
		t.Errorf("got revision %d of the running store, want 1", got)
	}
}

// A backup that was copied over the file of a killed server would be changed by that
// server's log. Open refuses it, and accepts it once the log is deleted.
func TestOpen_backupBesideAForeignLog(t *testing.T) {
	backup := backupOf(t, 3)
	killed := t.TempDir()
	s := open(t, killed, quiet)
	for rev := uint64(1); rev <= 300; rev++ {
		commit(t, s, commitOf("ada", rev))
	}
	dir := crashed(t, killed)
	closeStore(t, s)
	content, err := os.ReadFile(backup)
	must(t, err)
	path := filepath.Join(dir, "troupe.db")
	must(t, os.WriteFile(path, content, 0o600))

	for range 2 {
		_, err := sqlite.Open(t.Context(), dir, quiet)
		if err == nil || !strings.Contains(err.Error(), "delete "+path+"-wal and "+path+"-shm") || strings.Contains(err.Error(), "\n") {
			t.Fatalf("got error %v, want one line that names the files to delete", err)
		}
	}
	must(t, os.Remove(path+"-wal"))
	if got := revisionOf(t, dir); got != 3 {
		t.Errorf("got revision %d, want 3", got)
	}
}

// A restored store that was killed early opens again: its log is its own.
func TestOpen_restoredAndKilled(t *testing.T) {
	backup := backupOf(t, 3)
	dir := t.TempDir()
	_, err := sqlite.Restore(t.Context(), dir, backup)
	must(t, err)
	s := open(t, dir, quiet)
	commit(t, s, commitOf("ada", 4))
	after := crashed(t, dir)
	closeStore(t, s)
	if got := revisionOf(t, after); got != 4 {
		t.Errorf("got revision %d, want 4", got)
	}
}
