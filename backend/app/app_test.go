package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/app"
	"github.com/troupe-dev/troupe/backend/rooms"
	"github.com/troupe-dev/troupe/backend/wire"
)

// noUI is the UI of a binary that was built without it.
var noUI fs.FS = fstest.MapFS{"placeholder.html": {Data: []byte("run make")}}

// buffer collects a server's output while it is read.
type buffer struct {
	mu      sync.Mutex
	b       bytes.Buffer
	written chan struct{} // closed by the next Write; nil while nobody waits
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.written != nil {
		close(b.written)
		b.written = nil
	}
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// await waits until a text was written so many times. The test fails if that takes more
// than a minute, or if the writing process has ended.
func (b *buffer) await(t *testing.T, text string, times int, ended <-chan struct{}) {
	t.Helper()
	late := time.After(time.Minute)
	for over := ""; ; {
		b.mu.Lock()
		if b.written == nil {
			b.written = make(chan struct{})
		}
		written, found := b.written, bytes.Count(b.b.Bytes(), []byte(text))
		b.mu.Unlock()
		if found >= times {
			return
		}
		if over != "" {
			t.Fatalf("%s: got %q %d times, want %d:\n%s", over, text, found, times, b)
		}
		select {
		case <-written:
		case <-ended:
			over = "it has ended"
		case <-late:
			over = "a minute is over"
		}
	}
}

// running is a server on a free port.
type running struct {
	url    string
	stderr *buffer
	stop   func() error // shuts it down, and waits for it
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stdout, w := io.Pipe()
	data := t.TempDir()
	r := &running{stderr: &buffer{}}
	ended := make(chan error, 1)
	go func() {
		err := app.Run(ctx, append([]string{"-addr", "127.0.0.1:0", "-data", data}, args...), nil, noUI, w, r.stderr)
		w.CloseWithError(io.EOF)
		ended <- err
	}()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	r.url = regexp.MustCompile(`http://\S+`).FindString(line)
	if err != nil || r.url == "" {
		t.Fatalf("the server printed %q, %v; want a line with its address", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	return r
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestRun_serves(t *testing.T) {
	s := start(t)
	status, body := get(t, s.url+"/healthz")
	var health struct{ Status string }
	if err := json.Unmarshal([]byte(body), &health); err != nil || status != 200 || health.Status != "ok" {
		t.Errorf("GET /healthz: got %d %s", status, body)
	}

	response, err := http.Post(s.url+"/api/actors/chatRoom/actions/sendMessage?key=general", "application/json",
		strings.NewReader(`{"args":["ada","hello"]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 200 {
		t.Errorf("POST of an action: got %s", response.Status)
	}
}

// TestRun_basePath: everything is served below the path, for a proxy that keeps it, and
// without it, for one that strips it.
func TestRun_basePath(t *testing.T) {
	s := start(t, "-base-path", "/any/app")
	root, ok := strings.CutSuffix(s.url, "/any/app")
	if !ok {
		t.Fatalf("the server printed the address %s", s.url)
	}
	for _, base := range []string{root, s.url} {
		for path, want := range map[string]int{
			"/healthz": 200, "/readyz": 200, "/api/actors/chatRoom?key=nobody": 404, "/api/nope": 404, "/lib/nope.js": 404, "/assets/nope.js": 404,
		} {
			if status, body := get(t, base+path); status != want {
				t.Errorf("GET %s: got %d %s, want %d", base+path, status, body, want)
			}
		}
		ws, _, err := websocket.Dial(t.Context(), strings.Replace(base, "http", "ws", 1)+"/api/socket?v=1", nil)
		if err != nil {
			t.Fatalf("%s: %v", base, err)
		}
		_ = ws.CloseNow()
	}
	if status, body := get(t, s.url+"lication/healthz"); status != 404 {
		t.Errorf("a path that only has it as a prefix: got %d %s", status, body)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Get(s.url + "?from=mail")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if got := response.Header.Get("Location"); response.StatusCode != 308 || got != "/any/app/?from=mail" {
		t.Errorf("without a slash: got %s to %q", response.Status, got)
	}
}

func TestRun_withoutABuiltUI(t *testing.T) {
	s := start(t)
	status, body := get(t, s.url+"/")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "run make") {
		t.Errorf("GET /: got %d %s; want 503 and the placeholder", status, body)
	}
	if log := s.stderr.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "level=WARN") {
		t.Errorf("log: got %q, want one warning", log)
	}
}

// Every address takes HEAD if it takes GET, and says which methods it takes.
func TestRun_methods(t *testing.T) {
	s := start(t, "-store", "memory", "-metrics", "-debug-addr", "127.0.0.1:0")
	debug := regexp.MustCompile(`debug/pprof" address=(http://\S+)`).FindStringSubmatch(s.stderr.String())
	if debug == nil {
		t.Fatalf("the log lacks the debug address: %s", s.stderr)
	}
	for _, url := range []string{
		s.url + "/healthz", s.url + "/readyz", s.url + "/metrics", s.url + "/", s.url + "/licenses.txt",
		debug[1] + "/healthz", debug[1] + "/readyz", debug[1] + "/metrics", debug[1] + "/debug/pprof/symbol",
	} {
		get, body := request(t, "GET", url, "", "Accept", "text/html")
		head, none := request(t, "HEAD", url, "", "Accept", "text/html")
		if get.StatusCode != head.StatusCode || body == "" || none != "" || get.Header.Get("Content-Type") != head.Header.Get("Content-Type") {
			t.Errorf("%s: got GET %s with %d bytes, HEAD %s with %d bytes", url, get.Status, len(body), head.Status, len(none))
		}
		if strings.Contains(url, "/debug/") {
			continue // net/http/pprof takes POST, too
		}
		for _, method := range []string{"POST", "DELETE"} {
			if answer, _ := request(t, method, url, ""); answer.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(strings.Join(answer.Header.Values("Allow"), ", "), "GET") {
				t.Errorf("%s %s: got %s, Allow %q, want 405 and GET, HEAD", method, url, answer.Status, answer.Header.Get("Allow"))
			}
		}
	}
	for _, method := range []string{"GET", "HEAD", "DELETE"} {
		if answer, _ := request(t, method, s.url+"/api/session", ""); answer.StatusCode != http.StatusMethodNotAllowed || answer.Header.Get("Allow") != "POST" {
			t.Errorf("%s /api/session: got %s, Allow %q, want 405 and POST", method, answer.Status, answer.Header.Get("Allow"))
		}
	}
}

// A setting given by its old name works, and the log warns once.
func TestRun_oldNames(t *testing.T) {
	s := start(t, "-store", "memory", "-address-calls", "10")
	if log := s.stderr.String(); strings.Count(log, "-address-calls") != 1 || !strings.Contains(log, "-call-rate-per-ip") {
		t.Errorf("log: got %q, want one line with both names", log)
	}
}

// A server that is stopped while it waits for another process's data ends without an
// error.
func TestRun_stoppedWhileWaitingForData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, "-data", dir)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	log := &buffer{}
	var err error
	go func() {
		defer close(ended)
		err = app.Run(ctx, []string{"-addr", "127.0.0.1:0", "-data", dir}, nil, noUI, io.Discard, log)
	}()
	log.await(t, "waiting for another process", 1, ended)
	cancel()
	if <-ended; err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

func TestRun_portInUse(t *testing.T) {
	s := start(t)
	addr := strings.TrimPrefix(s.url, "http://")
	existing := t.TempDir()
	for _, dir := range []string{existing, filepath.Join(existing, "new")} {
		err := app.Run(t.Context(), []string{"-addr", addr, "-data", dir}, nil, noUI, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), addr+" is in use") || strings.Contains(err.Error(), "\n") {
			t.Errorf("got error %v, want one line about the address in use", err)
		}
	}
	if _, err := os.Stat(filepath.Join(existing, "new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want no directory left behind", err)
	}
}

func TestRun_unwritableDataDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := app.Run(t.Context(), []string{"-addr", "127.0.0.1:0", "-data", filepath.Join(file, "data")}, nil, noUI, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "data directory") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got error %v, want one line about the data directory", err)
	}
}

func TestRun_makesTheDataDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	start(t, "-data", dir)
	if _, err := os.Stat(filepath.Join(dir, "troupe.db")); err != nil {
		t.Error(err)
	}
}

func TestRun_memoryStoreKeepsNoFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	start(t, "-data", dir, "-store", "memory")
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want no directory", err)
	}
}

// A page that was built for another contract finds out; with -check also what differs.
func TestRun_contract(t *testing.T) {
	contract := rooms.Registry.Contract()
	if contract.Fingerprint == "" || len(contract.Parts) == 0 {
		t.Fatalf("got %+v, want the generated contract", contract)
	}
	for _, args := range [][]string{nil, {"-check"}} {
		s := start(t, args...)
		socket, _, err := websocket.Dial(t.Context(), s.url+"/api/socket?v=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer socket.CloseNow()
		_, frame, err := socket.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var hello wire.ServerMessage
		if err := json.Unmarshal(frame, &hello); err != nil || hello.Contract != contract.Fingerprint {
			t.Errorf("%v: got %s, want the contract %s", args, frame, contract.Fingerprint)
		}
		if want := args != nil; slices.Equal(hello.Parts, contract.Parts) != want || len(hello.Parts) > 0 != want {
			t.Errorf("%v: got the parts %v, want them with -check only", args, hello.Parts)
		}
	}
}

// send adds a message to a room and returns all of its messages.
func send(t *testing.T, s *running, text string) string {
	t.Helper()
	for _, call := range []struct{ action, args string }{{"sendMessage", `["ada",` + strconv.Quote(text) + `]`}, {"getMessages", `[]`}} {
		response, err := http.Post(s.url+"/api/actors/chatRoom/actions/"+call.action+"?key=general", "application/json", strings.NewReader(`{"args":`+call.args+`}`))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil || response.StatusCode != 200 {
			t.Fatalf("%s: got %s %s, %v", call.action, response.Status, body, err)
		}
		if call.action == "getMessages" {
			return string(body)
		}
	}
	return ""
}

func TestRun_backup(t *testing.T) {
	dir, copied := t.TempDir(), t.TempDir()
	s := start(t, "-data", dir)
	send(t, s, "before")
	file := filepath.Join(copied, "troupe.db")
	backup := func() (string, error) {
		var out bytes.Buffer
		err := app.Run(t.Context(), []string{"-data", dir, "backup", file}, nil, noUI, &out, io.Discard)
		return out.String(), err
	}
	if out, err := backup(); err != nil || !strings.Contains(out, file) {
		t.Fatalf("got %q, %v", out, err)
	}
	if _, err := backup(); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("to a file that exists: got %v, want an error", err)
	}
	if got := send(t, start(t, "-data", copied), "after"); !strings.Contains(got, "before") {
		t.Errorf("restored: got %s, want the message from before", got)
	}
	err := app.Run(t.Context(), []string{"-store", "memory", "backup", file + "2"}, nil, noUI, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "memory store") {
		t.Errorf("of the memory store: got %v, want an error", err)
	}
}

func TestRun_helpAndVersion(t *testing.T) {
	for args, want := range map[string]string{"-h": "TROUPE_ADDR", "backup -h": "backup FILE", "restore -h": "restore FILE", "-version": "troupe ", "-licenses": "github.com/coder/websocket"} {
		var out bytes.Buffer
		if err := app.Run(t.Context(), strings.Fields(args), nil, noUI, &out, io.Discard); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%s: got %v and %q, want %q", args, err, &out, want)
		}
	}
}
