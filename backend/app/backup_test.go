package app_test

import (
	"bytes"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/app"
)

// outputOf runs troupe with a command that ends by itself, and returns its output.
func outputOf(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := app.Run(t.Context(), args, nil, noUI, &out, io.Discard)
	return out.String(), err
}

// restore brings back the backup, with the key that signs sessions. A backup of an older
// version does not have it: the messages ask for it.
func TestRun_restore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	file := filepath.Join(t.TempDir(), "backup.db")
	s := start(t, "-data", dir)
	send(t, s, "before")
	out, err := outputOf(t, "-data", dir, "backup", file)
	if err != nil || strings.Contains(out, "session.key") {
		t.Fatalf("backup: got %q, %v; want nothing about the key, which is in it", out, err)
	}
	send(t, s, "after the backup")
	if _, err := outputOf(t, "-data", dir, "restore", file); err == nil || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("restore while the server runs: got %v, want that it is in use", err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}

	out, err = outputOf(t, "-data", dir, "restore", file)
	if err != nil || !strings.Contains(out, "the store that it replaces is in "+dir) || strings.Contains(out, "session.key") {
		t.Errorf("restore: got %q, %v; want the directory of the replaced store, and nothing about the key, which is there", out, err)
	}
	if got := send(t, start(t, "-data", dir), "restored"); !strings.Contains(got, "before") || strings.Contains(got, "after the backup") {
		t.Errorf("restored: got %s, want the message from before the backup only", got)
	}

	fresh := filepath.Join(t.TempDir(), "fresh")
	if out, err := outputOf(t, "-data", fresh, "restore", file); err != nil || strings.Contains(out, "session.key") {
		t.Errorf("restore of a backup with the key: got %q, %v", out, err)
	}
	db, err := sql.Open("sqlite", file)
	if err == nil {
		_, err = db.Exec("DROP TABLE secrets")
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	fresh = filepath.Join(t.TempDir(), "fresh")
	out, err = outputOf(t, "-data", fresh, "restore", file)
	if err != nil || !strings.Contains(out, "copy the session.key of that time to "+filepath.Join(fresh, "session.key")) || strings.Contains(out, "replaces") {
		t.Errorf("restore into a new directory: got %q, %v; want that it asks for the key", out, err)
	}
	if out, err := outputOf(t, "-data", fresh, "-session-key", strings.Repeat("k", 32), "restore", file); err != nil || strings.Contains(out, "session.key") {
		t.Errorf("with a key of the configuration: got %q, %v", out, err)
	}
}

// Without the right -data, backup says what to write, and makes nothing.
func TestRun_backupOfNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"", "elsewhere"} {
		args := []string{"backup", "b.db"}
		if dir != "" {
			args = append([]string{"-data", dir}, args...)
		}
		if _, err := outputOf(t, args...); err == nil || !strings.Contains(err.Error(), "troupe -data DIRECTORY backup FILE") {
			t.Errorf("%q: got %v, want an error with the command to write", dir, err)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("got the files %v, %v; want none", left, err)
	}
	if _, err := outputOf(t, "-store", "memory", "restore", "b.db"); err == nil || !strings.Contains(err.Error(), "memory store") {
		t.Errorf("into the memory store: got %v, want an error", err)
	}
}
