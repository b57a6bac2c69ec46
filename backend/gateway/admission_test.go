package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/gateway"
)

// from serves requests as if they came from an address.
func from(addr string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = addr
		h.ServeHTTP(w, r)
	})
}

// knock opens a socket from an address and returns what came, with the status if it
// was closed.
func (e *env) knock(addr string) (c *client, got string) {
	e.t.Helper()
	c = dialPipe(e.t, from(addr, e.h))
	e.clients = append(e.clients, c)
	e.settle()
	got = strings.Join(c.take(), ", ")
	if status := c.status(); status != 0 {
		got += fmt.Sprint(", ", int(status))
	}
	return c, got
}

// TestG9_ConnectsOfAnAddress: over the connects per second of an address, a socket gets
// the limit and when to retry; other addresses are admitted.
func TestG9_ConnectsOfAnAddress(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		e.logs.reset() // check mode warns of the room
		for range 20 {
			c := dialPipe(t, from("192.0.2.1:7", e.h))
			e.clients = append(e.clients, c)
		}
		c, got := e.knock("192.0.2.1:8")
		if want := `error rate_limited{"limit":20,"option":"connect-rate-per-ip","retryAfterMs":50}, 1013`; got != want {
			t.Errorf("the 21st in no time got %q, want %q", got, want)
		}
		if why := c.closeErr.Error(); !strings.Contains(why, "rate_limited") {
			t.Errorf("it was closed with %s", why)
		}
		for _, other := range []string{"192.0.2.2:7", "[2001:db8::1]:7", "127.0.0.1:7", "pipe"} {
			if _, got := e.knock(other); got != "hello" {
				t.Errorf("%s got %q", other, got)
			}
		}
		time.Sleep(50 * time.Millisecond)
		if _, got := e.knock("192.0.2.1:9"); got != "hello" {
			t.Errorf("after the time to wait it got %q", got)
		}
		if n := strings.Count(e.logs.String(), "level=WARN"); n != 1 {
			t.Errorf("the log reports refusals %d times in a second", n)
		}
	}, gatewayOptions(gateway.Options{ConnectRatePerIP: 20}))
}

// TestSocketsOfAnAddress: the sockets of an address are limited, of IPv6 those of a
// network.
func TestSocketsOfAnAddress(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		const full = `error too_many_sockets{"limit":2,"option":"max-sockets-per-ip","retryAfterMs":5000}, 1013`
		first, _ := e.knock("[2001:db8::1]:7")
		for _, tc := range []struct{ addr, want string }{
			{"[2001:db8::2]:7", "hello"}, {"[2001:db8::3]:7", full}, {"[2001:db8:0:1::3]:7", "hello"},
			{"192.0.2.1:7", "hello"}, {"192.0.2.1:8", "hello"}, {"192.0.2.1:9", full}, {"[::ffff:192.0.2.1]:9", full},
			{"127.0.0.1:7", "hello"}, {"127.0.0.1:8", "hello"}, {"127.0.0.1:9", "hello"},
		} {
			if _, got := e.knock(tc.addr); got != tc.want {
				t.Errorf("%s got %q, want %q", tc.addr, got, tc.want)
			}
		}
		first.cut()
		e.settle()
		if _, got := e.knock("[2001:db8::3]:7"); got != "hello" {
			t.Errorf("after one was gone, got %q", got)
		}
	}, gatewayOptions(gateway.Options{MaxSocketsPerIP: 2}))
}

// TestMaxSockets: sockets are limited in all, across addresses.
func TestMaxSockets(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		for range 3 {
			e.dial()
		}
		if _, got := e.knock("127.0.0.1:1"); got != `error overloaded{"limit":3,"option":"max-sockets","retryAfterMs":5000}, 1013` {
			t.Errorf("the 4th got %q", got)
		}
		e.clients[0].cut()
		e.settle()
		if _, got := e.knock("127.0.0.1:1"); got != "hello" {
			t.Errorf("after one was gone, got %q", got)
		}
	}, gatewayOptions(gateway.Options{MaxSockets: 3}))
}

// TestG9_RefusedSocketsAreBounded: a refused client gets a socket for a moment, which
// says why; these are limited, too, and beyond there is a plain answer.
func TestG9_RefusedSocketsAreBounded(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		e.dial()
		var open []*websocket.Conn
		deaf := func() (*http.Response, error) { // a socket whose client does not read
			transport := &pipeTransport{h: from("192.0.2.1:1", e.h)}
			ws, resp, err := websocket.Dial(context.Background(), "ws://example.com/api/socket?v=1",
				&websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
			if err == nil {
				open = append(open, ws)
			}
			return resp, err
		}
		for n := range 1000 {
			if _, err := deaf(); err != nil {
				t.Fatal(n, err)
			}
		}
		if resp, err := deaf(); err == nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "5" {
			t.Errorf("got %v, %+v", err, resp)
		}
		time.Sleep(30 * time.Second)
		if n := e.g.Sockets(); n != 1 {
			t.Errorf("%d sockets are left, want 1", n)
		}
		for _, ws := range open {
			_ = ws.CloseNow()
		}
		if _, got := e.knock("192.0.2.1:1"); !strings.HasSuffix(got, ", 1013") {
			t.Errorf("got %q", got)
		}
	}, gatewayOptions(gateway.Options{MaxSockets: 1}))
}

// TestG9_CallsOfAnAddress: over the calls per second of an address, a call gets 429 and
// when to retry.
func TestG9_CallsOfAnAddress(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		if e.remote {
			t.Skip("calls of another node take time")
		}
		call := func(addr, method, path string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(method, path, strings.NewReader(`{"args":["x"]}`))
			r.RemoteAddr = addr
			w := httptest.NewRecorder()
			e.h.ServeHTTP(w, r)
			return w
		}
		const echo = "/api/actors/room/actions/echo?key=a"
		for range 4 {
			if w := call("192.0.2.1:1", "POST", echo); w.Code != 200 {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
		}
		for path, method := range map[string]string{echo: "POST", "/api/actors/room": "POST", "/api/actors/room?key=a": "GET"} {
			w := call("192.0.2.1:1", method, path)
			want := `{"code":"rate_limited","message":"too many calls per second from this address","metadata":{"limit":2,"option":"call-rate-per-ip","retryAfterMs":500}}`
			if w.Code != 429 || w.Header().Get("Retry-After") != "1" || w.Body.String() != want {
				t.Errorf("%s %s: got %d, Retry-After %q, %s", method, path, w.Code, w.Header().Get("Retry-After"), w.Body)
			}
		}
		for range 100 {
			if w := call("127.0.0.1:1", "POST", echo); w.Code != 200 {
				t.Fatalf("this machine is limited: %s", w.Body)
			}
		}
		time.Sleep(500 * time.Millisecond)
		if w := call("192.0.2.1:1", "POST", echo); w.Code != 200 {
			t.Errorf("after the time to wait: got %d %s", w.Code, w.Body)
		}
	}, gatewayOptions(gateway.Options{CallRatePerIP: 2}))
}
