package server_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/server"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

type orphan struct{}

// Touch changes nothing but that the actor is stored.
func (*orphan) Touch(c *actor.Context[actor.NoState]) { c.Broadcast(touched{}) }

type touched struct{}

// orphans is a registry of definitions with these names.
func orphans(names ...string) *actor.Registry {
	var parts []actor.RegistryOption
	for _, name := range names {
		parts = append(parts, actor.Define[orphan](name, actor.Emits[touched]()))
	}
	return actor.NewRegistry(parts...)
}

// touch calls an actor's action.
func touch(t *testing.T, s *server.Server, call string) {
	t.Helper()
	response := httptest.NewRecorder()
	s.Handler().ServeHTTP(response, httptest.NewRequest("POST", "/api/actors/"+call, nil))
	if response.Code != 200 {
		t.Fatalf("%s: got %d %s", call, response.Code, response.Body)
	}
}

// counted is a store with stored actors that it takes a while to count.
type counted struct {
	*memory.Store
	stored map[string]int
	takes  time.Duration
	err    error // with which the count ended
}

// Names returns the numbers of stored actors.
func (c *counted) Names(ctx context.Context) (map[string]int, error) {
	select {
	case <-time.After(c.takes):
		return c.stored, nil
	case <-ctx.Done():
		c.err = ctx.Err()
		return nil, c.err
	}
}

// A definition that was renamed or removed leaves one line after the start, with the
// number of its actors.
func TestNew_definitionsThatAreGone(t *testing.T) {
	for _, test := range []struct {
		defined []string
		want    string // in the log; empty: nothing
	}{
		{[]string{"old", "same", "gone"}, ""},
		{[]string{"new", "same"}, `"gone (1), old (2)"`},
	} {
		synctest.Test(t, func(t *testing.T) {
			st := &counted{Store: memory.New(memory.Options{}), stored: map[string]int{"same": 1, "old": 2, "gone": 1}}
			o := server.Options{Store: st}
			log := logTo(&o)
			s, err := server.New(orphans(test.defined...), o)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			lines := strings.Count(log.String(), "whose definition does not exist")
			if want := min(len(test.want), 1); lines != want || !strings.Contains(log.String(), test.want) {
				t.Errorf("%v: got the log\n%s\nwant %d lines with %s", test.defined, log, want, test.want)
			}
			if err := s.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// A count of stored actors that takes long does not delay the start, nor Close, which
// leaves nothing running.
func TestNew_storeThatIsSlowToCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &counted{Store: memory.New(memory.Options{}), takes: time.Hour}
		o := server.Options{Store: st}
		logTo(&o)
		begin := time.Now()
		s, err := server.New(orphans("new"), o)
		if err != nil {
			t.Fatal(err)
		}
		touch(t, s, "new/actions/touch?key=1")
		synctest.Wait()
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took > time.Second || st.err == nil {
			t.Errorf("start and Close took %v, and the count ended with %v, want it canceled", took, st.err)
		}
	})
}

// lines receives the lines of a log.
type lines chan string

// Write sends a line.
func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// The store of a data directory can count its actors.
func TestNew_definitionsThatAreGoneFromData(t *testing.T) {
	dir, log := t.TempDir(), make(lines, 100)
	for _, name := range []string{"old", "new"} {
		s, err := server.New(orphans(name), server.Options{Data: dir, Logger: slog.New(slog.NewTextHandler(log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if name == "old" {
			touch(t, s, "old/actions/touch?key=1")
		} else {
			for late := time.After(time.Minute); ; {
				select {
				case line := <-log:
					if !strings.Contains(line, `"old (1)"`) {
						continue
					}
				case <-late:
					t.Error("no line with old (1) within a minute")
				}
				break
			}
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
