package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/gateway/limit"
)

// floodConn is the connection of a client that sends a frame over and over and never ends.
type floodConn struct {
	net.Conn
	frame  []byte
	reads  int
	closed chan struct{}
	once   sync.Once
}

func (c *floodConn) Read(b []byte) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	if c.reads++; c.reads > 100_000 {
		return 0, io.ErrUnexpectedEOF
	}
	return copy(b, bytes.Repeat(c.frame, len(b)/len(c.frame))), nil
}

func (c *floodConn) Write(b []byte) (int, error) { return len(b), nil }

func (c *floodConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (c *floodConn) SetWriteDeadline(time.Time) error { return nil }

// TestG9_LateBytes: a client that is being closed and goes on sending is read slowly,
// be it with control frames, of which the last was too many, or with messages.
func TestG9_LateBytes(t *testing.T) {
	for name, frame := range map[string][]byte{"pings": {0x89, 0x80, 0, 0, 0, 0}, "messages": {0x81, 0x80, 0, 0, 0, 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := &floodConn{frame: frame, closed: make(chan struct{})}
				var wg sync.WaitGroup
				c := config(time.Second, &wg)
				c.Charge = func() error { return limit.ErrFlood }
				w := adopt(t, conn, c)
				if _, _, err := w.Reader(); name == "pings" && !errors.Is(err, limit.ErrFlood) {
					t.Fatalf("got %v", err)
				}
				time.AfterFunc(time.Second, func() { _ = w.Close() })
				_ = w.Handshake(websocket.StatusPolicyViolation, "")
				_ = w.Close()
				wg.Wait()
				const most = lateBytes/readBufferSize + int(time.Second/latePause) + 10
				if conn.reads > most {
					t.Errorf("the server read %d times in a second, want at most %d", conn.reads, most)
				}
				if got := conn.reads; got < lateBytes/readBufferSize {
					t.Errorf("the server read %d times only: what was under way has to be read", got)
				}
			})
		})
	}
}
