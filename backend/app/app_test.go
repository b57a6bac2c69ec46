package app_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
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

// noUI is what a binary embeds whose UI was not built.
var noUI fs.FS = fstest.MapFS{"placeholder.html": {Data: []byte("run make")}}

// buffer is what a server writes, read at the same time.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// running is a server on a free port.
type running struct {
	url    string
	stderr *buffer
	stop   func() error // says that it should end, and waits for it
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
		t.Fatalf("the server said %q, %v; want a line with its address", line, err)
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

// TestRun_belowAPath: everything is below the path, for a proxy that leaves it, and
// without it, for one that takes it away (check 30).
func TestRun_belowAPath(t *testing.T) {
	s := start(t, "-base-path", "/any/app")
	root, ok := strings.CutSuffix(s.url, "/any/app")
	if !ok {
		t.Fatalf("the server says that it is at %s", s.url)
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
		t.Errorf("a path that only begins like it: got %d %s", status, body)
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

// TestSSEFirstByte: the first event of a stream is there within 100 ms: nothing
// between the gateway and the network holds it back (check 20). The machine may be
// busy, so one of several has to be.
func TestSSEFirstByte(t *testing.T) {
	s := start(t)
	took := time.Hour
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		begin := time.Now()
		request, err := http.NewRequestWithContext(ctx, "GET", s.url+"/api/stream?v=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept-Encoding", "gzip, br")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(response.Body).ReadString('\n')
		took = min(took, time.Since(begin))
		if err != nil || !strings.HasPrefix(line, `data:{"t":"hello",`) || response.Header.Get("Content-Encoding") != "" {
			t.Errorf("got %q, %v, %v", line, err, response.Header)
		}
		cancel()
		_ = response.Body.Close()
	}
	if took > 100*time.Millisecond {
		t.Errorf("the first event came after %v", took)
	}
}

func TestRun_withoutABuiltUI(t *testing.T) {
	s := start(t)
	status, body := get(t, s.url+"/")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "run make") {
		t.Errorf("GET /: got %d %s; want 503 and the placeholder", status, body)
	}
	if log := s.stderr.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "level=WARN") {
		t.Errorf("log: got %q, want one line that warns", log)
	}
}

// A shutdown says bye, then closes sockets, and leaves nothing behind.
func TestRun_shutsDown(t *testing.T) {
	s := start(t)
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(s.url, "http", "ws", 1)+"/api/socket?v=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if _, hello, err := conn.Read(t.Context()); err != nil || !strings.Contains(string(hello), "hello") {
		t.Fatalf("got %s, %v; want hello", hello, err)
	}
	begin := time.Now()
	ended := make(chan error, 1)
	go func() { ended <- s.stop() }()
	_, bye, err := conn.Read(t.Context())
	if err != nil || !strings.Contains(string(bye), `"bye"`) {
		t.Errorf("got %s, %v; want bye", bye, err)
	}
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Errorf("got %v, want the socket closed with status 1012", err)
	}
	if err := <-ended; err != nil || time.Since(begin) > 10*time.Second {
		t.Errorf("Run: %v after %v, want none within 10 s", err, time.Since(begin))
	}
	if _, err := net.DialTimeout("tcp", strings.TrimPrefix(s.url, "http://"), time.Second); err == nil {
		t.Error("the port is still open")
	}
}

// ends expects a server to end without an error within 10 s.
func (r *running) ends(t *testing.T) {
	t.Helper()
	begin := time.Now()
	if err := r.stop(); err != nil || time.Since(begin) > 10*time.Second {
		t.Errorf("Run: %v after %v, want none within 10 s", err, time.Since(begin))
	}
}

// A request whose body does not come does not hold up a shutdown, nor fail it.
func TestRun_shutsDownDuringAnUpload(t *testing.T) {
	t.Parallel()
	s := start(t, "-store", "memory")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /api/actors/chatRoom/actions/sendMessage?key=a HTTP/1.1\r\nHost: x\r\n"+
		"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("got %q, %v; want that the server reads the body", line, err)
	}
	s.ends(t)
	if log := s.stderr.String(); !strings.Contains(log, "HTTP requests that did not end were cut off") {
		t.Errorf("log: got %s, want that a request was cut off", log)
	}
}

// A client that says nothing any more, as a laptop that sleeps, is waited for
// briefly.
func TestRun_shutsDownWithASilentSocket(t *testing.T) {
	t.Parallel()
	s := start(t, "-store", "memory")
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(s.url, "http", "ws", 1)+"/api/socket?v=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if _, _, err := conn.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.ends(t) // nobody reads: the close frame is not answered
	if log := s.stderr.String(); strings.Contains(log, "level=WARN msg=\"clients") {
		t.Errorf("log: got %s, want no warning: the client could read all", log)
	}
}

// A client that does not read what there is for it is cut off in the end.
func TestRun_shutsDownWithABlockedReader(t *testing.T) {
	t.Parallel()
	s := start(t, "-store", "memory")
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(s.url, "http", "ws", 1)+"/api/socket?v=1", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil {
				err = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
			}
			return conn, err
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(-1)
	// Each text comes a hundred times.
	const channels = 100
	for i := range channels {
		secret := base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(make([]byte, 8), uint64(i)))
		open := fmt.Sprintf(`{"t":"open","c":%d,"actor":"chatRoom","key":["general"],"k":%q,"caller":%q,"subs":["messageReceived"],"params":{"userId":"u%d"}}`, i+1, secret, secret, i)
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(open)); err != nil {
			t.Fatal(err)
		}
	}
	for last := fmt.Sprintf(`{"c":%d,"t":"opened"`, channels); ; {
		_, b, err := conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(last)) {
			break
		}
	}
	for range 10 {
		send(t, s, strings.Repeat("🐌", 2000))
	}
	s.ends(t)
	if log := s.stderr.String(); !strings.Contains(log, "cut 1 sockets off") {
		t.Errorf("log: got %s, want that a socket was cut off", log)
	}
}

// Whoever is told to end while it waits for another process to let go of the data
// ends, without an error.
func TestRun_endsWhileItWaitsForTheData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, "-data", dir)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	log := &buffer{}
	go func() {
		ended <- app.Run(ctx, []string{"-addr", "127.0.0.1:0", "-data", dir}, nil, noUI, io.Discard, log)
	}()
	for !strings.Contains(log.String(), "waiting for another process") {
		runtime.Gosched()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

func TestRun_aPortInUse(t *testing.T) {
	s := start(t)
	addr := strings.TrimPrefix(s.url, "http://")
	existing := t.TempDir()
	for _, dir := range []string{existing, filepath.Join(existing, "new")} {
		err := app.Run(t.Context(), []string{"-addr", addr, "-data", dir}, nil, noUI, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), addr+" is in use") || strings.Contains(err.Error(), "\n") {
			t.Errorf("got error %v, want one line that the address is in use", err)
		}
	}
	if _, err := os.Stat(filepath.Join(existing, "new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want that no directory is left behind", err)
	}
}

func TestRun_aDataDirectoryThatCannotBeWritten(t *testing.T) {
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

func TestRun_theMemoryStoreKeepsNoFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	start(t, "-data", dir, "-store", "memory")
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want no directory", err)
	}
}

// A page that was built for other actors finds out, in development also what differs.
func TestRun_tellsTheContract(t *testing.T) {
	contract := rooms.Registry.Contract()
	if contract.Fingerprint == "" || len(contract.Parts) == 0 {
		t.Fatalf("got %+v, want what go generate has written", contract)
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

// send says something in a room and returns what was said there.
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

func TestRun_remembersAfterARestart(t *testing.T) {
	dir := t.TempDir()
	s := start(t, "-data", dir)
	send(t, s, "before")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if got := send(t, start(t, "-data", dir), "after"); !strings.Contains(got, "before") || !strings.Contains(got, "after") {
		t.Errorf("got %s, want both messages", got)
	}
}

// While the store cannot be written the server says so, and answers what it can.
func TestRun_aStoreThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	s := start(t, "-data", dir)
	send(t, s, "before")
	db, err := sql.Open("sqlite", filepath.Join(dir, "troupe.db"))
	if err == nil {
		_, err = db.Exec("UPDATE meta SET epoch = epoch + 1") // as another process would that takes over
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(s.url+"/api/actors/chatRoom/actions/sendMessage?key=general", "application/json", strings.NewReader(`{"args":["ada","after"]}`))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil || response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), `"unavailable"`) {
		t.Errorf("an action: got %s %s, %v; want 503 unavailable", response.Status, body, err)
	}
	if status, body := get(t, s.url+"/healthz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "another process has taken over") {
		t.Errorf("GET /healthz: got %d %s, want 503 and why", status, body)
	}
	if status, body := get(t, s.url+"/readyz"); status != http.StatusServiceUnavailable || strings.Contains(body, dir) {
		t.Errorf("GET /readyz: got %d %s, want 503, and nothing about files", status, body)
	}
	if log := s.stderr.String(); !strings.Contains(log, "the store cannot be written") {
		t.Errorf("log: got %s, want that the store cannot be written", log)
	}
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
	for args, want := range map[string]string{"-h": "TROUPE_ADDR", "backup -h": "backup FILE", "-version": "troupe ", "-licenses": "github.com/coder/websocket"} {
		var out bytes.Buffer
		if err := app.Run(t.Context(), strings.Fields(args), nil, noUI, &out, io.Discard); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%s: got %v and %q, want %q", args, err, &out, want)
		}
	}
}
