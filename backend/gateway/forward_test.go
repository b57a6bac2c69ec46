package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

func away(e *env) { e.away = true }

// from sends a request to the other node as the client with an address.
func (r raw) from(e *env, addr, path, body string, header ...string) string {
	q := httptest.NewRequest("POST", path, strings.NewReader(body))
	q.RemoteAddr = addr + ":1"
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	e.other.Handler().ServeHTTP(w, q)
	return fmt.Sprint(w.Code, " ", w.Body)
}

// TestG9_ForgedSocketsOfOtherNodes checks that an address which asks for sockets that do not
// exist is no longer forwarded, and that others are, however often they ask.
func TestG9_ForgedSocketsOfOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, away, gatewayOptions(gateway.Options{CallRatePerIP: 2}))
		defer e.stop()
		r := newRaw(t, e)
		defer r.cut()
		good := func(addr string, n int) string {
			return r.from(e, addr, "/api/stream", fmt.Sprintf(`{"socket":%q,"n":%d,"frame":[]}`, r.socket, n))
		}
		for n := range 20 {
			if got := good("192.0.2.1", n+1); got != "204 " {
				t.Fatalf("post %d: got %s", n+1, got)
			}
		}
		forged := `{"socket":"1.AAAAAAAAAAAAAAAAAAAAAA","n":1,"frame":[]}`
		var codes []string
		for range 6 {
			codes = append(codes, r.from(e, "192.0.2.1", "/api/stream", forged)[:3])
		}
		if want := []string{"404", "404", "404", "404", "429", "429"}; !slices.Equal(codes, want) {
			t.Errorf("got %v, want %v", codes, want)
		}
		if got := good("192.0.2.1", 21); !strings.HasPrefix(got, `429 {"code":"rate_limited"`) {
			t.Errorf("the address is still served: got %s", got)
		}
		if got := good("192.0.2.2", 21); got != "204 " {
			t.Errorf("another address: got %s", got)
		}
		time.Sleep(time.Second)
		if got := good("192.0.2.1", 22); got != "204 " {
			t.Errorf("a second later: got %s", got)
		}
		if got := r.from(e, "192.0.2.2", "/api/stream", fmt.Sprintf(`{"socket":%q,"n":23,"frame":[]}`, r.socket), "Origin", "https://evil.example"); !strings.HasPrefix(got, `403 {"code":"bad_origin"`) {
			t.Errorf("a page of another origin: got %s", got)
		}
		if got := good("192.0.2.2", 23); got != "204 " {
			t.Errorf("its post has arrived: got %s", got)
		}
		if got := r.from(e, "192.0.2.2", "/api/poll?v=2", fmt.Sprintf(`{"socket":%q,"n":2}`, r.socket)); !strings.HasPrefix(got, `400 `) {
			t.Errorf("another version: got %s", got)
		}
	})
}

// TestForwarding_Close closes a gateway while a poll waits that goes through it.
func TestForwarding_Close(t *testing.T) {
	for name, test := range map[string]struct {
		closed     func(e *env) *gateway.Gateway
		want, then string
	}{
		"where the poll came": {func(e *env) *gateway.Gateway { return e.other }, `503 {"code":"shutdown"`, `503 {"code":"shutdown"`},
		"where its socket is": {func(e *env) *gateway.Gateway { return e.g }, `200 [{"t":"bye"`, `404 {"code":"unknown_socket"`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t, away)
				defer e.stop()
				r := newRaw(t, e)
				defer r.cut()
				answer := make(chan string, 1)
				go func() { answer <- r.got("/api/poll", fmt.Sprintf(`{"socket":%q,"n":2,"waitMs":20000}`, r.socket)) }()
				time.Sleep(time.Second)
				start := time.Now()
				go func() { _ = test.closed(e).Close(t.Context()) }()
				if got := <-answer; !strings.HasPrefix(got, test.want) || time.Since(start) > time.Second {
					t.Errorf("got %s after %v, want %s", got, time.Since(start), test.want)
				}
				if got := r.got("/api/poll", fmt.Sprintf(`{"socket":%q,"n":3}`, r.socket)); !strings.HasPrefix(got, test.then) {
					t.Errorf("afterwards: got %s, want %s", got, test.then)
				}
				time.Sleep(3 * time.Second)
				if n := e.g.Sockets(); n != 0 {
					t.Errorf("%d sockets are left", n)
				}
			})
		})
	}
}

// TestForwarding_aNodeDoesNotWaitForSlowPosts ends the incarnation of a node while it handles a post of a
// client that sends more than is read from it.
func TestForwarding_aNodeDoesNotWaitForSlowPosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, away)
		defer e.stop()
		r := newRaw(t, e)
		defer r.cut()
		frame := "[" + strings.Repeat(`{"t":"beat"},`, 5000) + `{"t":"beat"}]`
		answer := make(chan string, 1)
		go func() {
			answer <- r.got("/api/stream", fmt.Sprintf(`{"socket":%q,"n":1,"frame":%s}`, r.socket, frame))
		}()
		time.Sleep(time.Second)
		select {
		case got := <-answer:
			t.Fatalf("the post does not wait: got %s", got)
		default:
		}
		start := time.Now()
		e.nodes.owner.Leave()
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("the node waited for %v", took)
		}
		e.nodes.gateway.Leave()
		if got := <-answer; !strings.HasPrefix(got, "404") {
			t.Errorf("got %s", got)
		}
	})
}

// TestForwarding_aPollThatBreaksOff closes a socket while another node takes a part of a frame.
func TestForwarding_aPollThatBreaksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, away)
		defer e.stop()
		r := newRaw(t, e)
		defer r.cut()
		if err := r.write([]byte(openFrame(1, "ada", `"subs":["said"]`))); err != nil {
			t.Fatal(err)
		}
		e.settle()
		if got := r.got("/api/poll", fmt.Sprintf(`{"socket":%q,"n":2,"waitMs":1000}`, r.socket)); !strings.HasPrefix(got, "200") {
			t.Fatalf("got %s", got)
		}
		e.say(strings.Repeat("x", 100_000))
		e.settle()
		parts := 0
		over, cancel := context.WithCancel(t.Context())
		cancel()
		err := e.g.ServeSocket(t.Context(), host.SocketRequest{Socket: r.socket, N: 3, Poll: true, Wait: time.Second}, func(context.Context, []byte) error {
			if parts++; parts == 1 {
				_ = e.g.Close(over)
			}
			return nil
		})
		var fault *host.Fault
		if parts == 0 || parts > 5 || !errors.As(err, &fault) || fault.Code != wire.CodeUnknownSocket {
			t.Errorf("after %d parts: got %v, want unknown_socket", parts, err)
		}
	})
}
