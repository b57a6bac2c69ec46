package app_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// raw sends a request line as it is, which no HTTP client would.
func raw(t *testing.T, s *running, target string) *http.Response {
	t.Helper()
	addr := strings.TrimPrefix(s.url, "http://")
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", target, addr)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("GET %s: %v", target, err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// TestStrangers_paths: no path leads out of what is served, and no redirect to another site.
func TestStrangers_paths(t *testing.T) {
	s := start(t, "-store", "memory")
	for _, path := range []string{
		"/lib/../../go.mod", "/lib/%2e%2e/%2e%2e/go.mod", "/lib/..%2f..%2fgo.mod", "/docs/..%2f..%2fgo.mod", "/docs/%2e%2e/%2e%2e/go.mod",
		"/lib/..\\..\\go.mod", "/lib//etc/passwd", "//evil.example", "//evil.example/%2e%2e", "/%2f%2fevil.example", "/\\evil.example", "/docs//evil.example/",
		"http://evil.example/docs/",
	} {
		resp := raw(t, s, path)
		if to, err := url.Parse(resp.Header.Get("Location")); err != nil || to.Host != "" || strings.HasPrefix(to.Path, "//") || strings.HasPrefix(to.Path, "/\\") {
			t.Errorf("GET %s: redirects to %q", path, resp.Header.Get("Location"))
		}
		b := make([]byte, 1<<10)
		n, _ := resp.Body.Read(b)
		if body := string(b[:n]); strings.Contains(body, "module github.com") || strings.Contains(body, "root:") {
			t.Errorf("GET %s: got %s", path, body)
		}
	}
}

// TestStrangers_actions: hooks and methods of Go are no actions, however they are written.
func TestStrangers_actions(t *testing.T) {
	s := start(t, "-store", "memory")
	for _, action := range []string{
		"onConnect", "OnConnect", "onCreate", "onStart", "onAccess", "OnAccess", "onAuth", "onDisconnect", "createConnState", "CreateConnState",
		"canSubscribe", "SendMessage", "sendmessage", "sendMessage%00", "sendMessage%20", "messages", "toString", "constructor", "__proto__",
	} {
		resp, body := request(t, "POST", s.url+"/api/actors/chatRoom/actions/"+action+"?key=general", `{"args":["eve","x"]}`)
		if resp.StatusCode != http.StatusNotFound || !strings.Contains(body, `"unknown_action"`) {
			t.Errorf("action %s: got %s %s, want 404 unknown_action", action, resp.Status, body)
		}
	}
}

// TestStrangers_names: names, keys and texts that mean something in SQL, in the log, in
// metrics or in an event stream mean nothing there.
func TestStrangers_names(t *testing.T) {
	s := start(t, "-metrics", "-log", "debug")
	hostile := []string{
		`'); DROP TABLE actors; --`, "a\nlevel=ERROR msg=\"forged\"", "\x1b[31mred", `"} 1` + "\nforged_total 1\n", "a\r\n\r\ndata: forged\n\n", "\u2028\u2029", "%s%n",
	}
	for _, name := range hostile {
		key := url.QueryEscape(name)
		resp, body := request(t, "POST", s.url+"/api/actors/chatRoom/actions/sendMessage?key="+key, `{"args":["eve","hello"]}`)
		if resp.StatusCode != http.StatusOK {
			t.Errorf("key %q: got %s %s", name, resp.Status, body)
		}
		if _, body := request(t, "POST", s.url+"/api/actors/chatRoom/actions/getMessages?key="+key, `{}`); !strings.Contains(body, "hello") {
			t.Errorf("key %q: got %s, want its own message", name, body)
		}
		for _, path := range []string{"/api/actors/" + url.PathEscape(name) + "/actions/a?key=b", "/api/actors/chatRoom/actions/" + url.PathEscape(name) + "?key=b"} {
			if resp, body := request(t, "POST", s.url+path, `{}`); resp.StatusCode != http.StatusNotFound {
				t.Errorf("POST %q: got %s %s, want 404", path, resp.Status, body)
			}
		}
	}
	_, metrics := request(t, "GET", s.url+"/metrics", "")
	line := regexp.MustCompile(`^(# (HELP|TYPE) (troupe|go|process)_.*|(troupe|go|process)_[a-z_]+(\{[a-z]+="[-+\w.]*"(,[a-z]+="[-+\w.]*")*\})? [-+0-9.einfIN]+|)$`)
	for text := range strings.SplitSeq(metrics, "\n") {
		if !line.MatchString(text) {
			t.Errorf("the metrics have the line %q", text)
		}
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	for text := range strings.Lines(s.stderr.String()) {
		if !strings.HasPrefix(text, "time=") && !strings.HasPrefix(text, "Troupe is at ") || strings.Contains(text, "\x1b") || strings.HasPrefix(text, "level=ERROR") {
			t.Errorf("the log has the line %q", text)
		}
	}
}
