package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/rooms"
	"github.com/troupe-dev/troupe/backend/server"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// The types are served in check mode only; otherwise the answer says how to get them.
func TestTypes(t *testing.T) {
	for _, test := range []struct {
		name     string
		registry *actor.Registry
		check    bool
		status   int
		want     string
	}{
		{"in check mode", rooms.Registry, true, http.StatusOK, "export interface Registry {"},
		{"in production", rooms.Registry, false, http.StatusNotFound, "-check"},
		{"without generated code", actor.NewRegistry(actor.Define[Pump]("pump")), true, http.StatusNotFound, "go generate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := server.Options{Store: memory.New(memory.Options{Retention: test.registry.Retention()}), Check: test.check}
			logTo(&o)
			s, err := server.New(test.registry, o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close(context.Background())
			w := httptest.NewRecorder()
			s.Types().ServeHTTP(w, httptest.NewRequest(http.MethodGet, server.TypesPath, nil))
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.want) {
				t.Errorf("got %d %.200s, want %d with %q", w.Code, w.Body, test.status, test.want)
			}
		})
	}
}
