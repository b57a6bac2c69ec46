package readme

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/server"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// serve takes an address that may be in use: it is compiled, and server's tests run Run.
var _ = serve

func TestMount(t *testing.T) {
	st := memory.New(memory.Options{Retention: Registry.Retention()})
	srv, err := server.New(Registry, server.Options{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	site := httptest.NewServer(mount(srv))
	t.Cleanup(func() {
		if err := srv.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		site.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	answer, err := http.Post(site.URL+"/api/actors/counter/actions/add?key=apples", "application/json", strings.NewReader(`{"args":[2]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || strings.TrimSpace(string(body)) != `{"result":2}` {
		t.Errorf("got %s and %v, want 2", body, err)
	}
	health, err := http.Get(site.URL + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer health.Body.Close()
	if health.StatusCode != http.StatusOK {
		t.Errorf("got %s, want 200", health.Status)
	}
}
