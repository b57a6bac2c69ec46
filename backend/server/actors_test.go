package server_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/server"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// stores calls f with a new store of each kind.
func stores(t *testing.T, f func(t *testing.T, s store.Store)) {
	t.Run("memory", func(t *testing.T) { f(t, memory.New(memory.Options{})) })
	t.Run("sqlite", func(t *testing.T) {
		s, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() }) // ends after the server
		f(t, s)
	})
}

// listed returns the keys of the actors that a server lists.
func listed(t *testing.T, s *server.Server, name string, prefix actor.Key) (keys []string) {
	t.Helper()
	for a, err := range s.Actors(t.Context(), name, prefix) {
		if err != nil {
			t.Fatalf("Actors of %q %v: %v", name, prefix, err)
		}
		keys = append(keys, a.Name+fmt.Sprint(a.Key))
	}
	slices.Sort(keys)
	return keys
}

func TestActors(t *testing.T) {
	stores(t, func(t *testing.T, st store.Store) {
		s, err := server.New(orphans("room", "hall"), server.Options{Store: st})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := s.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		touch(t, s, "room/actions/touch?key=a&key=1")
		touch(t, s, "room/actions/touch?key=a&key=2")
		touch(t, s, "room/actions/touch?key=ab")
		touch(t, s, "hall/actions/touch?key=a")
		destroyed := store.Commit{
			Actor: "gone", Name: "room", Key: []string{"a", "gone"}, Log: "l", Time: time.Now(), Rev: 1, NextConn: 1,
			End: store.Destroyed, Due: time.Now().Add(time.Hour),
		}
		if errs := st.Commit(t.Context(), []*store.Commit{&destroyed}); errs != nil {
			t.Fatal(errs)
		}
		for _, test := range []struct {
			name   string
			prefix actor.Key
			want   []string
		}{
			{"", nil, []string{"hall[a]", "room[a 1]", "room[a 2]", "room[ab]"}},
			{"room", nil, []string{"room[a 1]", "room[a 2]", "room[ab]"}},
			{"room", actor.Key{"a"}, []string{"room[a 1]", "room[a 2]"}},
			{"room", actor.Key{"a", "2"}, []string{"room[a 2]"}},
			{"room", actor.Key{"a", "2", "x"}, nil},
			{"cellar", nil, nil},
		} {
			if got := listed(t, s, test.name, test.prefix); !slices.Equal(got, test.want) {
				t.Errorf("%q %v: got %v, want %v", test.name, test.prefix, got, test.want)
			}
		}
		for a, err := range s.Actors(t.Context(), "hall", nil) {
			if err != nil || a.Rev != 1 || a.Bytes == 0 || time.Since(a.Changed) > time.Minute {
				t.Errorf("got %+v, %v", a, err)
			}
		}
	})
}

// More actors than a page has, and an end before the last one.
func TestActors_pages(t *testing.T) {
	const many = 600
	stores(t, func(t *testing.T, st store.Store) {
		var group []*store.Commit
		for i := range many {
			group = append(group, &store.Commit{
				Actor: fmt.Sprint("id", i), Name: "room", Key: []string{fmt.Sprint(i % 2), fmt.Sprint(i)}, Log: "l", Time: time.Now(),
				Rev: 1, State: []byte(`{}`), NextConn: 1,
			})
		}
		if errs := st.Commit(t.Context(), group); errs != nil {
			t.Fatal(errs)
		}
		s, err := server.New(orphans("room"), server.Options{Store: st})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := s.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		if got := slices.Compact(listed(t, s, "room", nil)); len(got) != many {
			t.Errorf("got %d actors, want %d", len(got), many)
		}
		if got := listed(t, s, "room", actor.Key{"1"}); len(got) != many/2 {
			t.Errorf("with a prefix: got %d actors, want %d", len(got), many/2)
		}
		n := 0
		for range s.Actors(t.Context(), "room", nil) {
			if n++; n == 300 {
				break
			}
		}
		if n != 300 {
			t.Errorf("got %d actors before the loop ended, want 300", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n = 0
		var last error
		for _, err := range s.Actors(ctx, "room", nil) {
			if cancel(); err == nil {
				n++
			}
			last = err
		}
		if n != 256 || !errors.Is(last, context.Canceled) {
			t.Errorf("with a context that ends: got %d actors, then %v; want a page, then context.Canceled", n, last)
		}
	})
}
