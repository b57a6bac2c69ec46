package transport

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// A Transport delivers the frames of a socket to its client. All its methods may be
// called at the same time, but only one frame is under way: after a Send that is not
// done, wait for Config.Wrote before the next one.
type Transport interface {
	// Send accepts a frame and does not block. done means that it is with the
	// kernel; else Config.Wrote or Config.Broke will be called.
	Send(f *Frame) (done bool)

	// End lets the frame that is under way arrive, and nothing after it. The client
	// of a WebSocket gets the status and the reason, which has at most 123 bytes.
	End(status websocket.StatusCode, reason string)

	// Pending reports whether something that was sent is not with the kernel yet.
	Pending() bool

	// Close cuts the client off. It may be called more than once.
	Close() error

	Clock() *Clock
}

var (
	_ Transport = (*WebSocket)(nil)
	_ HTTP      = (*Stream)(nil)
	_ HTTP      = (*Poll)(nil)
)

// Config of a transport. Timeout, Buffers, Wrote and Broke are required.
type Config struct {
	Timeout time.Duration // a blocked write of a piece (16 KiB) ends the transport after it
	Buffers Buffers       // counts what the transport keeps

	// Wrote is called when a frame that Send could not deliver at once is with the
	// kernel; slow means that it was blocked for a while. Broke is called when nothing
	// can be written any more; slow means that a write was blocked for too long. No
	// lock of the transport is held.
	Wrote func(slow bool)
	Broke func(slow bool)

	// Prefix is what the id of a transport over HTTP begins with.
	Prefix string

	// For a WebSocket only, and required there.
	MaxFrame int          // bytes of a client's message
	Spawn    func(func()) // starts a goroutine
	Charge   func() error // called for each control frame and fragment that is read; an error ends the reading
}

// Buffers counts bytes that are held for clients.
type Buffers interface {
	Reserve(bytes int)
	Release(bytes int)
}

var (
	// ErrClosed means that the transport has ended: nothing more is sent or received.
	ErrClosed = errors.New("transport: closed")

	// ErrOutOfOrder means that a post or a poll does not follow the one before it.
	ErrOutOfOrder = errors.New("transport: a post or a poll has the wrong number")
)

// slowWrite is how long a write takes that counts as blocked.
const slowWrite = 100 * time.Millisecond

// A Clock holds when something last happened on a transport, in Unix milliseconds. A new
// transport starts as if that were now.
type Clock struct {
	LastRead  atomic.Int64
	LastWrite atomic.Int64
	LastTaken atomic.Int64 // when a write that had been blocked made progress
}

func (c *Clock) start() { c.LastWrite.Store(c.Heard()) }

// Heard notes that something came from the client, and returns the time.
func (c *Clock) Heard() int64 {
	now := time.Now().UnixMilli()
	c.LastRead.Store(now)
	return now
}

// took notes that a piece of what has been written since start was taken.
func (c *Clock) took(now, start time.Time) {
	c.LastWrite.Store(now.UnixMilli())
	if now.Sub(start) >= slowWrite {
		c.LastTaken.Store(now.UnixMilli())
	}
}
