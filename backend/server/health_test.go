package server_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/troupe-dev/troupe/backend/server"
)

// debugged is o with a debug address.
func debugged(o server.Options) server.Options {
	o.DebugAddr = "127.0.0.1:0"
	return o
}

// debugURL returns the debug address of a server, from its log.
func (r *running) debugURL(t *testing.T) string {
	t.Helper()
	found := regexp.MustCompile(`debug/pprof" address=(http://\S+)`).FindStringSubmatch(r.log.String())
	if found == nil {
		t.Fatalf("the log lacks the debug address: %s", r.log)
	}
	return found[1]
}

// dial opens a socket, and reads its hello.
func (r *running) dial(t *testing.T) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(r.url, "http", "ws", 1)+"/api/socket?v=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	if _, hello, err := conn.Read(t.Context()); err != nil || !strings.Contains(string(hello), "hello") {
		t.Fatalf("got %s, %v; want hello", hello, err)
	}
	return conn
}

// until reads a socket until a message has a text.
func until(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	for {
		_, got, err := conn.Read(t.Context())
		if err != nil {
			t.Fatalf("waiting for %s: %v", text, err)
		}
		if strings.Contains(string(got), text) {
			return
		}
	}
}

func write(t *testing.T, conn *websocket.Conn, message string) {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
		t.Fatal(err)
	}
}

const (
	secret = "c2VjcmV0c2VjcmV0c2VjcQ"
	caller = "Y2FsbGVyY2FsbGVyY2FsbA"
)

// The metrics count sockets, calls, turns and commits.
func TestMetrics(t *testing.T) {
	s := start(t, debugged(server.Options{}))
	conn := s.dial(t)
	write(t, conn, `{"t":"open","c":1,"actor":"room","key":["metrics"],"k":"`+secret+`","caller":"`+caller+`","params":{"name":"Ada"},"subs":["messageReceived"]}`)
	until(t, conn, `"at"`)
	write(t, conn, `{"t":"call","c":1,"id":1,"a":"sendMessage","args":["Ada","hello"]}`)
	until(t, conn, `"reply"`)
	write(t, conn, `{"t":"call","c":1,"id":2,"a":"noSuchAction","args":[]}`)
	until(t, conn, `"unknown_action"`)
	send(t, s, "over HTTP")
	poll, err := http.Post(s.url+"/api/poll", "application/json", strings.NewReader(`{"waitMs":0}`))
	if err != nil || poll.StatusCode != http.StatusOK || poll.Body.Close() != nil {
		t.Fatalf("POST /api/poll: got %v, %v", poll, err)
	}

	_, got := get(t, s.debugURL(t)+"/metrics")
	for _, want := range []string{
		"troupe_ready 1", `troupe_sockets{transport="websocket"} 1`, `troupe_sockets{transport="stream"} 0`, `troupe_sockets{transport="poll"} 1`, "troupe_connections 1", "troupe_actors_awake 2", "troupe_sockets_total 2",
		`troupe_calls_total{over="socket"} 2`, `troupe_calls_total{over="http"} 2`,
		`troupe_errors_total{code="unknown_action"} 1`,
		`troupe_turns_total{result="refused"} 1`, `troupe_turns_total{result="failed"} 0`,
		`troupe_frames_total{direction="in"} 3`, `troupe_commits_total{result="failed"} 0`,
		"troupe_resumes_total 0", "troupe_volatile_dropped_total 0", "troupe_slow_sockets_total 0", "troupe_resets_total 0", "troupe_parked_messages 0",
		`troupe_turn_seconds_bucket{action="sendMessage",actor="room",le="+Inf"} 2`, `troupe_turn_seconds_count{action="other",actor="room"} 1`, "go_goroutines", "process_open_fds",
	} {
		if !strings.Contains(got, "\n"+want) {
			t.Errorf("the metrics lack %q", want)
		}
	}
	for _, positive := range []string{
		`troupe_frame_bytes_total{direction="in"}`, `troupe_frame_bytes_total{direction="out"}`, `troupe_frames_total{direction="out"}`,
		"troupe_journal_bytes", `troupe_turns_total{result="ok"}`, `troupe_commits_total{result="ok"}`, "troupe_entries_total",
		`troupe_turn_seconds_sum{action="sendMessage",actor="room"}`, "troupe_commit_seconds_sum", "troupe_commit_seconds_count",
	} {
		if !regexp.MustCompile(`\n` + regexp.QuoteMeta(positive) + ` [0-9.e+-]*[1-9]`).MatchString(got) {
			t.Errorf("%s is not positive", positive)
		}
	}
	if strings.Contains(got, "noSuchAction") {
		t.Error("the metrics have a label that a client has made up")
	}
	if t.Failed() {
		t.Log(regexp.MustCompile(`(?m)^troupe_.*$`).FindAllString(got, -1))
	}
	problems, err := promlint.New(strings.NewReader(got)).Lint()
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "troupe_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// A resumed connection is counted, with or without a gap.
func TestMetrics_resumes(t *testing.T) {
	s := start(t, debugged(inMemory()))
	open := `{"t":"open","c":1,"actor":"room","key":["resumes"],"k":"` + secret + `","caller":"` + caller + `","params":{"name":"Ada"}`
	first := s.dial(t)
	write(t, first, open+`}`)
	_, opened, err := first.Read(t.Context())
	log := regexp.MustCompile(`"log":"([^"]+)"`).FindStringSubmatch(string(opened))
	if err != nil || log == nil {
		t.Fatalf("got %s, %v; want opened with a log", opened, err)
	}
	for position, want := range map[string]string{`"log":"` + log[1] + `","s":0`: "troupe_resumes_total 1", `"log":"another","s":3`: `troupe_gaps_total{reason="restart"} 1`} {
		again := s.dial(t)
		write(t, again, open+`,`+position+`}`)
		until(t, again, `"opened"`)
		if _, got := get(t, s.debugURL(t)+"/metrics"); !strings.Contains(got, "\n"+want+"\n") {
			t.Errorf("after a resume with %s the metrics lack %q: %s", position, want, regexp.MustCompile(`(?m)^troupe_(resumes|gaps).*$`).FindAllString(got, -1))
		}
	}
}

// Metrics and profiles are not served at the main address.
func TestDebugAddr(t *testing.T) {
	s := start(t, debugged(inMemory()))
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine"} {
		if status, _ := get(t, s.url+path); status != http.StatusNotFound {
			t.Errorf("%s at the main address: got %d, want 404", path, status)
		}
		if status, body := get(t, s.debugURL(t)+path); status != http.StatusOK || body == "" {
			t.Errorf("%s at the debug address: got %d, want 200", path, status)
		}
	}
	public := inMemory()
	public.Metrics = true
	if status, body := get(t, start(t, public).url+"/metrics"); status != http.StatusOK || !strings.Contains(body, "troupe_ready 1") {
		t.Errorf("with Metrics: got %d, want 200 and metrics", status)
	}
}

// During the drain the server is not ready, and still serves everything.
func TestReady(t *testing.T) {
	t.Parallel()
	draining := debugged(inMemory())
	draining.Drain = 3 * time.Second
	s := start(t, draining)
	if status, body := get(t, s.url+"/readyz"); status != http.StatusOK || !strings.Contains(body, `"status":"ok"`) {
		t.Fatalf("GET /readyz: got %d %s, want 200", status, body)
	}
	conn := s.dial(t)
	debug := s.debugURL(t)
	ended := make(chan error, 1)
	go func() { ended <- s.stop() }()
	for began := time.Now(); ; {
		status, body := get(t, s.url+"/readyz")
		if status == http.StatusServiceUnavailable && strings.Contains(body, "shutting down") {
			break
		}
		if time.Since(began) > 2*time.Second {
			t.Fatalf("GET /readyz: got %d %s, want 503", status, body)
		}
	}
	if status, _ := get(t, s.url+"/healthz"); status != http.StatusOK {
		t.Errorf("GET /healthz: got %d, want 200: nothing is broken", status)
	}
	if _, metrics := get(t, debug+"/metrics"); !strings.Contains(metrics, "\ntroupe_ready 0\n") {
		t.Error("the metrics do not say that the server is not ready")
	}
	send(t, s, "still there")
	until(t, conn, `"bye"`)
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// metricsOf returns the metrics of a server that does not listen.
func metricsOf(t *testing.T, s *server.Server) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}
