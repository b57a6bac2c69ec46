package gateway

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

	"github.com/troupe-dev/troupe/backend/gateway/httpcall"
	"github.com/troupe-dev/troupe/backend/gateway/limit"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// An httpLink carries the frames of a socket over HTTP, for clients that cannot
// have a WebSocket. It keeps the one frame that was sent until a handler has
// brought it to the client: the handler of a stream (GET /api/stream), which
// brings all of them, or that of a poll (POST /api/poll), which brings one. A
// handler that is not there is a reader that does not read (G8).
//
// The client's own frames come in posts (POST /api/stream), one at a time.
type httpLink struct {
	times
	id      string // a secret: who has it speaks for the client
	timeout time.Duration
	buffers *limit.Buffers  // counts what is kept
	wrote   func(slow bool) // a frame has been brought
	broke   func(slow bool) // nothing will be any more

	ready chan struct{} // has one when there may be something for a handler
	done  chan struct{} // closed when the link is
	turn  chan struct{} // has one while a poll is being answered

	mu      sync.Mutex
	frame   *frame // on its way; nil if none is
	held    int    // bytes of it that are counted
	ended   bool   // nothing comes after it
	closed  bool
	control *http.ResponseController // of the handler that brings it; nil if none does

	// Of polls.
	text    []byte        // the frame as an answer; nil before the first attempt
	handed  bool          // text was written; the next poll says that it has arrived
	polls   uint64        // the number of the last poll
	polling chan struct{} // ends that poll when it is closed; nil before the first
	gone    bool          // its client has hung up, and not come back yet
	overdue *time.Timer   // ends the link if nobody takes the frame, or comes back; nil before it is needed

	// Of posts.
	posts   uint64        // the number of the last post that was taken
	posting chan struct{} // closed when that one has been dealt with; nil if it has been
}

// pollGrace is how long a client that hung up has to repeat its poll: a browser
// does so by itself if a connection breaks that it has used before.
const pollGrace = 2 * time.Second

var (
	errUnknownSocket = &host.Fault{Code: wire.CodeUnknownSocket, Message: "there is no such socket, or no longer: open a new one, and resume on it"}
	errOutOfOrder    = &host.Fault{Code: wire.CodeOutOfOrder, Message: "posts and polls have numbers from 1, each one more than the one before it"}
)

// newHTTPLink makes the link of a socket.
func (s *socket) newHTTPLink() *httpLink {
	l := &httpLink{
		id: randomID(), timeout: s.g.opts.WriteTimeout, buffers: s.g.buffers, wrote: s.wrote, broke: s.broke,
		ready: make(chan struct{}, 1), done: make(chan struct{}), turn: make(chan struct{}, 1),
	}
	l.start()
	return l
}

// randomID is 128 bits, in base64url.
func randomID() string {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// send implements carrier.
func (l *httpLink) send(f *frame) (done bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		f.Free()
		return true
	}
	l.lastWrite.Store(f.ms)
	l.frame = f
	l.holdLocked(cap(f.b))
	l.signal()
	if l.polling != nil && !l.gone {
		l.awaitPollLocked(l.timeout)
	}
	return false
}

// holdLocked counts bytes of the frame that is on its way; 0 if none is.
func (l *httpLink) holdLocked(bytes int) {
	l.buffers.Reserve(bytes - l.held)
	l.held = bytes
}

// end implements carrier. Over HTTP nobody is told why: the stream ends, and polls
// find no socket.
func (l *httpLink) end(websocket.StatusCode, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.signal()
}

func (l *httpLink) signal() {
	select {
	case l.ready <- struct{}{}:
	default:
	}
}

// pending implements carrier.
func (l *httpLink) pending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.frame != nil
}

// Close implements carrier. The handler that is there ends.
func (l *httpLink) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed, l.ended = true, true
	l.holdLocked(0)
	if l.overdue != nil {
		l.overdue.Stop()
	}
	l.abortLocked()
	close(l.done)
	return nil
}

// abortLocked ends a write that is under way.
func (l *httpLink) abortLocked() {
	if l.control != nil {
		_ = l.control.SetWriteDeadline(time.Unix(1, 0)) // in the past; what cannot have one is not ours to end
	}
}

// next returns what a handler has to do: to bring a frame, to end, or to wait.
func (l *httpLink) next() (f *frame, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, true
	}
	return l.frame, l.ended
}

// stream brings frames as server-sent events until the link is closed or the client
// is gone.
func (l *httpLink) stream(ctx context.Context, w http.ResponseWriter) {
	defer func() { _ = l.Close() }()
	for {
		f, ended := l.next()
		switch {
		case f != nil:
			since := time.UnixMilli(f.ms)
			err := l.bring(w, f.event(), since)
			f.Free()
			if err != nil {
				l.broke(l.blocked(err))
				return
			}
			l.mu.Lock()
			l.frame = nil
			l.holdLocked(0)
			l.mu.Unlock()
			l.wrote(time.Since(since) >= slowWrite)
		case ended:
			return
		default:
			select {
			case <-l.ready:
			case <-l.done:
			case <-ctx.Done():
				return
			}
		}
	}
}

// bring writes b to the client and waits for it, with a new deadline for each piece
// (see link.writeSlices).
func (l *httpLink) bring(w http.ResponseWriter, b []byte, since time.Time) error {
	control := http.NewResponseController(w)
	defer l.limit(control, time.Time{}) // the connection may serve other requests
	for slice := range slices.Chunk(b, writeSlice) {
		if !l.limit(control, time.Now().Add(l.timeout)) {
			return net.ErrClosed
		}
		if _, err := w.Write(slice); err != nil {
			return err
		}
		if err := control.Flush(); err != nil {
			return err
		}
		l.took(time.Now(), since)
	}
	return nil
}

// limit sets the deadline of a write that abortLocked may end; zero: the write is
// over. It reports whether the link is open. Not every ResponseWriter can have a
// deadline; then its server has to see to it.
func (l *httpLink) limit(control *http.ResponseController, t time.Time) (open bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.control = control; t.IsZero() {
		l.control = nil
	}
	if t.IsZero() || !l.closed {
		_ = control.SetWriteDeadline(t)
	}
	return !l.closed
}

// blocked reports whether a write failed because the client did not read.
func (l *httpLink) blocked(err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closed && errors.Is(err, os.ErrDeadlineExceeded)
}

// poll answers a poll with the next frame, or with an empty one when wait is over
// or there is another poll. The frame is kept until the next poll says that it has
// arrived: a poll that is repeated, with its number, gets the same again. Number 0
// stands for the next one. The error is for the client; an answer has been begun
// if there is none.
func (l *httpLink) poll(ctx context.Context, w http.ResponseWriter, n uint64, wait time.Duration) error {
	stop := l.takeOver()
	select {
	case l.turn <- struct{}{}:
	case <-stop:
		return answerNothing(w)
	case <-ctx.Done():
		l.hungUp(stop)
		return ctx.Err()
	}
	defer func() { <-l.turn }()
	l.heard()
	if err := l.count(n); err != nil {
		return err
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		f, ended := l.next()
		switch {
		case f != nil:
			return l.hand(w, f, stop)
		case ended:
			_ = l.Close()
			return errUnknownSocket
		}
		select {
		case <-l.ready:
		case <-l.done:
		case <-ctx.Done():
			l.hungUp(stop)
			return ctx.Err()
		case <-stop:
			return answerNothing(w)
		case <-over.C:
			return answerNothing(w)
		}
	}
}

// takeOver ends the poll before, if it is there, and says what will end this one.
func (l *httpLink) takeOver() (stop chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.polling != nil {
		close(l.polling)
	}
	l.abortLocked() // its client has given up on it
	l.polling = make(chan struct{})
	if l.gone {
		l.gone = false
		l.overdue.Stop()
	}
	return l.polling
}

// hungUp says that the client of a poll is gone. If it does not poll again soon, the
// link is over, as a stream is that ends.
func (l *httpLink) hungUp(stop chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.polling == stop { // else it is back already
		l.gone = true
		l.awaitPollLocked(pollGrace)
	}
}

// count takes the number of a poll. A new one says that the client has what the
// one before has got.
func (l *httpLink) count(n uint64) error {
	l.mu.Lock()
	if n == 0 {
		n = l.polls + 1
	}
	if n != l.polls+1 && (n != l.polls || n == 0) {
		l.mu.Unlock()
		return errOutOfOrder
	}
	arrived := n == l.polls+1 && l.handed
	f := l.frame
	l.polls = n
	if arrived {
		l.frame, l.text, l.handed = nil, nil, false
		l.holdLocked(0)
		l.overdue.Stop()
	}
	l.mu.Unlock()
	if arrived {
		since := time.UnixMilli(f.ms)
		f.Free()
		l.wrote(time.Since(since) >= slowWrite)
	}
	return nil
}

// hand answers a poll with a frame.
func (l *httpLink) hand(w http.ResponseWriter, f *frame, stop chan struct{}) error {
	l.mu.Lock()
	if l.text == nil {
		l.text = f.array()
	}
	text := l.text
	if l.overdue != nil {
		l.overdue.Stop() // each piece has its own time
	}
	l.mu.Unlock()
	if err := l.answer(w, text); err != nil {
		l.hungUp(stop)
		return nil // there is nobody to tell
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handed = true
	l.awaitPollLocked(l.timeout)
	return nil
}

// answer writes the answer to a poll.
func (l *httpLink) answer(w http.ResponseWriter, b []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	return l.bring(w, b, time.Now())
}

// answerNothing answers a poll with a frame without messages.
func answerNothing(w http.ResponseWriter) error {
	httpcall.WriteJSON(w, http.StatusOK, []wire.ServerMessage{})
	return nil
}

// awaitPollLocked gives the client so long to poll.
func (l *httpLink) awaitPollLocked(d time.Duration) {
	switch {
	case l.closed:
	case l.overdue == nil:
		l.overdue = time.AfterFunc(d, l.expire)
	default:
		l.overdue.Reset(d)
	}
}

// expire ends the link when its client has not polled in time.
func (l *httpLink) expire() {
	l.mu.Lock()
	late := !l.closed && l.control == nil && (l.frame != nil || l.gone)
	slow := !l.gone
	l.mu.Unlock()
	if late {
		l.broke(slow)
		_ = l.Close()
	}
}

// post takes the turn of a post: true if it is next, and posted is to be called
// when it has been dealt with; false if it is the last one again, which then has
// been. It waits for the one before, which waits for nothing but room for answers:
// no longer than the client may be blocked.
func (l *httpLink) post(ctx context.Context, n uint64) (next bool, err error) {
	for {
		l.mu.Lock()
		busy, last := l.posting, l.posts
		switch {
		case l.closed:
			err = errUnknownSocket
		case n == 0 || n != last && n != last+1:
			err = errOutOfOrder
		case busy == nil && n == last+1:
			l.posts, l.posting = n, make(chan struct{})
			next = true
		}
		l.mu.Unlock()
		if err != nil || busy == nil {
			return next, err
		}
		select {
		case <-busy:
			if n == last {
				return false, nil
			}
		case <-l.done:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

func (l *httpLink) posted() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.posting)
	l.posting = nil
}
