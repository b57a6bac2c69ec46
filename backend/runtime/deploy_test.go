package runtime_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// site is a store on which one binary after another runs.
type site struct {
	t     *testing.T
	dir   string // empty for the memory store
	store store.Store
	node  *runtime.Node
	log   lines
}

// onEachStore runs a test on the memory store and on SQLite.
func onEachStore(t *testing.T, f func(*site)) {
	t.Run("memory", func(t *testing.T) { inBubble(t, func(t *testing.T) { f(newSite(t, "")) }) })
	t.Run("sqlite", func(t *testing.T) { inBubble(t, func(t *testing.T) { f(newSite(t, t.TempDir())) }) })
}

func newSite(t *testing.T, dir string) *site {
	s := &site{t: t, dir: dir}
	t.Cleanup(s.stop)
	return s
}

// deploy ends the running binary and starts one with other definitions.
func (s *site) deploy(definitions ...actor.RegistryOption) {
	s.t.Helper()
	s.stop()
	switch {
	case s.dir != "":
		var err error
		if s.store, err = sqlite.Open(context.Background(), s.dir, sqlite.Options{Logger: slog.New(slog.NewTextHandler(&s.log, nil))}); err != nil {
			s.t.Fatal(err)
		}
	case s.store == nil:
		s.store = memory.New(memory.Options{})
	}
	s.node = runtime.New(actor.NewRegistry(definitions...), s.store, runtime.Options{Logger: slog.New(slog.NewTextHandler(&s.log, nil)), Check: true})
}

func (s *site) stop() {
	if s.node == nil {
		return
	}
	if err := s.node.Shutdown(context.Background()); err != nil {
		s.t.Error(err)
	}
	s.node = nil
	if s.dir != "" {
		if err := s.store.Close(); err != nil {
			s.t.Error(err)
		}
	}
}

// crash continues on the store as it is on disk at this moment. It does nothing for the
// memory store.
func (s *site) crash(definitions ...actor.RegistryOption) {
	s.t.Helper()
	if s.dir != "" {
		files, err := os.ReadDir(s.dir)
		if err != nil {
			s.t.Fatal(err)
		}
		copied := s.t.TempDir()
		for _, f := range files {
			b, err := os.ReadFile(filepath.Join(s.dir, f.Name()))
			if err == nil && f.Name() != "troupe.lock" {
				err = os.WriteFile(filepath.Join(copied, f.Name()), b, 0o600)
			}
			if err != nil {
				s.t.Fatal(err)
			}
		}
		s.stop()
		s.dir = copied
	}
	s.deploy(definitions...)
}

// open opens a connection and returns what its client gets.
func (s *site) open(name, key string, req host.OpenRequest) *reader {
	s.t.Helper()
	b := &bench{t: s.t, node: s.node}
	return b.open(host.Ref{Name: name, Key: host.Key{key}}, req)
}

// call calls an action of an actor and returns the result as JSON, or the code of the
// failure.
func (s *site) call(name, key, action string, args ...any) string {
	s.t.Helper()
	r := host.DirectCall{Create: true, Action: action}
	for _, a := range args {
		r.Args = append(r.Args, []byte(marshal(s.t, a)))
	}
	got, err := s.node.CallOnce(context.Background(), host.Ref{Name: name, Key: host.Key{key}}, r)
	var f *host.Fault
	if errors.As(err, &f) {
		return f.Code
	} else if err != nil {
		s.t.Fatal(err)
	}
	return string(got)
}

// want calls an action and checks what it returns.
func (s *site) want(want, name, key, action string, args ...any) {
	s.t.Helper()
	if got := s.call(name, key, action, args...); got != want {
		s.t.Errorf("%s %s.%s: got %s, want %s", name, key, action, got, want)
	}
}

// stored returns an actor as the store has it.
func (s *site) stored(name, key string) *store.Snapshot {
	s.t.Helper()
	snap, err := s.store.Load(context.Background(), host.ActorID(name, host.Key{key}))
	if err != nil {
		s.t.Fatal(err)
	}
	return snap
}

// wantStored checks the state that the store has.
func (s *site) wantStored(want, name, key string) {
	s.t.Helper()
	if got := string(s.stored(name, key).State); got != want {
		s.t.Errorf("stored: got %s, want %s", got, want)
	}
}

// wantLines checks how many lines of the log contain a text.
func (s *site) wantLines(want int, text string) {
	s.t.Helper()
	if got := strings.Count(s.log.String(), text); got != want {
		s.t.Errorf("got %d lines with %q, want %d, in\n%s", got, text, want, &s.log)
	}
}
