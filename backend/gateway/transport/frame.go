package transport

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// What this package writes or recognises in the first byte of a WebSocket frame.
const (
	finBit         = 0x80 // the frame ends its message
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPong         = 0xa
)

// A Frame collects messages for a client: one leaves as it is, several leave as an
// array. Append to what Begin returns, then Put the result:
//
//	f.Put(wire.AppendAt(f.Begin(), seq))
//
// A frame belongs to one goroutine at a time. Its buffer has room for what a transport
// writes in front of the messages (a WebSocket header, the name of a field), so that
// everything leaves with one write.
type Frame struct {
	b    []byte // starts with frameRoom bytes for what comes before the messages
	n    int    // messages
	full bool   // something did not fit
	ms   int64  // when it was begun, Unix milliseconds
}

// MaxMessages is how many messages a frame has, about: Room counts up to it.
const MaxMessages = 64

const (
	frameBytes    = 64 << 10 // of messages in a frame, unless one alone is larger
	frameRoom     = maxHeader + 1
	maxHeader     = 10       // of a frame that is not masked
	keepFrameSize = 96 << 10 // larger buffers are not kept in the pool
)

var frames = sync.Pool{New: func() any { return &Frame{b: make([]byte, frameRoom, 4<<10)} }}

// NewFrame returns an empty frame.
func NewFrame() *Frame {
	f := frames.Get().(*Frame)
	f.ms = time.Now().UnixMilli()
	return f
}

// closeFrame is a frame that ends a WebSocket. The reason is at most 123 bytes.
func closeFrame(status websocket.StatusCode, reason string) []byte {
	b := []byte{finBit | opClose, byte(2 + len(reason))}
	return append(binary.BigEndian.AppendUint16(b, uint16(status)), reason...)
}

// Free returns the frame to a pool. Do not use it, or its bytes, afterwards.
func (f *Frame) Free() {
	if cap(f.b) > keepFrameSize {
		return
	}
	f.b, f.n, f.full = f.b[:frameRoom], 0, false
	frames.Put(f)
}

// Begin returns the buffer to append the next message to. The message counts once it
// is Put; until then Begin may be called again.
func (f *Frame) Begin() []byte {
	if f.n > 0 {
		return append(f.b, ',')
	}
	return f.b
}

// Put takes the buffer of Begin with one more message.
func (f *Frame) Put(b []byte) {
	f.b = b
	f.n++
}

// TryPut is Put, unless the message does not fit: then the frame is full. The first
// message always fits.
func (f *Frame) TryPut(b []byte) bool {
	if f.n > 0 && len(b)-frameRoom > frameBytes {
		f.b, f.full = b[:len(f.b)], true
		return false
	}
	f.Put(b)
	return true
}

// Fits reports whether a message of a size in bytes fits.
func (f *Frame) Fits(bytes int) bool { return f.n == 0 || f.Size()+bytes <= frameBytes }

// Room is how many more messages the frame should take; 0 if it is full.
func (f *Frame) Room() int {
	if f.full || f.Size() >= frameBytes {
		return 0
	}
	return max(0, MaxMessages-f.n)
}

// Len returns how many messages the frame has.
func (f *Frame) Len() int { return f.n }

// Size returns the size of the messages in bytes.
func (f *Frame) Size() int { return len(f.b) - frameRoom }

// Time returns when the frame was begun, in Unix milliseconds.
func (f *Frame) Time() int64 { return f.ms }

// bytes closes the frame and returns it as a WebSocket frame, with its header.
func (f *Frame) bytes() []byte {
	start := f.close(f.n > 1)
	size := len(f.b) - start
	switch {
	case size <= 125:
		start -= 2
		f.b[start+1] = byte(size)
	case size <= 0xffff:
		start -= 4
		f.b[start+1] = 126
		binary.BigEndian.PutUint16(f.b[start+2:], uint16(size))
	default:
		start -= 10
		f.b[start+1] = 127
		binary.BigEndian.PutUint64(f.b[start+2:], uint64(size))
	}
	f.b[start] = finBit | opText
	return f.b[start:]
}

// event closes the frame and returns it as one of a stream of server-sent events.
func (f *Frame) event() []byte {
	const field = "data:"
	start := f.close(f.n > 1)
	// An event is a line. In JSON a newline between tokens can be any other space.
	for i, c := range f.b[start:] {
		if c == '\n' || c == '\r' {
			f.b[start+i] = ' '
		}
	}
	start -= copy(f.b[start-len(field):], field)
	f.b = append(f.b, "\n\n"...)
	return f.b[start:]
}

// array closes the frame and returns it as an array of messages.
func (f *Frame) array() []byte { return f.b[f.close(true):] }

// close ends the messages, as an array or as they are, and returns where they
// start.
func (f *Frame) close(array bool) (start int) {
	if !array {
		return frameRoom
	}
	f.b[frameRoom-1] = '['
	f.b = append(f.b, ']')
	return frameRoom - 1
}
