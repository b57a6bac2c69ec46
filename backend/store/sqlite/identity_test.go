package sqlite_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// A store whose files were deleted, moved away or replaced acknowledges nothing more:
// SQLite would write to files that nobody can read any more.
func TestFileGone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not let go of an open file")
	}
	remove := func(name string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, name))) }
	}
	tests := []struct {
		name   string
		damage func(t *testing.T, dir string)
		kept   bool // the data is not lost: Close writes it to the file
	}{
		{"the file is deleted", remove("troupe.db"), false},
		{"the log is deleted", remove("troupe.db-wal"), true},
		{"the index of the log is deleted", remove("troupe.db-shm"), true},
		{"the directory is deleted", func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)) }, false},
		{"the directory is moved away", func(t *testing.T, dir string) { must(t, os.Rename(dir, dir+".old")) }, false},
		{"another directory is in its place", func(t *testing.T, dir string) {
			must(t, os.Rename(dir, dir+".old"))
			closeStore(t, open(t, dir, quiet))
		}, false},
		{"the file is replaced", func(t *testing.T, dir string) {
			other := filepath.Join(dir, "other")
			closeStore(t, open(t, other, quiet))
			must(t, os.Rename(filepath.Join(other, "troupe.db"), filepath.Join(dir, "troupe.db")))
		}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir, c, log := filepath.Join(t.TempDir(), "data"), newClock(), &bytes.Buffer{}
			o := quiet.WithClock(c.now)
			o.Logger = slog.New(slog.NewTextHandler(log, nil))
			s := open(t, dir, o)
			commit(t, s, commitOf("ada", 1))
			test.damage(t, dir)
			s.Tick()
			for range 3 {
				if err := s.Health(); !errors.Is(err, store.ErrGone) {
					t.Errorf("Health: got %v, want ErrGone", err)
				}
				errs := s.Commit(t.Context(), []*store.Commit{commitOf("ada", 2)})
				if len(errs) != 1 || !errors.Is(errs[0], store.ErrGone) {
					t.Errorf("Commit: got %v, want ErrGone", errs)
				}
				c.pass(time.Second)
				s.Tick()
			}
			if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, dir) {
				t.Errorf("got the log %q, want one line that names the file", got)
			}
			err := s.Close()
			if test.kept {
				must(t, err)
				s = open(t, dir, quiet)
				defer closeStore(t, s)
				checkActor(t, s, "ada", 1)
			} else if !errors.Is(err, store.ErrGone) {
				t.Errorf("Close: got %v, want ErrGone", err)
			}
		})
	}
}

// A file that comes back works again.
func TestFileGone_movedBack(t *testing.T) {
	dir, c := filepath.Join(t.TempDir(), "data"), newClock()
	s := open(t, dir, quiet.WithClock(c.now))
	defer closeStore(t, s)
	commit(t, s, commitOf("ada", 1))
	must(t, os.Rename(dir, dir+".old"))
	s.Tick()
	if err := s.Health(); !errors.Is(err, store.ErrGone) {
		t.Errorf("Health: got %v, want ErrGone", err)
	}
	must(t, os.Rename(dir+".old", dir))
	c.pass(time.Second)
	s.Tick()
	if err := s.Health(); err != nil {
		t.Errorf("Health: %v", err)
	}
	commit(t, s, commitOf("ada", 2))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
