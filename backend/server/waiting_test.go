package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/server"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// lateCluster is a cluster of one node, which joins when the test says so.
type lateCluster struct {
	host.Cluster // panics
	store        store.Store
	began        chan struct{} // closed when Join begins
	join         chan error    // what Join returns
}

func newLateCluster() *lateCluster {
	return &lateCluster{store: memory.New(memory.Options{Retention: registry.Retention()}), began: make(chan struct{}), join: make(chan error, 1)}
}

func (c *lateCluster) Store() store.Store                  { return c.store }
func (c *lateCluster) Owns(int) (time.Time, bool)          { return time.Time{}, true }
func (c *lateCluster) Attach(n host.ClusterNode) host.Host { return n.Host }
func (c *lateCluster) ServeSockets(host.SocketServer)      {}
func (c *lateCluster) Slot() uint32                        { return 1 }
func (c *lateCluster) Ended() <-chan struct{}              { return nil }
func (c *lateCluster) Health() error                       { return c.Ready() }
func (c *lateCluster) Leave(context.Context) error         { return nil }
func (c *lateCluster) Close(context.Context) error         { return nil }

func (c *lateCluster) Ready() error {
	select {
	case <-c.began:
		if len(c.join) == 0 {
			return errors.New("cluster: joining")
		}
	default:
	}
	return nil
}

func (c *lateCluster) Join(ctx context.Context) error {
	close(c.began)
	select {
	case err := <-c.join:
		c.join <- err // Ready looks
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// joins begins to make a server with a listener, and returns once it joins its cluster.
func joins(ctx context.Context, t *testing.T, c *lateCluster) (l net.Listener, made chan *server.Server, failed chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	made, failed = make(chan *server.Server, 1), make(chan error, 1)
	o := server.Options{Cluster: c, Listener: l, BasePath: "/app"}
	logTo(&o)
	go func() {
		s, err := server.NewContext(ctx, registry, o)
		made <- s
		failed <- err
	}()
	<-c.began
	return l, made, failed
}

// A node answers while it joins its cluster, and goes on at the same address.
func TestAnswersWhileItJoins(t *testing.T) {
	c := newLateCluster()
	l, made, failed := joins(t.Context(), t, c)
	url := "http://" + l.Addr().String()
	for _, path := range []string{"/healthz", "/readyz", "/app/readyz"} {
		if code, body := get(t, url+path); code != http.StatusServiceUnavailable || !strings.Contains(body, `"status":"cluster: joining"`) {
			t.Errorf("%s: got %d %s", path, code, body)
		}
	}
	for _, path := range []string{"/", "/app/", "/api/stream", "/app/api/actors/room/actions/getMessages?key=a", "/metrics"} {
		r, err := http.Post(url+path, "application/json", strings.NewReader(`{"args":[]}`))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") != "1" || !strings.Contains(string(body), `{"code":"unavailable","message":"the server has not joined`) {
			t.Errorf("%s: got %d %v %s", path, r.StatusCode, r.Header, body)
		}
	}
	c.join <- nil
	s := <-made
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(t.Context(), other, nil); err == nil || !strings.Contains(err.Error(), "want the Listener of the options") {
		t.Errorf("another listener: got %v", err)
	}
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() { ended <- s.Serve(ctx, l, nil) }()
	for {
		if code, _ := get(t, url+"/api/actors/room/actions/getMessages?key=a"); code != http.StatusServiceUnavailable {
			break // Serve has begun
		}
	}
	call(t, url+"/app", "sendMessage", `["ada","hello"]`)
	if code, body := get(t, url+"/readyz"); code != http.StatusOK {
		t.Errorf("/readyz: got %d %s", code, body)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A server that does not join, or is closed before it serves, no longer listens.
func TestDoesNotJoin(t *testing.T) {
	for name, end := range map[string]func(c *lateCluster, cancel func()){
		"an error":   func(c *lateCluster, _ func()) { c.join <- errors.New("another release") },
		"no context": func(_ *lateCluster, cancel func()) { cancel() },
		"closed":     func(c *lateCluster, _ func()) { c.join <- nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := newLateCluster()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			l, made, failed := joins(ctx, t, c)
			end(c, cancel)
			if s := <-made; s != nil {
				if err := errors.Join(<-failed, s.Close(t.Context())); err != nil {
					t.Error(err)
				}
			} else if err := <-failed; err == nil {
				t.Error("it has joined")
			}
			if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
				_ = conn.Close()
				t.Error("it still listens")
			}
		})
	}
}

func TestAListenerNeedsACluster(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := inMemory()
	o.Listener = l
	if _, err := server.New(registry, o); err == nil || !strings.Contains(err.Error(), "Listener without a Cluster") {
		t.Errorf("got %v", err)
	}
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("it still listens: %v", err)
	}
}
