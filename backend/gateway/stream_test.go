package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// TestG3_AcrossTransports: a connection is the same over a WebSocket, a stream and polls:
// its client moves from one to the other without a gap.
func TestG3_AcrossTransports(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		e.settle()
		log := c.logOf(1)
		c.take()
		seen := uint64(0)
		for i, over := range []string{overStream, overPolls, "", overPolls, overStream, ""} {
			c.cut()
			e.say(fmt.Sprint("away ", i))
			c = e.dialOver(over)
			c.open(1, "ada", `"subs":["said"]`, resume(log, seen))
			e.settle()
			c.call(1, i+1, "say", "back")
			e.settle()
			c.expect(fmt.Sprintf("1 opened %d resumed", seen),
				fmt.Sprintf(`1 event %d said "away %d"`, seen+1, i), fmt.Sprintf("1 at %d", seen+1),
				fmt.Sprintf(`1 event %d said "back"`, seen+2), fmt.Sprintf("1 reply %d #%d %d", seen+3, i+1, 2*i+2))
			seen += 3
		}
	})
}

// raw is a socket over HTTP whose test makes the requests itself.
type raw struct {
	*httpPipe
	t *testing.T
}

// newRaw makes a socket with a poll.
func newRaw(t *testing.T, e *env) raw {
	t.Helper()
	e.over = overPolls
	r := raw{newHTTPPipe(e.h, overPolls), t}
	t.Cleanup(r.cut)
	b, err := r.pollFor(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if r.socket = socketOf(b); len(strings.TrimPrefix(r.socket, "1.")) != 22 || strings.HasPrefix(r.socket, "1.") != e.away || strings.Contains(string(b), "\n") {
		t.Fatalf("got %s, want a hello with 128 bits", b)
	}
	return r
}

// got sends a request and returns its status and code.
func (r raw) got(path, body string) string {
	r.t.Helper()
	resp, b, err := r.post(path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	return fmt.Sprint(resp.StatusCode, " ", string(b))
}

// TestPosts: posts are taken in the order of their numbers, each once.
func TestPosts(t *testing.T) {
	runRaw(t, func(t *testing.T, e *env) {
		r := newRaw(t, e)
		defer r.cut()
		post := func(socket string, n int, frame string) string {
			return r.got("/api/stream", fmt.Sprintf(`{"socket":%q,"n":%d,"frame":%s}`, socket, n, frame))
		}
		say := func(id int) string { return callFrame(1, id, "say", fmt.Sprint(id)) }
		for _, tc := range []struct {
			name, socket string
			n            int
			frame, want  string
		}{
			{"a number that comes too early", r.socket, 2, say(1), `409 {"code":"out_of_order"`},
			{"no number", r.socket, 0, say(1), `409 {"code":"out_of_order"`},
			{"the first", r.socket, 1, openFrame(1, "ada"), "204 "},
			{"an array", r.socket, 2, "[" + say(1) + "," + say(2) + "]", "204 "},
			{"the same again", r.socket, 2, "[" + say(1) + "," + say(2) + "]", "204 "},
			{"one from before", r.socket, 1, openFrame(1, "ada"), `409 {"code":"out_of_order"`},
			{"one left out", r.socket, 4, say(4), `409 {"code":"out_of_order"`},
			{"the next", r.socket, 3, say(3), "204 "},
			{"a forged socket", strings.Repeat("A", 22), 4, say(4), `404 {"code":"unknown_socket"`},
			{"no socket", "", 4, say(4), `404 {"code":"unknown_socket"`},
			{"a large message", r.socket, 4, callFrame(1, 9, "echo", strings.Repeat("x", 64<<10)), "204 "},
			{"a large frame", r.socket, 5, `["` + strings.Repeat("x", 257<<10) + `"]`, `413 {"code":"too_large"`},
			{"nonsense", r.socket, 5, "{", `400 {"code":"malformed"`},
			{"the socket has survived that", r.socket, 5, say(4), "204 "},
		} {
			if got := post(tc.socket, tc.n, tc.frame); !strings.HasPrefix(got, tc.want) {
				t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
			}
		}
		e.settle()
		if got := do(t, e.h, "POST", "/api/actors/room/actions/count?key=lobby", ""); got.body != `{"result":4}` {
			t.Errorf("got %s, want 4 effects of 4 calls", got.body)
		}
		// An invalid frame ends the socket, as over a WebSocket.
		for name, frame := range map[string]string{"a number": "7", "bytes that are not UTF-8": `{"t":"call","c":1,"id":9,"a":"echo","args":["` + "\xff" + `"]}`} {
			s := newRaw(t, e).socket
			if got := post(s, 1, frame); !strings.HasPrefix(got, `400 {"code":"malformed"`) {
				t.Errorf("%s: got %s", name, got)
			}
			if got := post(s, 2, say(5)); !strings.HasPrefix(got, `404 {"code":"unknown_socket"`) {
				t.Errorf("after %s: got %s", name, got)
			}
		}
	})
}

// TestPosts_InFlight: the next post waits for the one before, and so does a
// repetition of it.
func TestPosts_InFlight(t *testing.T) {
	slow := &slowOpenHost{hold: make(chan struct{})}
	runRaw(t, func(t *testing.T, e *env) {
		slow.hold = make(chan struct{})
		r := newRaw(t, e)
		defer r.cut()
		answers := make(chan string, 3)
		send := func(n int, frame string) {
			go func() {
				answers <- fmt.Sprint(n, " ", r.got("/api/stream", fmt.Sprintf(`{"socket":%q,"n":%d,"frame":%s}`, r.socket, n, frame)))
			}()
			synctest.Wait()
		}
		send(1, openFrame(1, "ada"))
		send(1, openFrame(1, "ada"))
		send(2, callFrame(1, 1, "say", "x"))
		select {
		case got := <-answers:
			t.Fatalf("got %s while the first post is under way", got)
		default:
		}
		if got := r.got("/api/stream", fmt.Sprintf(`{"socket":%q,"n":3,"frame":{}}`, r.socket)); !strings.HasPrefix(got, "409 ") {
			t.Errorf("a third post: got %s", got)
		}
		close(slow.hold)
		for range 3 {
			if got := <-answers; !strings.HasSuffix(got, " 204 ") {
				t.Errorf("got %s", got)
			}
		}
		e.settle()
		if got := do(t, e.h, "POST", "/api/actors/room/actions/count?key=lobby", ""); got.body != `{"result":1}` {
			t.Errorf("got %s, want one effect", got.body)
		}
	}, wrapHost(func(p host.Host) host.Host { slow.Host = p; return slow }))
}

// TestG8_SlowStream: a stream that is not read holds a frame, delays no one and ends
// after 20 s; its client learns the gap.
func TestG8_SlowStream(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		slow, other := e.dialOver(overStream), e.dial()
		for _, c := range []*client{slow, other} {
			c.open(1, fmt.Sprintf("%p", c), `"subs":["said"]`)
			e.settle()
			c.take()
		}
		slow.pause(true)
		for range 30 {
			e.once("burst", "10", "1000")
			e.settle()
		}
		if got := len(other.take()); got != 300 {
			t.Errorf("the other has got %d events, want 300", got)
		}
		if n := e.g.Sockets(); n != 2 {
			t.Errorf("%d sockets, want 2", n)
		}
		time.Sleep(25 * time.Second)
		if n := e.g.Sockets(); n != 1 {
			t.Errorf("%d sockets are left, want 1", n)
		}
		if !strings.Contains(e.logs.String(), "does not read") {
			t.Error("the log does not tell")
		}
	})
}

// TestStream_Alive: on a stream there is something at least every 15 s, and a client that
// answers stays.
func TestStream_Alive(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dialOver(overStream)
		last, longest := time.Now(), time.Duration(0)
		for beats := 0; beats < 20; {
			time.Sleep(100 * time.Millisecond)
			c.mu.Lock()
			if c.beats > beats {
				beats = c.beats
				longest = max(longest, time.Since(last))
				last = time.Now()
			}
			c.mu.Unlock()
			if time.Since(last) > time.Minute {
				t.Fatal("no beat for a minute")
			}
		}
		if longest > 15*time.Second {
			t.Errorf("there was nothing for %v, want something every 15 s", longest)
		}
		c.setDeaf(true)
		time.Sleep(28 * time.Second)
		if n := e.g.Sockets(); n != 0 {
			t.Errorf("%d sockets are left of a client that does not answer", n)
		}
	})
}

// TestStream_End: a stream that ends ends the socket, and the connection is dropped.
func TestStream_End(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dialOver(overStream)
		c.open(1, "ada")
		e.settle()
		c.cut()
		synctest.Wait()
		if n := e.g.Sockets(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
	})
}

// TestStream_Bye: a shutdown sends bye and the last outputs, and ends streams and polls.
func TestStream_Bye(t *testing.T) {
	runHTTP(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		e.settle()
		c.take()
		e.g.Quiesce()
		e.settle()
		c.expect("bye")
		p := c.pipe.(*httpPipe)
		if got := p.write([]byte(callFrame(1, 1, "say", "too late"))); got == nil || !strings.Contains(got.Error(), wire.CodeShutdown) {
			t.Errorf("a post: got %v", got)
		}
		for range 10 {
			e.once("burst", "100", "100")
		}
		for _, tc := range [][3]string{{"GET", "/api/stream?v=1", ""}, {"POST", "/api/poll", "{}"}} {
			if got := do(t, e.h, tc[0], tc[1], tc[2]); got.status != 503 || got.Code != wire.CodeShutdown || got.header.Get("Retry-After") == "" {
				t.Errorf("%s %s: got %d %s", tc[0], tc[1], got.status, got.body)
			}
		}
		start := time.Now()
		if err := e.g.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %v", took)
		}
		c.wait.Wait()
		if got := len(c.take()); got != 1000 {
			t.Errorf("got %d events, want 1000", got)
		}
	})
}

// TestStream_Panic: a panic in a post ends that socket only.
func TestStream_Panic(t *testing.T) {
	runHTTP(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada")
		e.settle()
		if got := c.pipe.write([]byte(callFrame(1, 1, "boom"))); got == nil || !strings.Contains(got.Error(), wire.CodeInternal) {
			t.Errorf("got %v", got)
		}
		time.Sleep(5 * time.Second)
		if n := e.g.Sockets(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
		other := e.dial()
		other.open(1, "bob")
		e.settle()
		other.isOpen()
	}, panicky)
}

// TestStream_Requests: an invalid request for a socket, and one of another origin, gets
// an error that says so.
func TestStream_Requests(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		for _, tc := range []struct {
			method, path, body, origin string
			status                     int
			code                       string
		}{
			{"HEAD", "/api/stream?v=1", "", "", 405, ""},
			{"PUT", "/api/stream?v=1", "", "", 405, "malformed"},
			{"GET", "/api/poll", "", "", 405, "malformed"},
			{"GET", "/api/stream?v=2", "", "", 400, "malformed"},
			{"GET", "/api/stream?v=1", "", "https://evil.com", 403, "bad_origin"},
			{"POST", "/api/stream", "{}", "https://evil.com", 403, "bad_origin"},
			{"POST", "/api/poll", "{}", "https://evil.com", 403, "bad_origin"},
			{"POST", "/api/poll", strings.Repeat(" ", 65<<10), "", 413, "too_large"},
		} {
			var header []string
			if tc.origin != "" {
				header = []string{"Origin", tc.origin}
			}
			got := do(t, e.h, tc.method, "http://example.com"+tc.path, tc.body, header...)
			if got.status != tc.status || tc.method != "HEAD" && got.Code != tc.code {
				t.Errorf("%s %s from %q: got %d %s, want %d %s", tc.method, tc.path, tc.origin, got.status, got.body, tc.status, tc.code)
			}
		}
		if n := e.g.Sockets(); n != 0 {
			t.Errorf("%d sockets were made", n)
		}
		p := newHTTPPipe(e.h, overStream)
		defer p.cut()
		req, err := http.NewRequest("GET", "http://example.com/api/stream?v=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", "https://app.example.org")
		resp, err := p.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		for name, want := range map[string]string{
			"Content-Type": "text/event-stream", "Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no",
			"Access-Control-Allow-Origin": "https://app.example.org",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
	}, gatewayOptions(gateway.Options{AllowOrigins: []string{"https://app.example.org"}}))
}

// slowOpenHost delays opens.
type slowOpenHost struct {
	host.Host
	hold chan struct{}
}

func (p *slowOpenHost) Open(r host.Ref, o host.OpenRequest) error {
	<-p.hold
	return p.Host.Open(r, o)
}
