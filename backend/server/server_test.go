package server_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/server"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// Room is the tests' actor.
type Room struct {
	Messages []string `json:"messages"`
}

// Params are the params of a room's connections.
type Params struct {
	Name string `json:"name,omitempty"`
}

// MessageReceived is a room's event.
type MessageReceived struct {
	Text string `json:"text"`
}

// OnBeforeConnect accepts every connection.
func (*Room) OnBeforeConnect(*actor.ConnectContext, Params) error { return nil }

// SendMessage adds a message.
func (r *Room) SendMessage(c *actor.Context[actor.NoState], sender, text string) {
	r.Messages = append(r.Messages, sender+": "+text)
	c.Broadcast(MessageReceived{Text: text})
}

// GetMessages returns all messages.
func (r Room) GetMessages(*actor.Context[actor.NoState]) []string { return r.Messages }

var registry = actor.NewRegistry(actor.Define[Room]("room", actor.Emits[MessageReceived]()))

func inMemory() server.Options {
	return server.Options{Store: memory.New(memory.Options{Retention: registry.Retention()})}
}

// buffer collects a server's output while it is read.
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

// logTo makes o log everything to a buffer.
func logTo(o *server.Options) *buffer {
	var log buffer
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return &log
}

// running is a server on a free port.
type running struct {
	*server.Server
	url  string
	log  *buffer
	stop func() error // shuts it down, and waits for it
}

// start starts a server with the routes of Run. Without a store it gets a directory.
func start(t *testing.T, o server.Options) *running {
	t.Helper()
	if o.Store == nil && o.Data == "" {
		o.Data = t.TempDir()
	}
	r := &running{log: logTo(&o)}
	var err error
	if r.Server, err = server.New(registry, o); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Serve(ctx, l, nil) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
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

// call calls an action of the room "general" and returns the response's body.
func call(t *testing.T, url, action, args string) string {
	t.Helper()
	response, err := http.Post(url+"/api/actors/room/actions/"+action+"?key=general", "application/json", strings.NewReader(`{"args":`+args+`}`))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil || response.StatusCode != 200 {
		t.Fatalf("%s: got %s %s, %v", action, response.Status, body, err)
	}
	return string(body)
}

// send adds a message to a room and returns all of its messages.
func send(t *testing.T, s *running, text string) string {
	t.Helper()
	call(t, s.url, "sendMessage", `["ada",`+strconv.Quote(text)+`]`)
	return call(t, s.url, "getMessages", "[]")
}

// TestSSEFirstByte: the first event of a stream arrives within 100 ms: nothing between
// the gateway and the network delays it. The machine may be busy, so the fastest of
// several counts.
func TestSSEFirstByte(t *testing.T) {
	s := start(t, server.Options{})
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

// A shutdown sends bye, closes sockets, and releases the port.
func TestServe_shutsDown(t *testing.T) {
	s := start(t, server.Options{})
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
		t.Errorf("Serve: %v after %v, want none within 10 s", err, time.Since(begin))
	}
	if _, err := net.DialTimeout("tcp", strings.TrimPrefix(s.url, "http://"), time.Second); err == nil {
		t.Error("the port is still open")
	}
}

// ends shuts a server down and expects no error within 10 s.
func (r *running) ends(t *testing.T) {
	t.Helper()
	begin := time.Now()
	if err := r.stop(); err != nil || time.Since(begin) > 10*time.Second {
		t.Errorf("Serve: %v after %v, want none within 10 s", err, time.Since(begin))
	}
}

// A request whose body does not arrive neither delays a shutdown nor fails it.
func TestServe_shutsDownDuringAnUpload(t *testing.T) {
	t.Parallel()
	s := start(t, inMemory())
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /api/actors/room/actions/sendMessage?key=a HTTP/1.1\r\nHost: localhost\r\n"+
		"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("got %q, %v; want the server to read the body", line, err)
	}
	s.ends(t)
	if log := s.log.String(); !strings.Contains(log, "HTTP requests that did not end were cut off") {
		t.Errorf("log: got %s, want a line about the request that was cut off", log)
	}
}

// A shutdown waits only briefly for a silent client, such as a sleeping laptop.
func TestServe_shutsDownWithASilentSocket(t *testing.T) {
	t.Parallel()
	s := start(t, inMemory())
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(s.url, "http", "ws", 1)+"/api/socket?v=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if _, _, err := conn.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.ends(t) // nobody reads: the close frame is not answered
	if log := s.log.String(); strings.Contains(log, "level=WARN msg=\"clients") {
		t.Errorf("log: got %s, want no warning: the client has everything", log)
	}
}

// A shutdown cuts off a client that does not read.
func TestServe_shutsDownWithABlockedReader(t *testing.T) {
	t.Parallel()
	s := start(t, inMemory())
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
	// Each text is sent a hundred times.
	const channels = 100
	for i := range channels {
		secret := base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(make([]byte, 8), uint64(i)))
		open := fmt.Sprintf(`{"t":"open","c":%d,"actor":"room","key":["general"],"k":%q,"caller":%q,"subs":["messageReceived"],"params":{"userId":"u%d"}}`, i+1, secret, secret, i)
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
	if log := s.log.String(); !strings.Contains(log, "cut 1 sockets off") {
		t.Errorf("log: got %s, want a line about the socket that was cut off", log)
	}
}

func TestServe_restart(t *testing.T) {
	dir := t.TempDir()
	s := start(t, server.Options{Data: dir})
	send(t, s, "before")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if got := send(t, start(t, server.Options{Data: dir}), "after"); !strings.Contains(got, "before") || !strings.Contains(got, "after") {
		t.Errorf("got %s, want both messages", got)
	}
}

// While the store cannot be written, the server reports it and keeps answering.
func TestServe_unwritableStore(t *testing.T) {
	dir := t.TempDir()
	s := start(t, server.Options{Data: dir})
	send(t, s, "before")
	db, err := sql.Open("sqlite", filepath.Join(dir, "troupe.db"))
	if err == nil {
		_, err = db.Exec("UPDATE meta SET epoch = epoch + 1") // as another process would that takes over
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(s.url+"/api/actors/room/actions/sendMessage?key=general", "application/json", strings.NewReader(`{"args":["ada","after"]}`))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil || response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), `"unavailable"`) {
		t.Errorf("an action: got %s %s, %v; want 503 unavailable", response.Status, body, err)
	}
	if status, body := get(t, s.url+"/healthz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "another process has taken over") {
		t.Errorf("GET /healthz: got %d %s, want 503 and the reason", status, body)
	}
	if status, body := get(t, s.url+"/readyz"); status != http.StatusServiceUnavailable || strings.Contains(body, dir) {
		t.Errorf("GET /readyz: got %d %s, want 503 without paths", status, body)
	}
	if log := s.log.String(); !strings.Contains(log, "the store cannot be written") {
		t.Errorf("log: got %s, want a line about the store", log)
	}
}
