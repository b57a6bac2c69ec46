package server_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/server"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// TestInspect: a token of the operators' own is not in the log, and pages of other origins
// are refused as docs/inspect.md says.
func TestInspect(t *testing.T) {
	for _, token := range []string{"", "a-token+of/the-operators="} {
		var log bytes.Buffer
		s, err := server.New(actor.NewRegistry(), server.Options{
			Store: memory.New(memory.Options{}), DebugAddr: "127.0.0.1:0", Inspect: "read", InspectToken: token, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "http://localhost/inspect/api/overview", nil)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		w := httptest.NewRecorder()
		s.Debug().ServeHTTP(w, r)
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), `"code":"`) {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		got := log.String()
		if strings.Contains(got, "/inspect/?token=") != (token == "") || strings.Contains(got, "operators=") || !strings.Contains(got, "/inspect/") {
			t.Errorf("token %q: the log is %s", token, got)
		}
	}
}
