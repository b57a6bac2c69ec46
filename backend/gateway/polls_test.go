package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/wire"
)

// TestPolls: a poll gets one frame, once it has arrived another one, and the same
// again if it has not.
func TestPolls(t *testing.T) {
	runRaw(t, func(t *testing.T, e *env) {
		r := newRaw(t, e)
		defer r.cut()
		poll := func(n, waitMs int) string {
			return r.got("/api/poll", fmt.Sprintf(`{"socket":%q,"n":%d,"waitMs":%d}`, r.socket, n, waitMs))
		}
		expect := func(what, got, want string) {
			t.Helper()
			if !strings.HasPrefix(got, want) {
				t.Errorf("%s: got %s, want %s", what, got, want)
			}
		}
		expect("nothing, at once", poll(2, 0), "200 []")
		start := time.Now()
		expect("nothing in 3 s", poll(3, 3000), "200 []")
		if took := time.Since(start).Truncate(100 * time.Millisecond); took != 3*time.Second {
			t.Errorf("it took %v, want 3 s", took)
		}
		send := func(n int, frame string) {
			if err := r.write([]byte(frame)); err != nil {
				t.Error(err)
			}
			e.settle()
		}
		send(1, openFrame(1, "ada", `"subs":["said"]`))
		opened := poll(4, 20_000)
		expect("opened, as an array", opened, `200 [{"c":1,"t":"opened"`)
		e.say("one")
		e.settle()
		if got := poll(4, 20_000); got != opened {
			t.Errorf("the same poll again: got %s, want %s", got, opened)
		}
		expect("a number of before", poll(3, 0), `409 {"code":"out_of_order"`)
		expect("a number left out", poll(6, 0), `409 {"code":"out_of_order"`)
		for n, text := range []string{"one", "two"} {
			expect("the next", poll(5+n, 20_000), fmt.Sprintf(`200 [{"c":1,"t":"event","s":%d,"e":"said","d":%q}`, n+1, text))
			if n == 0 {
				e.say("two")
			}
		}
		// Without a number it is the next one.
		e.say("three")
		expect("without a number", r.got("/api/poll", fmt.Sprintf(`{"socket":%q,"waitMs":20000}`, r.socket)), `200 [{"c":1,"t":"event","s":3`)
		// A second poll ends the first one.
		first := make(chan string)
		go func() { first <- poll(8, 20_000) }()
		synctest.Wait()
		second := make(chan string)
		go func() { second <- poll(9, 20_000) }()
		expect("the first of two", <-first, "200 []")
		e.say("four")
		expect("the second of two", <-second, `200 [{"c":1,"t":"event","s":4`)
		expect("a forged socket", r.got("/api/poll", `{"socket":"AAAAAAAAAAAAAAAAAAAAAA","n":1}`), `404 {"code":"unknown_socket"`)
		expect("a forged socket, with a node", r.got("/api/poll", `{"socket":"1.AAAAAAAAAAAAAAAAAAAAAA","n":1}`), `404 {"code":"unknown_socket"`)
		expect("one of a node that is not there", r.got("/api/poll", `{"socket":"9.AAAAAAAAAAAAAAAAAAAAAA","n":1}`), `404 {"code":"unknown_socket"`)
		expect("nonsense", r.got("/api/poll", `{`), `400 {"code":"malformed"`)
	})
}

// TestPolls_HungUp: a client that hangs up and repeats its poll gets the same frame; one
// that does not come back is gone, as with a stream that ends.
func TestPolls_HungUp(t *testing.T) {
	runRaw(t, func(t *testing.T, e *env) {
		r := newRaw(t, e)
		defer r.cut()
		if err := r.write([]byte(openFrame(1, "ada", `"subs":["said"]`))); err != nil {
			t.Fatal(err)
		}
		e.settle()
		poll := func(ctx context.Context, n int) (string, error) {
			req, err := http.NewRequestWithContext(ctx, "POST", "http://example.com/api/poll",
				strings.NewReader(fmt.Sprintf(`{"socket":%q,"n":%d,"waitMs":20000}`, r.socket, n)))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := r.client.Do(req)
			if err != nil {
				return "", err
			}
			defer func() { _ = resp.Body.Close() }()
			b, err := io.ReadAll(resp.Body)
			return string(b), err
		}
		if _, err := poll(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		hangUp := func(n int) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := poll(ctx, n); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v", err)
			}
			synctest.Wait()
		}
		hangUp(3)
		e.say("one")
		if got, err := poll(t.Context(), 3); err != nil || !strings.Contains(got, `"one"`) {
			t.Errorf("got %s, %v", got, err)
		}
		hangUp(4)
		time.Sleep(time.Second)
		if n := e.g.Sockets(); n != 1 {
			t.Errorf("%d sockets a second after its client hung up, want 1", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := e.g.Sockets(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
	})
}

// TestPolls_Dead: without a poll for 25 s the client is gone.
func TestPolls_Dead(t *testing.T) {
	runRaw(t, func(t *testing.T, e *env) {
		r := newRaw(t, e)
		defer r.cut()
		if _, err := r.pollFor(2, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Second)
		if n := e.g.Sockets(); n != 1 {
			t.Errorf("%d sockets after 24 s, want 1", n)
		}
		time.Sleep(3 * time.Second)
		if n := e.g.Sockets(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
		if _, err := r.pollFor(3, 0); err == nil || !strings.Contains(err.Error(), wire.CodeUnknownSocket) {
			t.Errorf("got %v", err)
		}
	})
}

// TestG8_NoPolls: a client that does not poll is one that does not read. One frame waits
// for it, and after 20 s it is cut off as slow.
func TestG8_NoPolls(t *testing.T) {
	runRaw(t, func(t *testing.T, e *env) {
		r := newRaw(t, e)
		defer r.cut()
		if err := r.write([]byte(openFrame(1, "ada", `"subs":["said"]`))); err != nil {
			t.Fatal(err)
		}
		e.settle()
		e.once("burst", "100", "10000")
		for n := uint64(2); n < 4; n++ { // opened, then a frame of events
			b, err := r.pollFor(n, 20_000)
			if err != nil || len(b) > 80<<10 {
				t.Fatalf("got %d bytes, %v", len(b), err)
			}
		}
		for n := range 19 { // it is there, but does not poll
			time.Sleep(time.Second)
			if err := r.write([]byte(wire.Beat)); err != nil {
				t.Fatalf("after %d s: %v", n+1, err)
			}
		}
		time.Sleep(2 * time.Second)
		if n := e.g.Sockets(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
		if !strings.Contains(e.logs.String(), "does not read") {
			t.Error("the log does not tell")
		}
	})
}

// TestG9_FutileRequestsAreCharged: polls and posts that get nothing done count for their address,
// apart from calls.
func TestG9_FutileRequestsAreCharged(t *testing.T) {
	for _, tc := range []struct {
		name, path, body string // SOCKET is the socket, NUMBER that of the poll, from 2
		status           int    // within the limit
		here             bool   // only where the socket is: another node cannot know
	}{
		{"a poll with a wrong number", "/api/poll", `{"socket":"SOCKET","n":9NUMBER}`, 409, false},
		{"a post with a wrong number", "/api/stream", `{"socket":"SOCKET","n":9NUMBER,"frame":[]}`, 409, false},
		{"a poll of no socket", "/api/poll", `{"socket":"xSOCKET","n":NUMBER}`, 404, false},
		{"a post of no socket", "/api/stream", `{"socket":"xSOCKET","n":NUMBER,"frame":[]}`, 404, false},
		{"a poll that takes nothing", "/api/poll", `{"socket":"SOCKET"}`, 200, false},
		{"a poll that is repeated", "/api/poll", `{"socket":"SOCKET","n":1}`, 200, true},
		{"a post that is repeated", "/api/stream", `{"socket":"SOCKET","n":1,"frame":[]}`, 204, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			runRaw(t, func(t *testing.T, e *env) {
				r := newRaw(t, e)
				defer r.cut()
				if tc.here && e.away {
					return
				}
				synctest.Wait() // the hello has arrived, as the transport sees it, too
				send := func(path, body string) int {
					q := httptest.NewRequest("POST", path, strings.NewReader(body))
					q.RemoteAddr = "192.0.2.1:1" // the machine itself is not limited
					w := httptest.NewRecorder()
					e.h.ServeHTTP(w, q)
					return w.Code
				}
				n := 1 // poll 1 got the hello
				next := func() int {
					n++
					return send(tc.path, strings.NewReplacer("SOCKET", r.socket, "NUMBER", fmt.Sprint(n)).Replace(tc.body))
				}
				if tc.path == "/api/stream" && tc.here {
					next() // is no repetition
				}
				var codes []int
				for range 6 {
					codes = append(codes, next())
				}
				want := []int{tc.status, tc.status, tc.status, tc.status, http.StatusTooManyRequests, http.StatusTooManyRequests}
				if !slices.Equal(codes, want) {
					t.Errorf("got %v, want %v", codes, want)
				}
				if code := send("/api/actors/room/actions/say?key=a", `{"args":["x"]}`); code == http.StatusTooManyRequests {
					t.Error("calls were counted, too")
				}
				time.Sleep(time.Second)
				if code := next(); code != tc.status {
					t.Errorf("a second later: got %d, want %d", code, tc.status)
				}
			}, gatewayOptions(gateway.Options{CallRatePerIP: 2}))
		})
	}
}
