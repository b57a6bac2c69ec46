package app_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/app"
)

func TestRun_health(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			t.Errorf("got %s, want /healthz", r.URL.Path)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "health")
	}))
	defer server.Close()
	addr := strings.TrimPrefix(server.URL, "http://")

	health := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := app.Run(t.Context(), args, nil, nil, &out, io.Discard)
		return out.String(), err
	}
	if got, err := health("-addr", addr, "health"); err != nil || got != "health" {
		t.Errorf("got %q and %v", got, err)
	}
	// Flags may follow the command, as they may follow backup.
	if _, err := health("health", "-addr", addr); err != nil {
		t.Error(err)
	}
	status = http.StatusServiceUnavailable
	if _, err := health("-addr", addr, "health"); err == nil || !strings.Contains(err.Error(), "503") || !strings.Contains(err.Error(), "health") {
		t.Errorf("got %v, want 503 and the body", err)
	}
	server.Close()
	if _, err := health("-addr", addr, "health"); err == nil {
		t.Error("got no error from a server that is gone")
	}
	for _, args := range [][]string{{"health", "more"}, {"-addr", "127.0.0.1:0", "health"}} {
		if _, err := health(args...); err == nil {
			t.Errorf("%q: got no error", args)
		}
	}
}
