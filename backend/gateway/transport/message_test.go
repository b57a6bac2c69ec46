package transport

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// clientFrame is a masked frame as a client sends it.
func clientFrame(first byte, payload string) string {
	b := []byte{first, 0x80}
	switch n := len(payload); {
	case n < 126:
		b[1] |= byte(n)
	case n <= 0xffff:
		b[1] |= 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] |= 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	key := [4]byte{0x9a, 0x01, 0xf0, 0x5c}
	b = append(b, key[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return string(b)
}

const opPing = 0x9

func text(s string) string { return clientFrame(finBit|opText, s) }

// scriptConn is a connection whose client sends raw, at most chunk bytes at a time,
// and then ends.
type scriptConn struct {
	net.Conn // nil: nothing else is called
	raw      []byte
	chunk    int

	mu      sync.Mutex
	written bytes.Buffer
}

func (c *scriptConn) Read(b []byte) (int, error) {
	if len(c.raw) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), c.chunk)], c.raw)
	c.raw = c.raw[n:]
	return n, nil
}

func (c *scriptConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written.Write(b)
}

func (c *scriptConn) Close() error                     { return nil }
func (c *scriptConn) SetDeadline(time.Time) error      { return nil }
func (c *scriptConn) SetReadDeadline(time.Time) error  { return nil }
func (c *scriptConn) SetWriteDeadline(time.Time) error { return nil }

// hijackRecorder is a ResponseRecorder whose connection can be taken.
type hijackRecorder struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (r hijackRecorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return r.conn, bufio.NewReadWriter(bufio.NewReader(r.conn), bufio.NewWriter(r.conn)), nil
}

// adopt makes a connection a WebSocket.
func adopt(t testing.TB, conn net.Conn, c Config) *WebSocket {
	r := httptest.NewRequest("GET", "/", nil)
	for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
		r.Header.Set(k, v)
	}
	l, err := Accept(hijackRecorder{httptest.NewRecorder(), conn}, r, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// reading is what came of the bytes of a client.
type reading struct {
	messages []string // "text …" and "binary …"
	whole    int      // of them, those that Message returned
	end      string
	written  string // pongs, and the close frame
}

// readBytes reads what a client sends as a socket does, or with the library alone.
func readBytes(t testing.TB, raw string, chunk, maxFrame int, alone bool) (got reading) {
	conn := &scriptConn{raw: []byte(raw), chunk: chunk}
	var wg sync.WaitGroup
	c := config(time.Minute, &wg)
	c.MaxFrame = maxFrame
	l := adopt(t, conn, c)
	ws := l.ws
	for {
		l.Await()
		if !alone {
			if b, ok := l.Message(); ok {
				got.messages = append(got.messages, "text "+string(b))
				got.whole++
				continue
			}
		}
		typ, b, err := ws.Read(context.Background())
		if err != nil {
			got.end = fmt.Sprint(websocket.CloseStatus(err), errors.Is(err, websocket.ErrMessageTooBig))
			if broken := ProtocolError(""); errors.As(err, &broken) {
				got.end = endProtocol
			}
			break
		}
		kind := "text "
		if typ == websocket.MessageBinary {
			kind = "binary "
		}
		got.messages = append(got.messages, kind+string(b))
	}
	_ = ws.CloseNow()
	wg.Wait()
	got.written = conn.written.String()
	return got
}

const (
	noLimit = 1 << 18

	endEOF      = "StatusCode(-1) false"
	endTooBig   = "StatusCode(-1) true"
	endGoodbye  = "StatusNormalClosure false"
	endProtocol = "a ProtocolError"
)

var frameCases = []struct {
	name     string
	raw      string
	limit    int // 0 is noLimit
	messages []string
	whole    int // in one read
	end      string
}{
	{"one frame", text("hello"), 0, []string{"text hello"}, 1, endEOF},
	{"an empty frame", text(""), 0, []string{"text "}, 1, endEOF},
	{"frames in one read", text("a") + text(strings.Repeat("b", 126)) + text("ccc"), 0, []string{"text a", "text " + strings.Repeat("b", 126), "text ccc"}, 3, endEOF},
	{"the largest that fits", text(strings.Repeat("x", readBufferSize-8)), 0, []string{"text " + strings.Repeat("x", readBufferSize-8)}, 1, endEOF},
	{"one byte more", text(strings.Repeat("x", readBufferSize-7)), 0, []string{"text " + strings.Repeat("x", readBufferSize-7)}, 0, endEOF},
	{"a large frame between small ones", text("a") + text(strings.Repeat("x", 70_000)) + text("b"), 0, []string{"text a", "text " + strings.Repeat("x", 70_000), "text b"}, 2, endEOF},
	{"the limit", text("12345678"), 8, []string{"text 12345678"}, 1, endEOF},
	{"above a limit below the buffer's size", text("ok") + text("123456789") + text("never"), 8, []string{"text ok"}, 1, endTooBig},
	{"fragments after a whole frame", text("a") + clientFrame(opText, "b") + clientFrame(opContinuation, "c") + clientFrame(finBit|opContinuation, "d") + text("e"), 0, []string{"text a", "text bcd", "text e"}, 1, endEOF},
	{"a ping in the middle of fragments", clientFrame(opText, "a") + clientFrame(finBit|opPing, "p") + clientFrame(finBit|opContinuation, "b"), 0, []string{"text ab"}, 0, endEOF},
	{"a text frame in the middle of fragments", clientFrame(opText, "a") + text("b"), 0, nil, 0, endProtocol},
	{"a ping between frames", text("a") + clientFrame(finBit|opPing, "p") + text("b"), 0, []string{"text a", "text b"}, 1, endEOF},
	{"a close behind a frame", text("a") + clientFrame(finBit|opClose, "\x03\xe8") + text("never"), 0, []string{"text a"}, 1, endGoodbye},
	{"a binary frame", clientFrame(finBit|opBinary, "a"), 0, []string{"binary a"}, 0, endEOF},
	{"unmasked", text("a") + "\x81\x01b", 0, []string{"text a"}, 1, endProtocol},
	{"a reserved bit", text("a") + clientFrame(finBit|0x40|opText, "b"), 0, []string{"text a"}, 1, endProtocol},
	{"an unknown opcode", text("a") + clientFrame(finBit|0x3, "b"), 0, []string{"text a"}, 1, endProtocol},
	{"a length in more bytes than it needs", "\x81\xfe\x00\x01\x00\x00\x00\x00a", 0, []string{"text a"}, 1, endEOF},
	{"a length that is negative", "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00a", 0, nil, 0, endProtocol},
	{"the end in the middle of a frame", text("a") + text("bcd")[:7], 0, []string{"text a"}, 1, endEOF},
}

// TestMessage: any bytes are read as the WebSocket library alone reads them, in one read
// or split at every byte.
func TestMessage(t *testing.T) {
	for _, tc := range frameCases {
		limit := tc.limit
		if limit == 0 {
			limit = noLimit
		}
		alone := readBytes(t, tc.raw, 1<<20, limit, true)
		if !slices.Equal(alone.messages, tc.messages) || alone.end != tc.end {
			t.Errorf("%s: the library read %.80q and %q, want %.80q and %q", tc.name, alone.messages, alone.end, tc.messages, tc.end)
		}
		for chunk := 1; chunk <= len(tc.raw) && chunk <= 2*readBufferSize; chunk++ {
			got := readBytes(t, tc.raw, chunk, limit, false)
			if !slices.Equal(got.messages, alone.messages) || got.end != alone.end || got.written != alone.written {
				t.Fatalf("%s, %d bytes at a time: got %.80q, %q and wrote %q, want %.80q, %q and %q",
					tc.name, chunk, got.messages, got.end, got.written, alone.messages, alone.end, alone.written)
			}
		}
		if got := readBytes(t, tc.raw, 1<<20, limit, false); got.whole != tc.whole {
			t.Errorf("%s: %d messages were read without the library, want %d", tc.name, got.whole, tc.whole)
		}
	}
}

// FuzzMessage: a client's bytes are read as the WebSocket library alone reads them.
func FuzzMessage(f *testing.F) {
	for _, tc := range frameCases {
		if len(tc.raw) < 1000 {
			f.Add([]byte(tc.raw), byte(200), uint16(tc.limit))
			f.Add([]byte(tc.raw), byte(3), uint16(tc.limit))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, chunk byte, limit uint16) {
		size, most := max(1, int(chunk)), max(1, int(limit))
		got, want := readBytes(t, string(raw), size, most, false), readBytes(t, string(raw), size, most, true)
		if !slices.Equal(got.messages, want.messages) || got.end != want.end || got.written != want.written {
			t.Fatalf("got %q, %q and wrote %q, the library alone %q, %q and %q", got.messages, got.end, got.written, want.messages, want.end, want.written)
		}
	})
}
