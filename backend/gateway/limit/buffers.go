package limit

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Buffers counts the memory that is held for clients: frames and answers that they
// do not take, and messages that have only partly arrived. While it is full, the
// gateway accepts no new work, cuts off readers that block for a second, and gives
// up messages that are still arriving. The zero Buffers has no limit. All its
// methods may be called at the same time.
type Buffers struct {
	max      int64 // bytes; 0: no limit
	reserved atomic.Int64
}

// NewBuffers makes Buffers that are full at maxBytes; 0 means never.
func NewBuffers(maxBytes int64) *Buffers { return &Buffers{max: maxBytes} }

// Reserve counts bytes that are held from now on. It always succeeds: what is held
// already is counted even beyond the limit.
func (b *Buffers) Reserve(bytes int) { b.reserved.Add(int64(bytes)) }

// Release counts bytes that are no longer held.
func (b *Buffers) Release(bytes int) { b.reserved.Add(int64(-bytes)) }

// Reserved returns how many bytes are held.
func (b *Buffers) Reserved() int64 { return b.reserved.Load() }

// Full reports whether the limit is reached.
func (b *Buffers) Full() bool { return b.max > 0 && b.reserved.Load() >= b.max }

// Overloaded is the fault for work that is refused while the buffers are full.
func (b *Buffers) Overloaded() *host.Fault {
	return refusal(wire.CodeOverloaded, "the buffers of the server are full", b.max, "max-buffers", fullRetry)
}

// SmallMessage is the size in bytes up to which a Reader does not count a message:
// every socket may have as much, and counting small messages would cost time.
const SmallMessage = 16 << 10

// ErrBuffersFull is the error of a Reader that has no room for the rest.
var ErrBuffersFull = errors.New("limit: the buffers are full")

// A Reader counts the room that a message takes while it is read. Use it from one
// goroutine at a time, and call Done when the message is no longer needed.
type Reader struct {
	r        io.Reader
	buffers  *Buffers
	since    *atomic.Int64
	read     int // bytes
	reserved int // bytes
}

// NewReader makes a Reader of r. While it counts, since holds the time at which it
// began to, in Unix milliseconds, and 0 once all is read; since may be nil.
func NewReader(r io.Reader, b *Buffers, since *atomic.Int64) Reader {
	return Reader{r: r, buffers: b, since: since}
}

// Read implements io.Reader. It fails with ErrBuffersFull if there is no room.
func (r *Reader) Read(p []byte) (int, error) {
	if room := r.read + len(p); room > SmallMessage && room > r.reserved {
		if r.reserved == 0 && r.since != nil {
			r.since.Store(time.Now().UnixMilli())
		}
		r.buffers.Reserve(room - r.reserved)
		if r.reserved = room; r.buffers.Full() {
			return 0, ErrBuffersFull
		}
	}
	n, err := r.r.Read(p)
	if r.read += n; err != nil && r.reserved > 0 && r.since != nil {
		r.since.Store(0)
	}
	return n, err
}

// Done releases what the Reader has counted.
func (r *Reader) Done() {
	if r.reserved > 0 {
		r.buffers.Release(r.reserved)
	}
	*r = Reader{}
}
