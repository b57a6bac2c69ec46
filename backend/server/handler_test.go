package server_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/go-chi/chi/v5"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/server"
)

// newServer makes a server that does not listen.
func newServer(t *testing.T, o server.Options) *server.Server {
	t.Helper()
	s, err := server.New(registry, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// Handler works wherever it is mounted, even behind routers that strip a part of the path.
func TestHandler_mounted(t *testing.T) {
	for name, test := range map[string]struct {
		base  string // of the server
		at    string // where clients find it
		mount func(h http.Handler) http.Handler
	}{
		"alone":                   {"", "", func(h http.Handler) http.Handler { return h }},
		"alone, with a base path": {"/app", "/app", func(h http.Handler) http.Handler { return h }},
		"net/http": {"", "", func(h http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/api/", h)
			return mux
		}},
		"net/http, with a base path": {"/app", "/app", func(h http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/app/api/", h)
			return mux
		}},
		"net/http, which strips it": {"", "/app", func(h http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/app/", http.StripPrefix("/app", h))
			return mux
		}},
		"chi": {"", "", func(h http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Handle("/api/*", h)
			return r
		}},
		"chi, mounted": {"/any/app", "/any/app", func(h http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Route("/any", func(r chi.Router) { r.Mount("/app/api", h) })
			return r
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := inMemory()
			o.BasePath = test.base
			web := httptest.NewServer(test.mount(newServer(t, o).Handler()))
			defer web.Close()
			call(t, web.URL+test.at, "sendMessage", `["ada","hello"]`)
			if got := call(t, web.URL+test.at, "getMessages", "[]"); !strings.Contains(got, "ada: hello") {
				t.Errorf("got %s", got)
			}
			conn, _, err := websocket.Dial(t.Context(), strings.Replace(web.URL, "http", "ws", 1)+test.at+"/api/socket?v=1", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			until(t, conn, "hello")
		})
	}
}

// Serve applies proxies' headers and strips the base path for other routes, too, and does
// neither twice.
func TestServe_ownRoutes(t *testing.T) {
	o := inMemory()
	o.BasePath, o.TrustedProxies = "/app", []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	s := newServer(t, o)
	mux := http.NewServeMux()
	mux.Handle("/api/", s.Handler())
	mux.Handle("/app/", s.Handler()) // the server has nothing below /app/app
	mux.HandleFunc("GET /client", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(forwarded.Client(r).String()))
	})
	mux.Handle("GET /mine", s.CheckOrigin(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(t.Context(), l, mux) }()
	url := "http://" + l.Addr().String() + "/app"

	get := func(path, header, value string) (int, string) {
		t.Helper()
		r := httptest.NewRequest("GET", url+path, nil)
		r.RequestURI = ""
		r.Header.Set(header, value)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var body strings.Builder
		if err := response.Write(&body); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, body.String()
	}
	if _, got := get("/client", "X-Forwarded-For", "192.0.2.7"); !strings.HasSuffix(got, "192.0.2.7") {
		t.Errorf("got %s, want the address in the proxy's header", got)
	}
	call(t, url, "sendMessage", `["ada","hello"]`)
	if status, got := get("/app/api/actors/room?key=general", "Accept", "*/*"); status != http.StatusNotFound || !strings.Contains(got, "no such address") {
		t.Errorf("with the base path twice: got %s, want 404", got)
	}
	if status, _ := get("/mine", "Origin", "https://evil.example"); status != http.StatusForbidden {
		t.Errorf("from another origin: got %d, want 403", status)
	}
	if status, _ := get("/mine", "Origin", strings.TrimSuffix(url, "/app")); status != http.StatusOK {
		t.Errorf("from its own origin: got %d, want 200", status)
	}
	if err := s.Serve(t.Context(), closedListener{l}, nil); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("serving twice: got %v, want an error", err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v, want none after Close", err)
	}
	if err := s.Serve(t.Context(), closedListener{l}, nil); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("serving after Close: got %v, want http.ErrServerClosed", err)
	}
}

// closedListener has nothing to close.
type closedListener struct{ net.Listener }

func (closedListener) Close() error { return nil }

// Close may be called concurrently and repeatedly; afterwards nothing is served.
func TestClose(t *testing.T) {
	s, err := server.New(registry, server.Options{Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s.Handler())
	defer web.Close()
	call(t, web.URL, "sendMessage", `["ada","hello"]`)
	var closing sync.WaitGroup
	for range 4 {
		closing.Go(func() {
			if err := s.Close(context.Background()); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	closing.Wait()
	if status, body := get(t, web.URL+"/api/actors/room?key=general"); status != http.StatusServiceUnavailable {
		t.Errorf("after Close: got %d %s, want 503", status, body)
	}
	if err := s.Run(t.Context(), "127.0.0.1:0"); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Run after Close: got %v, want http.ErrServerClosed", err)
	}
	again, err := server.New(registry, server.Options{Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(context.Background()); err != nil {
		t.Errorf("Close of an unused server: %v", err)
	}
}

// Close leaves a Store open that was passed in Options.
func TestClose_leavesTheStore(t *testing.T) {
	o := inMemory()
	for _, want := range []string{"[]", `["ada: hello"]`} {
		s, err := server.New(registry, o)
		if err != nil {
			t.Fatal(err)
		}
		web := httptest.NewServer(s.Handler())
		if got := call(t, web.URL, "getMessages", "[]"); !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
		call(t, web.URL, "sendMessage", `["ada","hello"]`)
		web.Close()
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// Close ends a drain.
func TestClose_whileDraining(t *testing.T) {
	o := inMemory()
	o.Drain = time.Hour
	s := newServer(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, "127.0.0.1:0") }()
	cancel()
	for ready := 0; ready != http.StatusServiceUnavailable; {
		w := httptest.NewRecorder()
		s.Ready().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
		ready = w.Code
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// If something cannot be opened, the error says what, and nothing stays open.
func TestNew_errors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	_, err = server.New(registry, server.Options{Data: dir, DebugAddr: taken.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), "debug address: the address "+taken.Addr().String()+" is in use") {
		t.Errorf("got %v, want that the address is in use", err)
	}
	s, err := server.New(registry, server.Options{Data: dir})
	if err != nil {
		t.Fatalf("the directory is still open: %v", err)
	}
	if err := s.Run(t.Context(), taken.Addr().String()); err == nil || !strings.Contains(err.Error(), "is in use") {
		t.Errorf("Run: got %v, want that the address is in use", err)
	}
	if s, err = server.New(registry, server.Options{Data: dir}); err != nil {
		t.Fatalf("after Run the directory is still open: %v", err)
	}
	defer s.Close(context.Background())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := server.NewContext(ctx, registry, server.Options{Data: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("while another one has the directory: got %v, want context.Canceled", err)
	}
}
