package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/go-chi/chi/v5"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/wire"
)

// answer is what an HTTP request got.
type answer struct {
	status int
	header http.Header
	body   string

	Result   json.RawMessage
	ID       string
	Code     string
	Message  string
	Metadata json.RawMessage
}

// do makes a request; header is pairs of name and value.
func do(t testing.TB, h http.Handler, method, path, body string, header ...string) answer {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	a := answer{status: w.Code, header: w.Header(), body: w.Body.String()}
	if a.body != "" {
		if got := w.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("%s %s: got content type %q: %s", method, path, got, a.body)
		}
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Errorf("%s %s: got %s: %v", method, path, a.body, err)
		}
	}
	return a
}

func TestHTTP(t *testing.T) {
	const room = "/api/actors/room"
	run(t, func(t *testing.T, e *env) {
		for _, tc := range []struct {
			name, method, path, body string
			status                   int
			want                     string // of the body: all of it if it succeeds, else the code
		}{
			{"an actor that does not exist", "GET", room + "?key=a", "", 404, "not_found"},
			{"an action of one that must exist", "POST", room + "/actions/say?key=a&create=false", `{"args":["x"]}`, 404, "not_found"},
			{"an action makes it", "POST", room + "/actions/say?key=a", `{"args":["x"]}`, 200, `{"result":1}`},
			{"now it exists", "POST", room + "/actions/say?key=a&create=false", `{"args":["x"]}`, 200, `{"result":2}`},
			{"another key", "POST", room + "/actions/say?key=a&key=b", `{"args":["x"]}`, 200, `{"result":1}`},
			{"no result", "POST", room + "/actions/forget?key=a", `{"args":[]}`, 200, `{}`},
			{"no body", "POST", room + "/actions/count?key=a", ``, 200, `{"result":0}`},
			{"a connection is needed", "POST", room + "/actions/me?key=a", ``, 400, "connection_required"},
			{"its own code", "POST", room + "/actions/fail?key=a", `{"args":["own_code"]}`, 422, "own_code"},
			{"a code of ours, from an actor", "POST", room + "/actions/fail?key=a", `{"args":["forbidden"]}`, 403, "forbidden"},
			{"a panic", "POST", room + "/actions/panic?key=a", ``, 500, "internal_error"},
			{"an unknown action", "POST", room + "/actions/nope?key=a", ``, 404, "unknown_action"},
			{"an unknown actor", "POST", "/api/actors/nope/actions/say?key=a", ``, 404, "unknown_actor"},
			{"too few arguments", "POST", room + "/actions/say?key=a", `{}`, 400, "invalid_args"},
			{"not JSON", "POST", room + "/actions/say?key=a", `{`, 400, "malformed"},
			{"args that are no list", "POST", room + "/actions/say?key=a", `{"args":7}`, 400, "malformed"},
			{"no key", "POST", room + "/actions/say", `{"args":["x"]}`, 400, "bad_key"},
			{"an empty component of a key", "POST", room + "/actions/say?key=", `{"args":["x"]}`, 400, "bad_key"},
			{"a large body", "POST", room + "/actions/say?key=a", `{"args":["` + strings.Repeat("x", 64<<10) + `"]}`, 413, "too_large"},
			{"create", "POST", room, `{"key":["new"]}`, 201, ""},
			{"create twice", "POST", room, `{"key":"new"}`, 409, "exists"},
			{"create without a key", "POST", room, `{}`, 400, "bad_key"},
			{"resolve", "GET", room + "?key=new", "", 200, ""},
			{"an id that is none", "GET", room + "?id=nope", "", 404, "not_found"},
			{"an address that is none", "GET", "/api/nope", "", 404, "not_found"},
			{"another one", "GET", "/api/actors", "", 404, "not_found"},
			{"the wrong method", "DELETE", room + "?key=a", "", 405, "malformed"},
			{"a socket without upgrade", "GET", "/api/socket?v=1", "", 426, "malformed"},
			{"a socket of another version", "GET", "/api/socket?v=2", "", 400, "malformed"},
		} {
			got := do(t, e.h, tc.method, tc.path, tc.body)
			if got.status != tc.status || tc.status >= 400 && (got.Code != tc.want || got.Message == "") ||
				tc.status < 400 && tc.want != "" && got.body != tc.want {
				t.Errorf("%s: got %d %s, want %d %s", tc.name, got.status, got.body, tc.status, tc.want)
			}
			if tc.status == 200 && tc.want == "" && len(got.ID) != 22 {
				t.Errorf("%s: got %s, want an id", tc.name, got.body)
			}
		}
		id := do(t, e.h, "GET", room+"?key=a", "").ID
		if got := do(t, e.h, "POST", room+"/actions/say?id="+id, `{"args":["x"]}`); got.body != `{"result":1}` {
			t.Errorf("by id: got %s", got.body)
		}
		if got := do(t, e.h, "POST", room+"/actions/fail?key=a", `{"args":["x"]}`); string(got.Metadata) != `{"n":1}` || got.Message != "as you wish" {
			t.Errorf("got %s, want message and metadata", got.body)
		}
		// Also below another router.
		outer := chi.NewRouter()
		outer.Mount("/api", e.h)
		if got := do(t, outer, "GET", room+"?key=a", ""); got.ID != id {
			t.Errorf("mounted: got %d %s", got.status, got.body)
		}
	})
}

// TestHTTP_PartlyUnderstood: a request that is only partly understood is refused, with
// what to write, and nothing runs; on every route.
func TestHTTP_PartlyUnderstood(t *testing.T) {
	const room, say = "/api/actors/room", "/api/actors/room/actions/say"
	run(t, func(t *testing.T, e *env) {
		id := do(t, e.h, "POST", room, `{"key":["a"]}`).ID
		for _, tc := range []struct{ name, method, path, body, want string }{
			{"a semicolon", "POST", say + "?key=a&key=a;b", `{"args":["x"]}`, `invalid semicolon separator in query; write "%" as %25, ";" as %3B`},
			{"an escape", "POST", say + "?key=a&key=%zz", `{"args":["x"]}`, `invalid URL escape "%zz"`},
			{"a key that is not UTF-8", "POST", say + "?key=a&key=%ff", `{"args":["x"]}`, "the parameter key is not UTF-8"},
			{"an unknown name", "POST", say + "?key=a&kye=b", `{"args":["x"]}`, `there is no parameter "kye"; this address takes key, id, create`},
			{"another case", "POST", say + "?Key=a", `{"args":["x"]}`, `there is no parameter "Key"`},
			{"a boolean", "POST", say + "?key=a&create=no", `{"args":["x"]}`, `create is true or false, not "no"`},
			{"an empty boolean", "POST", say + "?key=a&create=", `{"args":["x"]}`, `create is true or false, not ""`},
			{"two of one", "POST", say + "?key=a&create=true&create=false", `{"args":["x"]}`, "the parameter create is there 2 times; write it once"},
			{"two ids", "GET", room + "?id=" + id + "&id=x", "", "the parameter id is there 2 times"},
			{"key and id", "POST", say + "?key=a&id=" + id, `{"args":["x"]}`, "by key or by id, not by both"},
			{"an empty id", "POST", say + "?key=a&id=", `{"args":["x"]}`, "not by both"},
			{"an empty id alone", "GET", room + "?id=", "", "the parameter id is empty; write ?id=…"},
			{"an id to be created", "POST", say + "?create=true&id=" + id, `{"args":["x"]}`, "leave create=true out"},
			{"a parameter of a call, to find an actor", "GET", room + "?key=a&create=false", "", "this address takes key, id"},
			{"a key in the query, to create", "POST", room + "?key=b", `{"key":["b"]}`, "this address takes none"},
			{"a path that is not UTF-8", "POST", room + "/actions/say%ff?key=a", `{"args":["x"]}`, "the path is not UTF-8"},
			{"an unknown member", "POST", say + "?key=a", `{"arg":["x"]}`, `the body must be {"args":[…]}: there is no member "arg"`},
			{"a member in another case, to create", "POST", room, `{"key":["b"],"Input":1}`, `the body must be {"key":["…"],"input":…}: there is no member "Input"`},
			{"no object", "POST", say + "?key=a", `["x"]`, `the body must be {"args":[…]}`},
			{"null", "POST", say + "?key=a", ` null `, `the body must be {"args":[…]}`},
			{"half a body", "POST", say + "?key=a", `{"args":["x"]`, "it ends too early"},
			{"a second object", "POST", say + "?key=a", `{"args":["x"]}{"args":["y"]}`, "something follows the object"},
			{"a member twice", "POST", say + "?key=a", `{"args":["x"],"args":["y"]}`, `the member "args" is there twice; write it once`},
			{"a body that is not UTF-8", "POST", say + "?key=a", "{\"args\":[\"\xff\"]}", "the body is not UTF-8"},
			{"an input that is not UTF-8", "POST", room, "{\"key\":[\"b\"],\"input\":\"\xed\xa0\x80\"}", "the body is not UTF-8"},
			{"a key to create that is not UTF-8", "POST", room, "{\"key\":[\"b\xff\"]}", "the body is not UTF-8"},
			{"a version", "GET", "/api/socket?v=01", "", "this server speaks version 1 of the protocol; write ?v=1"},
			{"no version", "GET", "/api/stream?v=", "", "write ?v=1"},
			{"a stream's parameter", "GET", "/api/stream?v=1&socket=x", "", "this address takes v"},
			{"a poll's", "POST", "/api/poll?n=1", `{}`, "this address takes v"},
			{"a poll's, of a socket", "POST", "/api/poll?v=2", `{"socket":"x"}`, "write ?v=1"},
			{"a post's", "POST", "/api/stream?v=1;", `{"socket":"x"}`, "semicolon"},
			{"a poll that is not UTF-8", "POST", "/api/poll?v=1", "{\"socket\":\"\xff\"}", "the body is not UTF-8"},
		} {
			if got := do(t, e.h, tc.method, tc.path, tc.body); got.status != 400 || got.Code != wire.CodeMalformed || !strings.Contains(got.Message, tc.want) {
				t.Errorf("%s: got %d %s, want 400 malformed, %s", tc.name, got.status, got.body, tc.want)
			}
		}
		for _, header := range [][2]string{{"Idempotency-Key", ""}, {"Content-Encoding", "gzip"}} {
			if got := do(t, e.h, "POST", say+"?key=a", `{"args":["x"]}`, header[0], header[1]); got.status != 400 || !strings.Contains(got.Message, header[0]) {
				t.Errorf("%s %q: got %d %s", header[0], header[1], got.status, got.body)
			}
		}
		for _, path := range []string{"?key=a", "?id=" + id} {
			if got := do(t, e.h, "POST", room+"/actions/count"+path, ""); got.body != `{"result":0}` {
				t.Errorf("got %s, want that nothing has run", got.body)
			}
		}
		// Escapes are undone once, however the path is written.
		for _, path := range []string{"%6eope%2525", "nope%2525"} {
			if got := do(t, e.h, "POST", "/api/actors/"+path+"/actions/say?key=a", ""); got.Message != `there is no actor named "nope%25"` {
				t.Errorf("%s: got %s", path, got.body)
			}
		}
		if got := do(t, e.h, "POST", say+"?key=a%3Bb&create=true", `{"args":["x"]}`, "Content-Encoding", "identity"); got.status != 200 {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
}

// TestHTTP_Methods: the wrong method is answered with the right ones, and HEAD is GET
// where that finds an actor.
func TestHTTP_Methods(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		do(t, e.h, "POST", "/api/actors/room", `{"key":["a"]}`)
		for _, tc := range []struct{ method, path, allow string }{
			{"GET", "/api/actors/room/actions/say?key=a", "POST"},
			{"HEAD", "/api/actors/room/actions/say?key=a", "POST"},
			{"PUT", "/api/actors/room?key=a", "GET, HEAD, POST"},
			{"DELETE", "/api/socket", "GET"},
			{"HEAD", "/api/stream", "GET, POST"},
			{"GET", "/api/poll", "POST"},
		} {
			got := do(t, e.h, tc.method, tc.path, "")
			if want := tc.method + "; use " + strings.ReplaceAll(tc.allow, ", ", " or "); got.status != 405 || got.header.Get("Allow") != tc.allow || !strings.Contains(got.Message, want) {
				t.Errorf("%s %s: got %d, Allow %q, %s, want 405, %q", tc.method, tc.path, got.status, got.header.Get("Allow"), got.body, tc.allow)
			}
		}
		for path, want := range map[string]int{"?key=a": 200, "?key=b": 404, "": 400} {
			if got := do(t, e.h, "HEAD", "/api/actors/room"+path, ""); got.status != want {
				t.Errorf("HEAD %s: got %d, want %d", path, got.status, want)
			}
		}
	})
}

// TestG5_IdempotencyKey: a call that is repeated with its key runs once.
func TestG5_IdempotencyKey(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		for range 3 {
			got := do(t, e.h, "POST", "/api/actors/room/actions/fail?key=a", `{"args":["no"]}`, "Idempotency-Key", "k0")
			if got.status != 422 || got.Code != "no" {
				t.Errorf("got %d %s", got.status, got.body)
			}
		}
		for range 3 {
			do(t, e.h, "POST", "/api/actors/room/actions/say?key=a", `{"args":["x"]}`, "Idempotency-Key", "k1")
		}
		do(t, e.h, "POST", "/api/actors/room/actions/say?key=a", `{"args":["x"]}`, "Idempotency-Key", "k2")
		if got := do(t, e.h, "POST", "/api/actors/room/actions/count?key=a", ""); got.body != `{"result":2}` {
			t.Errorf("got %s, want 2 effects", got.body)
		}
		if got := do(t, e.h, "POST", "/api/actors/room/actions/say?key=a", `{"args":["x"]}`, "Idempotency-Key", strings.Repeat("k", 256)); got.status != 400 {
			t.Errorf("got %d %s, want 400", got.status, got.body)
		}
	})
}

// TestG5_IdempotencyKeyOfAnotherCall: a key that was used for another action or other
// arguments is refused, and nothing runs, also after a restart.
func TestG5_IdempotencyKeyOfAnotherCall(t *testing.T) {
	call := func(e *env, action, body, key string) answer {
		return do(t, e.h, "POST", "/api/actors/room/actions/"+action+"?key=a", body, "Idempotency-Key", key)
	}
	run(t, func(t *testing.T, e *env) {
		call(e, "say", `{"args":["x"]}`, "K")
		for range 2 {
			for _, other := range [][2]string{{"say", `{"args":["y"]}`}, {"forget", `{"args":[]}`}, {"echo", `{"args":["x"]}`}} {
				if got := call(e, other[0], other[1], "K"); got.status != 422 || got.Code != wire.CodeIdempotencyMismatch {
					t.Errorf("%s %s: got %d %s, want 422 idempotency_mismatch", other[0], other[1], got.status, got.body)
				}
			}
			for _, same := range []string{`{"args":["x"]}`, ` { "args" : [ "x" ] } `} {
				if got := call(e, "say", same, "K"); got.body != `{"result":1}` {
					t.Errorf("%s: got %d %s, want the first answer", same, got.status, got.body)
				}
			}
			if got := call(e, "count", "", "K2"); got.body != `{"result":1}` {
				t.Errorf("got %s, want one effect", got.body)
			}
			e.restart()
		}
	}, noRates)
}

// TestHTTP_HangUp: a client that hangs up while its call runs is not an error of the
// server.
func TestHTTP_HangUp(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		ctx, hangUp := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, hangUp)
		r := httptest.NewRequest("POST", "/api/actors/room/actions/nap?key=a", strings.NewReader(`{"args":[2000]}`)).WithContext(ctx)
		w := httptest.NewRecorder()
		e.h.ServeHTTP(w, r)
		if w.Code < 500 {
			t.Errorf("got status %d, want that of a failure", w.Code)
		}
		if log := e.logs.String(); strings.Contains(log, "level=ERROR") {
			t.Errorf("log: got %s, want no error", log)
		}
	})
}

// TestHTTP_Shutdown: calls are refused during a shutdown.
func TestHTTP_Shutdown(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		e.g.Quiesce()
		got := do(t, e.h, "POST", "/api/actors/room/actions/say?key=a", `{"args":["x"]}`)
		if got.status != 503 || got.Code != wire.CodeShutdown || got.header.Get("Retry-After") == "" {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
}

// TestSecurityHeaders: a browser does not treat an answer as a page, nor cache it.
func TestSecurityHeaders(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		for _, tc := range []struct{ method, target, body, origin string }{
			{"POST", "/api/actors/room/actions/say?key=a", `{"args":["<script>"]}`, ""},
			{"POST", "/api/actors/room/actions/panic?key=a", `{"args":[]}`, ""},
			{"POST", "/api/actors/room/actions/say?key=a", "<html>", ""},
			{"POST", "/api/actors/room/actions/say?key=a", `{}`, "http://evil.example"},
			{"OPTIONS", "/api/actors/room/actions/say?key=a", "", ""},
			{"GET", "/api/actors/room?key=nobody", "", ""},
			{"GET", "/api/<script>", "", ""},
			{"DELETE", "/api/actors/room", "", ""},
			{"GET", "/api/socket?v=2", "", ""},
			{"GET", "/api/socket?v=1", "", ""},
		} {
			var header []string
			if tc.origin != "" {
				header = []string{"Origin", tc.origin}
			}
			got := do(t, e.h, tc.method, tc.target, tc.body, header...)
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
				"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
			} {
				if is := got.header.Get(name); is != want {
					t.Errorf("%s %s: got %s %q, want %q", tc.method, tc.target, name, is, want)
				}
			}
			if typ := got.header.Get("Content-Type"); len(got.body) > 0 && typ != "application/json" {
				t.Errorf("%s %s: got content type %q for %s", tc.method, tc.target, typ, got.body)
			}
		}
	})
}

// TestOrigins: pages of other origins are refused unless allowed, before anything
// is done for them.
func TestOrigins(t *testing.T) {
	for _, tc := range []struct {
		origin string
		allow  []string
		want   bool
	}{
		{"", nil, true}, // no page
		{"http://example.com", nil, true},
		{"https://EXAMPLE.com", nil, true}, // a proxy speaks TLS for us
		{"http://example.com:8080", nil, false},
		{"http://evil.com", nil, false},
		{"http://example.com.evil.com", nil, false},
		{"null", nil, false},
		{"null", []string{"*"}, true},
		{"http://evil.com", []string{"*"}, true},
		{"http://app.example.org", []string{"*.example.org"}, true},
		{"http://example.org", []string{"*.example.org"}, false},
		{"http://a.b.example.org", []string{"*.example.org"}, true},
		{"http://app.example.org", []string{"https://app.example.org"}, false},
		{"https://app.example.org", []string{"https://app.example.org"}, true},
		{"https://localhost:5173", []string{"localhost:*"}, true},
		{"http://[::1]:5173", []string{"http://[::1]:5173"}, true},
		{"http://[::1]:5173", []string{"[::1]:5173"}, true},
		{"http://[::2]:5173", []string{"http://[::1]:5173"}, false},
		{"%", []string{"?"}, false},
		{"https://app.example.org", []string{"https://app.example.org:443"}, true},
		{"http://app.example.org", []string{"http://APP.example.org:80/"}, true},
		{"http://app.example.org", []string{"http://app.example.org:443"}, false},
		{"https://app.example.org", []string{"app.example.org:443"}, true},
		{"https://app.example.org", []string{"*.example.org:443"}, true},
		{"http://[::1]", []string{"http://[::1]:80"}, true},
		{"http://a.example.org", []string{"[ab].example.org"}, true},
		{"http://[::1]:5173", []string{"http://[::1]:*"}, true},
		{"capacitor://localhost", []string{"capacitor://localhost"}, true},
		{"ionic://localhost", []string{"capacitor://localhost"}, false},
	} {
		run(t, func(t *testing.T, e *env) {
			var header []string
			upgrade := http.Header{}
			if tc.origin != "" {
				header = []string{"Origin", tc.origin}
				upgrade.Set("Origin", tc.origin)
			}
			got := do(t, e.h, "POST", "http://example.com/api/actors/room/actions/say?key=a", `{"args":["x"]}`, header...)
			if (got.status == 200) != tc.want || !tc.want && (got.status != 403 || got.Code != wire.CodeBadOrigin) {
				t.Errorf("%q with %q: got %d %s", tc.origin, tc.allow, got.status, got.body)
			}
			if cross := tc.want && tc.allow != nil; (got.header.Get("Access-Control-Allow-Origin") == tc.origin) != (cross || tc.origin == "" || tc.want) {
				t.Errorf("%q with %q: got Access-Control-Allow-Origin %q", tc.origin, tc.allow, got.header.Get("Access-Control-Allow-Origin"))
			}
			// A page can read why only if the socket opens first.
			c, _, err := tryDialPipe(t, e.h, upgrade, "/api/socket?v=1")
			if err != nil {
				t.Fatalf("%q with %q: got %v for a socket", tc.origin, tc.allow, err)
			}
			e.clients = append(e.clients, c)
			if !tc.want {
				c.wait.Wait()
				if status := websocket.CloseStatus(c.closeErr); status != websocket.StatusPolicyViolation || !strings.Contains(c.closeErr.Error(), "bad_origin") {
					t.Errorf("%q with %q: got %v for a socket", tc.origin, tc.allow, c.closeErr)
				}
				if len(c.got) > 0 {
					t.Errorf("%q with %q: a refused socket got %v", tc.origin, tc.allow, c.got)
				}
				if got.header.Get("Access-Control-Allow-Origin") == "" {
					t.Errorf("%q with %q: the page cannot read the refusal", tc.origin, tc.allow)
				}
				if got := do(t, e.h, "POST", "/api/actors/room/actions/count?key=a", ""); got.body != `{"result":0}` {
					t.Errorf("%q with %q: the refused call had an effect: %s", tc.origin, tc.allow, got.body)
				}
			}
		}, gatewayOptions(gateway.Options{AllowOrigins: tc.allow}))
	}
}

// TestCleanOrigin: a pattern that could never match is refused, with what to write.
func TestCleanOrigin(t *testing.T) {
	for _, tc := range []struct{ pattern, want, why string }{
		{"*", "*", ""},
		{"*.Example.com", "*.example.com", ""},
		{"https://example.com:443", "https://example.com", ""},
		{"http://example.com:443/", "http://example.com:443", ""},
		{" capacitor://localhost ", "capacitor://localhost", ""},
		{"chrome-extension://abcdef", "chrome-extension://abcdef", ""},
		{"http://[::1]:5173", "http://[::1]:5173", ""},
		{"https://", "", "a scheme and a host"},
		{"://example.com", "", "a scheme and a host"},
		{"", "", "a scheme and a host"},
		{"https://example.com/page", "", "with nothing around them"},
		{"https://me@example.com", "", "with nothing around them"},
		{"https://example.com#x", "", "with nothing around them"},
		{"wss://example.com", "", "write https://example.com"},
		{"null", "", "only * allows"},
		{"https://müller.example", "", "xn--"},
		{"https://[::1", "", "not closed"},
	} {
		got, err := gateway.CleanOrigin(tc.pattern)
		if got != tc.want || (err != nil) != (tc.why != "") || err != nil && !strings.Contains(err.Error(), tc.why) {
			t.Errorf("%q: got %q, %v, want %q, %s", tc.pattern, got, err, tc.want, tc.why)
		}
	}
}

// TestOriginBehindAProxy: the page's own origin is the host that the client requested, if
// the proxy that reports it is trusted.
func TestOriginBehindAProxy(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		for peer, want := range map[string]int{"127.0.0.1:1": 200, "192.0.2.1:1": 403} {
			r := httptest.NewRequest("POST", "http://inner/api/actors/room/actions/echo?key=a", strings.NewReader(`{"args":["x"]}`))
			r.RemoteAddr = peer
			r.Header.Set("Origin", "https://example.com")
			r.Header.Set("X-Forwarded-Host", "example.com")
			w := httptest.NewRecorder()
			forwarded.Proxies{netip.MustParsePrefix("127.0.0.1/32")}.Handler(e.h, slog.Default()).ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("from %s: got %d %s, want %d", peer, w.Code, w.Body, want)
			}
		}
	})
}

// TestOrigins_BehindAProxy: Sec-Fetch-Site counts where a proxy changed the host, and
// only if it says same-origin.
func TestOrigins_BehindAProxy(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		for site, want := range map[string]int{"same-origin": 200, "same-site": 403, "cross-site": 403, "none": 403, "": 403} {
			got := do(t, e.h, "POST", "http://127.0.0.1:8080/api/actors/room/actions/say?key=a", `{"args":["x"]}`,
				"Origin", "https://example.com", "Sec-Fetch-Site", site)
			if got.status != want {
				t.Errorf("Sec-Fetch-Site %q: got %d %s, want %d", site, got.status, got.body, want)
			}
		}
	})
}

// TestPreflight: browsers ask before they send JSON to another origin. Those that
// are refused may ask too, to be able to read the refusal (TestOrigins).
func TestPreflight(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		for _, origin := range []string{"https://app.example.org", "https://evil.com"} {
			got := do(t, e.h, "OPTIONS", "http://example.com/api/actors/room/actions/say", "", "Origin", origin,
				"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type,idempotency-key")
			if got.status != 200 || got.header.Get("Access-Control-Allow-Headers") == "" {
				t.Errorf("%s: got %d %v", origin, got.status, got.header)
			}
		}
	}, gatewayOptions(gateway.Options{AllowOrigins: []string{"https://app.example.org"}}))
}

// TestHTTP_SlowBody: a body that does not arrive holds its connection no longer than the
// time limit, whatever the server waits for after its answer.
func TestHTTP_SlowBody(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		p := newHTTPPipe(e.h, overPolls)
		defer p.cut()
		conn, err := p.listen.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := io.WriteString(conn, "POST /api/actors/room/actions/count?key=a HTTP/1.1\r\nHost: example.com\r\nContent-Length: 100\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 400 ") || !strings.Contains(string(got), wire.CodeMalformed) {
			t.Errorf("got %s, %v, want 400 malformed, and no more", got, err)
		}
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("it took %s", took)
		}
	})
}
