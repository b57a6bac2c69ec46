package gateway

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// buffers counts the memory that the gateway holds for clients: frames and answers
// that they do not take, and messages that have not arrived in whole. Beyond a
// limit there is no new work, readers that block are cut off after a second, and
// messages that are not there yet are given up. All its methods may be called at the same
// time.
type buffers struct {
	max  int64 // bytes; 0: any number
	held atomic.Int64
}

func (b *buffers) add(bytes int) { b.held.Add(int64(bytes)) }

func (b *buffers) full() bool { return b.max > 0 && b.held.Load() >= b.max }

// overloaded is why there is no new work.
func (b *buffers) overloaded() *host.Fault {
	return refusal(wire.CodeOverloaded, "the server holds as much for its clients as it may", b.max, "max-buffers", fullRetry)
}

// smallMessage is how much room for a message is not counted, in bytes: every socket
// may have as much, and it costs nothing to count what is small.
const smallMessage = 16 << 10

var errBuffersFull = errors.New("gateway: the buffers are full")

// A counted reader counts the room into which it is asked to read, until done.
type counted struct {
	io.Reader
	buffers *buffers
	since   *atomic.Int64 // gets when it began to count, Unix milliseconds; 0 when all is read; may be nil
	n       int           // bytes that were read
	held    int           // bytes that are counted
}

// Read implements io.Reader. Beyond what may be held it fails with errBuffersFull.
func (c *counted) Read(p []byte) (int, error) {
	if room := c.n + len(p); room > smallMessage && room > c.held {
		if c.held == 0 && c.since != nil {
			c.since.Store(time.Now().UnixMilli())
		}
		c.buffers.add(room - c.held)
		if c.held = room; c.buffers.full() {
			return 0, errBuffersFull
		}
	}
	n, err := c.Reader.Read(p)
	if c.n += n; err != nil && c.held > 0 && c.since != nil {
		c.since.Store(0)
	}
	return n, err
}

func (c *counted) done() {
	if c.held > 0 {
		c.buffers.add(-c.held)
	}
	*c = counted{}
}
