package sqlite_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

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
		<-w.moved
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
	// A backup that is cancelled or cannot be written leaves nothing, and its error
	// names the file.
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
	// A store that is not open can be backed up, too.
	if err := sqlite.Backup(t.Context(), copied, filepath.Join(dir, "again.db")); err != nil {
		t.Error(err)
	}
}
