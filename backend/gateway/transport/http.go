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
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// An HTTP is a Transport over HTTP, for clients that cannot have a WebSocket. It keeps
// the one frame that was sent until a request takes it to the client: a stream
// (Stream), which takes one after the other, or a poll (Poll), which takes one. Without
// a request the client counts as one that does not read (G8).
//
// The client's own frames come in posts, one at a time: Post keeps them in order.
type HTTP struct {
	clock  Clock
	id     string
	config Config

	ready    chan struct{} // has one when there may be something for a request
	done     chan struct{} // closed by Close
	pollSlot chan struct{} // has one while a poll is being answered

	mu       sync.Mutex
	frame    *Frame // on its way; nil if none is
	reserved int    // bytes of it that are counted
	ended    bool   // nothing comes after it
	closed   bool
	control  *http.ResponseController // of the request that takes it; nil if none does

	// Of polls.
	text    []byte        // the frame as an answer; nil before the first attempt
	handed  bool          // text was written; the next poll says that it has arrived
	polls   uint64        // the number of the last poll
	polling chan struct{} // ends that poll when it is closed; nil before the first
	gone    bool          // its client has hung up, and not come back yet
	overdue *time.Timer   // closes if nobody takes the frame, or comes back; nil before it is needed

	// Of posts.
	posts   uint64        // the number of the last post that was taken
	posting chan struct{} // closed when that one has been dealt with; nil if it has been
}

// pollGrace is how long a client that hung up has to repeat its poll: a browser
// does so by itself if a connection breaks that it has used before.
const pollGrace = 2 * time.Second

// NewHTTP makes a transport that waits for its first request.
func NewHTTP(c Config) *HTTP {
	h := &HTTP{
		id: randomID(), config: c,
		ready: make(chan struct{}, 1), done: make(chan struct{}), pollSlot: make(chan struct{}, 1),
	}
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

// ID is a random secret that stands for the client in its posts and polls.
func (h *HTTP) ID() string { return h.id }

// Done is closed by Close.
func (h *HTTP) Done() <-chan struct{} { return h.done }

// Polls reports whether the client polls, rather than reading a stream.
func (h *HTTP) Polls() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.polling != nil
}

// Send implements Transport.
func (h *HTTP) Send(f *Frame) (done bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		f.Free()
		return true
	}
	h.clock.LastWrite.Store(f.ms)
	h.frame = f
	h.reserveLocked(cap(f.b))
	h.signal()
	if h.polling != nil && !h.gone {
		h.awaitPollLocked(h.config.Timeout)
	}
	return false
}

// reserveLocked counts bytes of the frame that is on its way; 0 if none is.
func (h *HTTP) reserveLocked(bytes int) {
	h.config.Buffers.Release(h.reserved)
	h.config.Buffers.Reserve(bytes)
	h.reserved = bytes
}

// End implements Transport. Over HTTP the client is not told why: the stream ends, and
// polls find no socket.
func (h *HTTP) End(websocket.StatusCode, string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	h.signal()
}

func (h *HTTP) signal() {
	select {
	case h.ready <- struct{}{}:
	default:
	}
}

// Pending implements Transport.
func (h *HTTP) Pending() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.frame != nil
}

// Close implements Transport. The request that is there ends.
func (h *HTTP) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	h.closed, h.ended = true, true
	h.reserveLocked(0)
	if h.overdue != nil {
		h.overdue.Stop()
	}
	h.abortLocked()
	close(h.done)
	return nil
}

// abortLocked ends a write that is under way.
func (h *HTTP) abortLocked() {
	if h.control != nil {
		_ = h.control.SetWriteDeadline(time.Unix(1, 0)) // in the past; what cannot have one is not ours to end
	}
}

// next returns what a request has to do: take a frame, end, or wait.
func (h *HTTP) next() (f *Frame, ended bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, true
	}
	return h.frame, h.ended
}

// Stream takes frames to the client as server-sent events, until Close, or until the
// client is gone; then it closes.
func (h *HTTP) Stream(ctx context.Context, w http.ResponseWriter) {
	defer func() { _ = h.Close() }()
	for {
		f, ended := h.next()
		switch {
		case f != nil:
			since := time.UnixMilli(f.ms)
			err := h.write(w, f.event(), since)
			f.Free()
			if err != nil {
				h.config.Broke(h.blocked(err))
				return
			}
			h.mu.Lock()
			h.frame = nil
			h.reserveLocked(0)
			h.mu.Unlock()
			h.config.Wrote(time.Since(since) >= slowWrite)
		case ended:
			return
		default:
			select {
			case <-h.ready:
			case <-h.done:
			case <-ctx.Done():
				return
			}
		}
	}
}

// write writes b to the client and waits for it, with a new deadline for each piece
// (see WebSocket.writeSlices).
func (h *HTTP) write(w http.ResponseWriter, b []byte, since time.Time) error {
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
func (h *HTTP) setDeadline(control *http.ResponseController, t time.Time) (open bool) {
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
func (h *HTTP) blocked(err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.closed && errors.Is(err, os.ErrDeadlineExceeded)
}

// Poll answers poll number n with the next frame. Number 0 stands for the next one.
// answered is false if the caller has to answer: with an error, or without one with a
// frame without messages, because wait is over or there is another poll.
//
// The frame is kept until the next poll says that it has arrived: a poll that is
// repeated, with its number, gets the same again.
func (h *HTTP) Poll(ctx context.Context, w http.ResponseWriter, n uint64, wait time.Duration) (answered bool, err error) {
	stop := h.takeOver()
	select {
	case h.pollSlot <- struct{}{}:
	case <-stop:
		return false, nil
	case <-ctx.Done():
		h.hungUp(stop)
		return false, ctx.Err()
	}
	defer func() { <-h.pollSlot }()
	h.clock.Heard()
	if err := h.count(n); err != nil {
		return false, err
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		f, ended := h.next()
		switch {
		case f != nil:
			h.hand(w, f, stop)
			return true, nil
		case ended:
			_ = h.Close()
			return false, ErrClosed
		}
		select {
		case <-h.ready:
		case <-h.done:
		case <-ctx.Done():
			h.hungUp(stop)
			return false, ctx.Err()
		case <-stop:
			return false, nil
		case <-over.C:
			return false, nil
		}
	}
}

// takeOver ends the poll before, if it is there, and says what will end this one.
func (h *HTTP) takeOver() (stop chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.polling != nil {
		close(h.polling)
	}
	h.abortLocked() // its client has given up on it
	h.polling = make(chan struct{})
	if h.gone {
		h.gone = false
		h.overdue.Stop()
	}
	return h.polling
}

// hungUp notes that the client of a poll is gone. If it does not poll again soon, the
// transport closes, as for a stream that ends.
func (h *HTTP) hungUp(stop chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.polling == stop { // else it is back already
		h.gone = true
		h.awaitPollLocked(pollGrace)
	}
}

// count takes the number of a poll. A new one says that the client has what the
// one before has got.
func (h *HTTP) count(n uint64) error {
	h.mu.Lock()
	if n == 0 {
		n = h.polls + 1
	}
	if n != h.polls+1 && (n != h.polls || n == 0) {
		h.mu.Unlock()
		return ErrOutOfOrder
	}
	arrived := n == h.polls+1 && h.handed
	f := h.frame
	h.polls = n
	if arrived {
		h.frame, h.text, h.handed = nil, nil, false
		h.reserveLocked(0)
		h.overdue.Stop()
	}
	h.mu.Unlock()
	if arrived {
		since := time.UnixMilli(f.ms)
		f.Free()
		h.config.Wrote(time.Since(since) >= slowWrite)
	}
	return nil
}

// hand answers a poll with a frame.
func (h *HTTP) hand(w http.ResponseWriter, f *Frame, stop chan struct{}) {
	h.mu.Lock()
	if h.text == nil {
		h.text = f.array()
	}
	text := h.text
	if h.overdue != nil {
		h.overdue.Stop() // each piece has its own time
	}
	h.mu.Unlock()
	if err := h.answer(w, text); err != nil {
		h.hungUp(stop)
		return // there is nobody to tell
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handed = true
	h.awaitPollLocked(h.config.Timeout)
}

// answer writes the answer to a poll.
func (h *HTTP) answer(w http.ResponseWriter, b []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	return h.write(w, b, time.Now())
}

// awaitPollLocked gives the client so long to poll.
func (h *HTTP) awaitPollLocked(d time.Duration) {
	switch {
	case h.closed:
	case h.overdue == nil:
		h.overdue = time.AfterFunc(d, h.expire)
	default:
		h.overdue.Reset(d)
	}
}

// expire closes when the client has not polled in time.
func (h *HTTP) expire() {
	h.mu.Lock()
	late := !h.closed && h.control == nil && (h.frame != nil || h.gone)
	slow := !h.gone
	h.mu.Unlock()
	if late {
		h.config.Broke(slow)
		_ = h.Close()
	}
}

// Post waits until it is the turn of post number n. If next is true, call Posted when
// it has been dealt with; false means that it is the last one again, which has been. It
// waits for the one before, which waits for nothing but room for answers: no longer
// than the client may be blocked.
func (h *HTTP) Post(ctx context.Context, n uint64) (next bool, err error) {
	for {
		h.mu.Lock()
		busy, last := h.posting, h.posts
		switch {
		case h.closed:
			err = ErrClosed
		case n == 0 || n != last && n != last+1:
			err = ErrOutOfOrder
		case busy == nil && n == last+1:
			h.posts, h.posting = n, make(chan struct{})
			next = true
		}
		h.mu.Unlock()
		if err != nil || busy == nil {
			return next, err
		}
		select {
		case <-busy:
			if n == last {
				return false, nil
			}
		case <-h.done:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// Posted ends a post for which Post returned true.
func (h *HTTP) Posted() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.posting)
	h.posting = nil
}

// Clock implements Transport.
func (h *HTTP) Clock() *Clock { return &h.clock }
