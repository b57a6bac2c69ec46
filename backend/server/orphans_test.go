package server_test

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/server"
)

type orphan struct{}

// Touch changes nothing but that the actor is stored.
func (*orphan) Touch(c *actor.Context[actor.NoState]) { c.Broadcast(touched{}) }

type touched struct{}

// A definition that was renamed or removed leaves one line at start, with the number of
// its actors.
func TestNew_definitionsThatAreGone(t *testing.T) {
	dir := t.TempDir()
	run := func(calls []string, names ...string) string {
		t.Helper()
		var parts []actor.RegistryOption
		for _, name := range names {
			parts = append(parts, actor.Define[orphan](name, actor.Emits[touched]()))
		}
		var log bytes.Buffer
		srv, err := server.New(actor.NewRegistry(parts...), server.Options{Data: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range calls {
			response := httptest.NewRecorder()
			srv.Handler().ServeHTTP(response, httptest.NewRequest("POST", "/api/actors/"+call, nil))
			if response.Code != 200 {
				t.Fatalf("%s: got %d %s", call, response.Code, response.Body)
			}
		}
		if err := srv.Close(t.Context()); err != nil {
			t.Error(err)
		}
		return log.String()
	}
	if log := run([]string{"old/actions/touch?key=1", "old/actions/touch?key=2", "same/actions/touch?key=1", "gone/actions/touch?key=1"}, "old", "same", "gone"); strings.Contains(log, "definition") {
		t.Errorf("got the log\n%s\nwant nothing about definitions", log)
	}
	log := run(nil, "new", "same")
	if strings.Count(log, "whose definition does not exist") != 1 || !strings.Contains(log, `"gone (1), old (2)"`) {
		t.Errorf("got the log\n%s\nwant one line with gone (1) and old (2)", log)
	}
}
