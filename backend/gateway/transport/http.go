package transport

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// HTTP is a Transport over HTTP, for clients that cannot have a WebSocket: a *Stream or
// a *Poll. It keeps the one frame that was sent until a request takes it to the client.
// Without a request the client counts as one that does not read (G8).
//
// The client's own frames come in posts, one at a time: Post keeps them in order.
type HTTP interface {
	Transport

	// ID is a secret that identifies the transport in posts and polls: Config.Prefix and 128
	// random bits.
	ID() string

	// Done is closed by Close.
	Done() <-chan struct{}

	// Post waits until it is the turn of post number n. If next is true, call Posted
	// when it has been handled; false means that it is the last one again, which has
	// been. It waits for the one before, which waits for nothing but room for answers:
	// no longer than the client may be blocked. The error is ErrClosed, ErrOutOfOrder,
	// or that of ctx.
	Post(ctx context.Context, n uint64) (next bool, err error)

	// Posted ends a post for which Post returned true.
	Posted()
}

// httpBase is what a Stream and a Poll have in common: the frame on its way, and the
// request that takes it.
type httpBase struct {
	posts
	clock  Clock
	id     string
	config Config

	ready chan struct{} // has one when there may be something for a request
	done  chan struct{} // closed by Close

	mu       sync.Mutex
	frame    *Frame // on its way; nil if none is
	reserved int    // bytes of it that are counted
	ended    bool   // nothing comes after it
	closed   bool
	control  *http.ResponseController // of the request that takes it; nil if none does
}

func newHTTPBase(c Config) *httpBase {
	h := &httpBase{id: c.Prefix + randomID(), config: c, ready: make(chan struct{}, 1), done: make(chan struct{})}
	h.posts.over = h.done
	h.clock.start()
	return h
}

// randomID is 128 bits, in base64url.
func randomID() string {
	const size = 16
	b := make([]byte, size)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// ID implements HTTP.
func (h *httpBase) ID() string { return h.id }

// Done implements HTTP.
func (h *httpBase) Done() <-chan struct{} { return h.done }

// Clock implements Transport.
func (h *httpBase) Clock() *Clock { return &h.clock }

// Send implements Transport.
func (h *httpBase) Send(f *Frame) (done bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sendLocked(f)
}

func (h *httpBase) sendLocked(f *Frame) (done bool) {
	if h.ended {
		f.Free()
		return true
	}
	h.clock.LastWrite.Store(f.ms)
	h.frame = f
	h.reserveLocked(cap(f.b))
	h.signal()
	return false
}

// reserveLocked counts bytes of the frame that is on its way; 0 if none is.
func (h *httpBase) reserveLocked(bytes int) {
	h.config.Buffers.Release(h.reserved)
	h.config.Buffers.Reserve(bytes)
	h.reserved = bytes
}

// End implements Transport. Over HTTP the client does not get the status: the stream
// ends, and polls find no socket.
func (h *httpBase) End(websocket.StatusCode, string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	h.signal()
}

func (h *httpBase) signal() {
	select {
	case h.ready <- struct{}{}:
	default:
	}
}

// Pending implements Transport.
func (h *httpBase) Pending() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.frame != nil
}

// Close implements Transport. The current request ends.
func (h *httpBase) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closeLocked()
	return nil
}

func (h *httpBase) closeLocked() {
	if h.closed {
		return
	}
	h.closed, h.ended = true, true
	h.reserveLocked(0)
	h.abortLocked()
	close(h.done)
}

// abortLocked ends a write that is under way.
func (h *httpBase) abortLocked() {
	if h.control != nil {
		_ = h.control.SetWriteDeadline(time.Unix(1, 0)) // in the past; what cannot have one is not ours to end
	}
}

// next returns what a request has to do: take a frame, end, or wait.
func (h *httpBase) next() (f *Frame, ended bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, true
	}
	return h.frame, h.ended
}

// write writes b to the client and waits for it, with a new deadline for each piece
// (see WebSocket.writeSlices).
func (h *httpBase) write(w http.ResponseWriter, b []byte, since time.Time) error {
	control := http.NewResponseController(w)
	defer h.setDeadline(control, time.Time{}) // the connection may serve other requests
	for slice := range slices.Chunk(b, writeSlice) {
		if !h.setDeadline(control, time.Now().Add(h.config.Timeout)) {
			return net.ErrClosed
		}
		if _, err := w.Write(slice); err != nil {
			return err
		}
		if err := control.Flush(); err != nil {
			return err
		}
		h.clock.took(time.Now(), since)
	}
	return nil
}

// setDeadline sets the deadline of a write that abortLocked may end; zero: the write is
// over. It reports whether the transport is open. Not every ResponseWriter has
// deadlines; then its server has to set them.
func (h *httpBase) setDeadline(control *http.ResponseController, t time.Time) (open bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.control = control; t.IsZero() {
		h.control = nil
	}
	if t.IsZero() || !h.closed {
		_ = control.SetWriteDeadline(t)
	}
	return !h.closed
}

// blocked reports whether a write failed because the client did not read.
func (h *httpBase) blocked(err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.closed && errors.Is(err, os.ErrDeadlineExceeded)
}
