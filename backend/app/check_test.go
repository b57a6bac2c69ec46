package app

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// check says of each definition whether its actors can be loaded, of the data directory and of a
// backup; it fails if some cannot.
func TestRun_check(t *testing.T) {
	dir, backup := t.TempDir(), filepath.Join(t.TempDir(), "backup")
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := Run(t.Context(), args, nil, nil, &out, io.Discard)
		return out.String(), err
	}
	s, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i, state := range []string{`{"messages":[]}`, `{"messages":7}`} {
		key := host.Key{state}
		errs := s.Commit(t.Context(), []*store.Commit{{Actor: host.ActorID("chatRoom", key), Name: "chatRoom", Key: key, Log: "log", Rev: 1, Time: time.Now(), NextConn: 1, State: []byte(state)}})
		if errs != nil {
			t.Fatal(errs)
		}
		if i == 0 {
			if err := sqlite.Backup(t.Context(), dir, backup); err != nil {
				t.Fatal(err)
			}
		}
	}
	if out, err := run("-data", dir, "check"); err == nil || !strings.Contains(out, "chatRoom: 2 actors, 1 ok\n  1 faulty\n") || !strings.Contains(err.Error(), "cannot load all actors") {
		t.Errorf("got %v and %s, want an error and one faulty actor", err, out)
	}
	for _, args := range [][]string{{"check", backup}, {"check", "-all", backup}, {"-all", "check", backup}} {
		if out, err := run(args...); err != nil || !strings.Contains(out, "chatRoom: 1 actor, all ok\n") {
			t.Errorf("%v: got %v and %s, want one actor", args, err, out)
		}
	}
	for want, args := range map[string][]string{
		"name the server's data directory or a backup": {"check", dir + "/nothing"},
		`unexpected argument "b"`:                      {"check", "a", "b"},
		"-all: it is a flag of troupe check":           {"-all"},
		"keeps nothing":                                {"-store", "memory", "check"},
	} {
		if _, err := run(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", args, err, want)
		}
	}
}

// The progress bar is drawn ten times a second, when all is done, and then removed.
func TestProgressBar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var to bytes.Buffer
		p := &progressBar{to: &to}
		p.clear()
		for i := range 4 {
			p.show(i+1, 4)
			time.Sleep(60 * time.Millisecond)
		}
		p.clear()
		line := func(bar, text string) string { return "\r\x1b[K[" + bar + "] " + text + " of 4 actors" }
		want := line("#######                       ", "1") + line("######################        ", "3") + line(strings.Repeat("#", 30), "4") + "\r\x1b[K"
		if got := to.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
