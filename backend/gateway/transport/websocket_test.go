package transport

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/gateway/limit"
)

// countingConn counts calls of Write.
type countingConn struct {
	net.Conn
	writes atomic.Int32
}

func (c *countingConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// config is for a WebSocket whose events are ignored.
func config(timeout time.Duration, wg *sync.WaitGroup) Config {
	return Config{
		Timeout: timeout, Buffers: &limit.Buffers{}, MaxFrame: noLimit, Spawn: wg.Go,
		Wrote: func(bool) {}, Broke: func(bool) {}, Charge: func() error { return nil },
	}
}

// TestWebSocket_OneWrite: a frame leaves with one system call, header and all, whether
// it is ours or a control frame that the library writes in pieces. What is large
// and not taken at once leaves in slices.
func TestWebSocket_OneWrite(t *testing.T) {
	client, server := net.Pipe()
	conn := &countingConn{Conn: server}
	var wg sync.WaitGroup
	l := newWebSocket(conn, nil, config(time.Second, &wg))
	flushed := make(chan struct{}, 10)
	l.config.Wrote = func(bool) { flushed <- struct{}{} }
	l.config.Broke = func(bool) { t.Error("broken") }
	for _, size := range []int{1, 125, 126, 127, 4096, 65535, 65536, 100_000} {
		f := NewFrame()
		f.Put(append(f.Begin(), strings.Repeat("x", size)...))
		before := conn.writes.Load()
		if l.Send(f) {
			t.Fatal("sent on a pipe that nobody reads")
		}
		head, payload := readFrame(t, client)
		<-flushed
		want := int32(1 + (size+maxHeader)/writeSlice)
		if got := conn.writes.Load() - before; head != 0x81 || len(payload) != size || got != want {
			t.Errorf("got frame %x of %d bytes in %d writes, want 81 of %d in %d", head, len(payload), got, size, want)
		}
	}
	// As the library writes a pong: the header, then the payload.
	before := conn.writes.Load()
	for _, piece := range [][]byte{{0x8a}, {5}, []byte("he"), []byte("llo")} {
		if _, err := l.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	head, payload := readFrame(t, client)
	if head != 0x8a || string(payload) != "hello" || conn.writes.Load() != before+1 {
		t.Errorf("got frame %x %q in %d writes", head, payload, conn.writes.Load()-before)
	}
	wg.Wait()
	_ = l.Close()
}

// TestWebSocket_Array: one message goes as it is, several as an array.
func TestWebSocket_Array(t *testing.T) {
	for n, want := range map[int]string{1: `{}`, 2: `[{},{}]`, 3: `[{},{},{}]`, 60: "[{}" + strings.Repeat(",{}", 59) + "]"} {
		f := NewFrame()
		for range n {
			f.Put(append(f.Begin(), `{}`...))
		}
		_, payload := readFrame(t, bytes.NewReader(f.bytes()))
		if string(payload) != want {
			t.Errorf("got %s, want %s", payload, want)
		}
	}
}

func readFrame(t *testing.T, r io.Reader) (head byte, payload []byte) {
	t.Helper()
	b := make([]byte, 2, 10)
	if _, err := io.ReadFull(r, b); err != nil {
		t.Fatal(err)
	}
	size := uint64(b[1])
	switch size {
	case 126:
		_, _ = io.ReadFull(r, b[2:4])
		size = uint64(binary.BigEndian.Uint16(b[2:4]))
	case 127:
		_, _ = io.ReadFull(r, b[2:10])
		size = binary.BigEndian.Uint64(b[2:10])
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		t.Fatal(err)
	}
	return b[0], payload
}

// TestWebSocket_Bounded: a client that pings and never reads gets pongs up to a bound,
// and no more memory (G8). After the close frame nothing follows.
func TestWebSocket_Bounded(t *testing.T) {
	client, server := net.Pipe()
	var wg sync.WaitGroup
	l := newWebSocket(server, nil, config(time.Minute, &wg))
	f := NewFrame()
	f.Put(append(f.Begin(), bytes.Repeat([]byte("x"), 1000)...))
	l.Send(f)
	pong := append([]byte{0x8a, 125}, bytes.Repeat([]byte("p"), 125)...)
	for range 10_000 {
		if _, err := l.Write(pong); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Write([]byte{0x88, 2, 3, 0xe8}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write(pong); err == nil {
		t.Error("got no error for a pong after the close frame")
	}
	if f := NewFrame(); !l.Send(f) {
		t.Error("a frame after the close frame was kept")
	}
	var heads []byte
	for {
		head, _ := readFrame(t, client)
		heads = append(heads, head)
		if head == 0x88 {
			break
		}
	}
	if n := len(heads); n < 3 || n > 2+maxQueuedPongs/len(pong)+1 || heads[0] != 0x81 {
		t.Errorf("got frames %x, want the data, %d pongs and the close", heads, maxQueuedPongs/len(pong))
	}
	_ = l.Close()
	wg.Wait()
}

// TestWebSocket_EarlyData: bytes that the HTTP server has read before the connection
// was taken from it come first.
func TestWebSocket_EarlyData(t *testing.T) {
	// A client that sends its upgrade and its first frames in one write.
	var wg sync.WaitGroup
	got := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l, err := Accept(w, r, config(time.Second, &wg), func(status int) { t.Errorf("refused with %d", status) })
		if err != nil {
			t.Error(err)
			return
		}
		ws := l.ws
		if len(l.early) == 0 {
			t.Error("there are no early bytes: the test tests nothing")
		}
		for range 3 {
			_, b, err := ws.Read(t.Context())
			if err != nil {
				t.Error(err)
				break
			}
			got <- string(b)
		}
		_ = ws.CloseNow()
	}))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
	want := []string{"early", strings.Repeat("e", 300), "late"}
	if _, err := io.WriteString(conn, request+masked(want[0])+masked(want[1])[:100]); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, masked(want[1])[100:]+masked(want[2])); err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		if g := <-got; g != w {
			t.Errorf("got %.20q, want %.20q", g, w)
		}
	}
	wg.Wait()
}

// masked is a text frame as a client sends it, masked with zeros.
func masked(s string) string {
	b := []byte{0x81}
	if len(s) < 126 {
		b = append(b, 0x80|byte(len(s)))
	} else {
		b = append(b, 0x80|126, byte(len(s)>>8), byte(len(s)))
	}
	return string(append(b, 0, 0, 0, 0)) + s
}

// TestWebSocket_NonBlocking: over TCP, sending to a client that does not read never
// waits, and what was kept arrives whole when it reads.
func TestWebSocket_NonBlocking(t *testing.T) {
	if !canTryWrite {
		t.Skip("this system has no non-blocking write")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	l := newWebSocket(server, nil, config(time.Minute, &wg))
	flushed := make(chan struct{}, 1)
	l.config.Wrote = func(bool) { flushed <- struct{}{} }
	l.config.Broke = func(bool) { t.Error("broken") }

	text := make([]byte, 64<<10)
	_, _ = rand.Read(text)
	for i := range text {
		text[i] = 'a' + text[i]%26
	}
	sent := 0
	for start := time.Now(); ; sent++ {
		f := NewFrame()
		f.Put(append(fmt.Appendf(f.Begin(), "%d ", sent), text...))
		if !l.Send(f) {
			break
		}
		if time.Since(start) > time.Minute {
			t.Fatal("a minute of sending, and nothing is full")
		}
	}
	for i := range sent + 1 {
		head, payload := readFrame(t, client)
		if n, rest, _ := bytes.Cut(payload, []byte(" ")); head != 0x81 || string(n) != fmt.Sprint(i) || !bytes.Equal(rest, text) {
			t.Fatalf("frame %d is broken", i)
		}
	}
	<-flushed
	f := NewFrame()
	f.Put(append(f.Begin(), "after"...))
	if !l.Send(f) {
		t.Error("a frame after the flush was kept: the deadline was not cleared")
	}
	if _, payload := readFrame(t, client); string(payload) != "after" {
		t.Errorf("got %q", payload)
	}
	wg.Wait()
	_ = l.Close()
}
