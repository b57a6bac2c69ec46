package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// One process at a time: the error of the second one names the first.
func TestG10_OneProcessPerDirectory(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, quiet)
	o := quiet
	o.LockWait = -1
	_, err := sqlite.Open(t.Context(), dir, o)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second one: got %v, want an error that names the directory and the process", err)
	}

	first.Announce("127.0.0.1:8080")
	_, err = sqlite.Open(t.Context(), dir, o)
	for _, want := range []string{fmt.Sprint("process ", os.Getpid()), " since 20", "listening on 127.0.0.1:8080", "SIGTERM", "-data"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("after Announce: got %v, want an error with %q", err, want)
		}
	}

	opened := make(chan error, 1)
	log := newSignal("127.0.0.1:8080")
	waiting := quiet
	waiting.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	go func() { // a process that waits says so at once, also with -log warn, and gets the lock
		second, err := sqlite.Open(context.Background(), dir, waiting)
		if err == nil {
			err = second.Close()
		}
		opened <- err
	}()
	<-log.seen
	closeStore(t, first)
	if err := <-opened; err != nil {
		t.Errorf("one that waits: %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "troupe.lock")); err != nil || len(text) > 0 {
		t.Errorf("got the lock file %q, %v after the end; want it empty", text, err)
	}
}

// signal is a log that signals when a text is written.
type signal struct {
	text string
	once sync.Once
	seen chan struct{}
}

func newSignal(text string) *signal { return &signal{text: text, seen: make(chan struct{})} }

func (s *signal) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(s.text)) {
		s.once.Do(func() { close(s.seen) })
	}
	return len(b), nil
}

// The description of the owner is never written into the directory of another process.
func TestAnnounce_afterTheDirectoryWasReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	old := open(t, dir, quiet)
	must(t, os.Rename(dir, dir+".old"))
	s := open(t, dir, quiet)
	defer closeStore(t, s)
	s.Announce("new")
	old.Announce("old")
	_ = old.Close() // its files are gone
	if text, err := os.ReadFile(filepath.Join(dir, "troupe.lock")); err != nil || !strings.Contains(string(text), "listening on new") {
		t.Errorf("got the lock file %q, %v; want that of the new process", text, err)
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

// A process that has lost its lock cannot write: the epoch fences it.
func TestG10_StaleProcessCannotWrite(t *testing.T) {
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

// Writes without a commit are fenced, too: here the snapshot of an actor that leaves
// memory.
func TestG10_StaleProcessDoesNoUpkeep(t *testing.T) {
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

// checkFenced checks that a store fails everything because another process has taken
// over.
func checkFenced(t *testing.T, s *sqlite.Store) {
	t.Helper()
	checkRefuses(t, s, "another process has taken over the store")
	if _, err := s.Load(t.Context(), "ada"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Load: got %v, want ErrConflict", err)
	}
}

// checkClosed checks that every method returns that the store is closed.
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
		"Connected": s.Connected(t.Context(), store.AllPartitions, func(string) bool { return true }),
		"Commit":    errors.Join(s.Commit(t.Context(), []*store.Commit{commitOf("ada", 99)})...),
	}
	for method, err := range errs {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want that %s", method, err, want)
		}
	}
}

func TestLockedByAnotherProgram(t *testing.T) {
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

// If the lock file is deleted, a second process takes the store over, and the first one
// is fenced.
func TestG10_LockFileDeleted(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, quiet)
	commit(t, first, commitOf("ada", 1))
	must(t, os.Remove(filepath.Join(dir, "troupe.lock")))
	o := quiet
	o.LockWait = -1
	second := open(t, dir, o)
	commit(t, second, commitOf("ada", 2))
	if errs := first.Commit(t.Context(), []*store.Commit{commitOf("ada", 2)}); len(errs) != 1 || !errors.Is(errs[0], store.ErrConflict) {
		t.Errorf("the first process: got %v, want ErrConflict", errs)
	}
	checkFenced(t, first)
	closeStore(t, first)
	closeStore(t, second)
	second = open(t, dir, quiet)
	defer closeStore(t, second)
	checkActor(t, second, "ada", 2)
}
