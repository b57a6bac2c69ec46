package sqlite_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// grow returns revision rev of an actor, whose state grows by 20,000 bytes with each.
func grow(actor string, rev uint64) *store.Commit {
	c := commitOf(actor, rev)
	more := strings.Repeat("x", 20_000)
	if c.Base = nil; rev == 1 {
		c.State = []byte(`"` + more + `"`)
		return c
	}
	c.State = nil
	c.Edits = []store.Edit{{At: 1, Put: []byte(more)}}
	return c
}

// One actor whose state is longer than a row can be does not stop the store: it is
// named, its commits stay in the journal, and the others work. The same for a store
// that closes.
func TestSnapshotTooLong(t *testing.T) {
	dir, c, log := t.TempDir(), newClock(), &bytes.Buffer{}
	o := quiet.WithClock(c.now)
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	s := open(t, dir, o)
	s.LimitRow(t, 250_000)
	rev := uint64(0)
	for rev < 20 {
		rev++
		commit(t, s, grow("ada", rev), commitOf("bob", rev))
	}
	for range 10 {
		c.pass(5 * time.Minute)
		s.Tick()
		rev++
		commit(t, s, commitOf("bob", rev), grow("ada", rev))
		if err := s.Health(); err != nil {
			t.Fatalf("Health: %v", err)
		}
		checkActor(t, s, "bob", rev)
		if got, err := s.Load(t.Context(), "ada"); err != nil || got.Rev != rev || len(got.State) != int(rev)*20_000+2 {
			t.Fatalf("ada: got %+.200v, %v; want revision %d", got, err, rev)
		}
	}
	if got := strings.Count(log.String(), "an actor cannot be snapshotted"); got < 2 || got > 10 || !strings.Contains(log.String(), "actor=ada name=room") {
		t.Errorf("got %d lines about ada, want one for each try:\n%.2000s", got, log)
	}
	if got := log.String(); strings.Contains(got, "cannot be written") || strings.Contains(got, "bob") {
		t.Errorf("got the log\n%.2000s\nwant nothing about the store and bob", got)
	}
	closeStore(t, s)

	s = open(t, dir, quiet.WithClock(c.now)) // with the usual limit
	defer closeStore(t, s)
	checkActor(t, s, "bob", rev)
	if got, err := s.Load(t.Context(), "ada"); err != nil || got.Rev != rev || len(got.State) != int(rev)*20_000+2 {
		t.Fatalf("ada: got %+.200v, %v; want revision %d", got, err, rev)
	}
	for range 3 {
		c.pass(time.Hour)
		s.Tick()
	}
	if n := s.JournalBytes(); n != 0 {
		t.Errorf("once ada fits: got %d bytes of journal, want none", n)
	}
}

// A commit that is longer than a row can be fails, also as the first one of its actor.
// Those of other actors in its group do not.
func TestCommitTooLong(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, quiet)
	s.LimitRow(t, 400_000)
	long := func(actor string, rev uint64) *store.Commit {
		c := commitOf(actor, rev)
		c.Base, c.State = nil, []byte(`"`+strings.Repeat("x", 300_000)+`"`)
		return c
	}
	for rev := uint64(1); rev <= 3; rev++ {
		// Before, between and after others.
		group := []*store.Commit{long("ada", 1), commitOf("bob", rev), long("ada", 2), commitOf("cleo", rev), long("dan", 1)}
		errs := s.Commit(t.Context(), group)
		for i, want := range []string{"300", "", "follows one that failed", "", "more than a row can have"} {
			if got := fmt.Sprint(errs[i]); want == "" && errs[i] != nil || !strings.Contains(got, want) || errors.Is(errs[i], store.ErrUnknown) {
				t.Errorf("commit %d: got %v, want %q", i, errs[i], want)
			}
		}
	}
	for range 2 {
		if err := s.Health(); err != nil {
			t.Errorf("Health: %v", err)
		}
		checkActor(t, s, "bob", 3)
		checkActor(t, s, "cleo", 3)
		for _, actor := range []string{"ada", "dan"} {
			if _, err := s.Load(t.Context(), actor); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: got %v, want ErrNotFound", actor, err)
			}
		}
		after := crashed(t, dir)
		closeStore(t, s)
		dir, s = after, open(t, after, quiet)
	}
	commit(t, s, commitOf("ada", 1))
	closeStore(t, s)
}
