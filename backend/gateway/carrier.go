package gateway

import (
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// A carrier brings the frames of a socket to its client: over a WebSocket
// (*link), or over HTTP (*httpLink).
type carrier interface {
	// send takes a frame over. done tells that it is with the kernel; else the socket
	// will hear from wrote or broke, and must not send another one before. It does
	// not wait.
	send(f *frame) (done bool)

	// end has what was sent before brought, and nothing after it. The client of a
	// WebSocket is told why.
	end(status websocket.StatusCode, reason string)

	// pending reports whether something that was sent is not with the kernel.
	pending() bool

	// Close cuts the socket off. It may be called more than once.
	Close() error

	clock() *times
}

var (
	_ carrier = (*link)(nil)
	_ carrier = (*httpLink)(nil)
)

// times is when something last happened on a link, in Unix milliseconds.
type times struct {
	lastRead  atomic.Int64
	lastWrite atomic.Int64
	lastTaken atomic.Int64 // when a write that had been blocked went on
}

func (t *times) clock() *times { return t }

// start says that the link is made: as if there had been something just now.
func (t *times) start() {
	t.lastWrite.Store(t.heard())
}

// heard says that there is something of the client, and returns the time.
func (t *times) heard() int64 {
	now := time.Now().UnixMilli()
	t.lastRead.Store(now)
	return now
}

// took says that a piece of what has been written since start was taken.
func (t *times) took(now, start time.Time) {
	t.lastWrite.Store(now.UnixMilli())
	if now.Sub(start) >= slowWrite {
		t.lastTaken.Store(now.UnixMilli())
	}
}
