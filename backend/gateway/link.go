package gateway

import (
	"bufio"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/gateway/limit"
)

const (
	readBufferSize  = 256     // per socket, for as long as it lives
	libraryBuffer   = 16      // the library's, on top of that
	writeBufferSize = 16      // a WebSocket header; link gathers the rest
	maxQueuedPongs  = 4 << 10 // bytes of control frames behind a blocked write
	writeSlice      = 16 << 10
	slowWrite       = 100 * time.Millisecond
)

// A link is the net.Conn below a WebSocket. Writing to it never blocks: what
// the kernel does not take at once is kept and written by a goroutine, with a
// deadline. So that it can tell frames apart, everything that is written must be
// whole WebSocket frames: those of the socket by send, and the control frames of
// the WebSocket library, which arrive in pieces, by Write.
//
// At most one frame of the socket is kept, because the socket sends no other
// before flushed was called, and maxQueuedPongs of control frames: the memory
// that a reader can hold who does not read (G8).
type link struct {
	net.Conn
	raw     syscall.RawConn // nil: every frame is written by the goroutine
	timeout time.Duration   // of a blocked write, of each writeSlice bytes
	spawn   func(func())    // starts a goroutine
	buffers *limit.Buffers  // counts what is kept

	flushed func(slow bool) // a frame that send had kept is written; slow: it was blocked for a while
	broken  func(slow bool) // writing is over; slow: because a write was blocked for too long

	times

	// For the reader only.
	maxFrame int                  // bytes; a longer message is for the library to refuse
	above    *bufio.Reader        // the library's, which reads from here
	early    []byte               // what has been read, or the HTTP server had before
	in       [readBufferSize]byte // room for it

	part []byte // an incomplete control frame; the library writes one at a time

	mu       sync.Mutex
	out      []kept // waits to be written, in order
	pongs    int    // bytes of control frames in out
	flushing bool   // a goroutine writes out
	owed     bool   // flushed is to be called after that
	ended    bool   // nothing more is written: the close frame was, or an error
	held     int    // bytes of frames that are kept, or being written
}

// kept is a frame, or what is left of one.
type kept struct {
	b []byte
	f *frame // to be freed after b was written; nil for a control frame
}

// hijacker takes a connection from the HTTP server for the WebSocket library,
// with small buffers and a link below.
type hijacker struct {
	http.ResponseWriter
	wrap   func(conn net.Conn, early []byte) *link
	refuse func(status int)

	link    *link
	refused bool
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	// A quick client's first bytes may be in the server's buffer already: the
	// library must get them from the link, as it is given another buffer.
	early, err := rw.Reader.Peek(rw.Reader.Buffered())
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	h.link = h.wrap(conn, slices.Clone(early))
	h.link.above = bufio.NewReaderSize(h.link, libraryBuffer)
	return h.link, bufio.NewReadWriter(
		h.link.above,
		bufio.NewWriterSize(h.link, writeBufferSize),
	), nil
}

// WriteHeader turns the library's refusals, which are plain text, into ours.
func (h *hijacker) WriteHeader(status int) {
	if status >= 400 {
		h.refused = true
		h.refuse(status)
		return
	}
	h.ResponseWriter.WriteHeader(status)
}

// Write swallows the text of a refusal.
func (h *hijacker) Write(b []byte) (int, error) {
	if h.refused {
		return len(b), nil
	}
	return h.ResponseWriter.Write(b)
}

func newLink(conn net.Conn, early []byte, maxFrame int, timeout time.Duration, spawn func(func()), b *limit.Buffers) *link {
	l := &link{Conn: conn, early: early, maxFrame: maxFrame, timeout: timeout, spawn: spawn, buffers: b}
	if tcp, ok := conn.(*net.TCPConn); ok && canTryWrite {
		if raw, err := tcp.SyscallConn(); err == nil {
			l.raw = raw
		}
	}
	l.start()
	return l
}

// await waits until there is something to read, or an error, which Read gets then.
// It returns how long nothing was read before. It needs little stack: with what is
// above, less than a new goroutine has.
func (l *link) await() (silence time.Duration) {
	if len(l.early) > 0 || l.above.Buffered() > 0 {
		return 0
	}
	silence, _ = l.fill()
	return silence
}

// fill reads what there is, as far as there is room.
func (l *link) fill() (silence time.Duration, err error) {
	n, err := l.Conn.Read(l.in[:])
	if n > 0 {
		l.early = l.in[:n]
		now := time.Now().UnixMilli()
		silence = time.Duration(now-l.lastRead.Swap(now)) * time.Millisecond
	}
	return silence, err
}

// wholeMessage returns the next message if it is a text frame that has been read in
// whole, as nearly all are: it unmasks the frame where it lies, which costs a tenth of
// what the WebSocket library needs. Everything else (fragments, control frames, errors
// of the protocol, messages that are split or too long) it leaves to the library. Call
// it between two messages only. The bytes are valid until the next read.
func (l *link) wholeMessage() (message []byte, ok bool) {
	const maskBit, maskSize = 0x80, 4
	f := l.early
	if l.above.Buffered() > 0 || len(f) < 2+maskSize || f[0] != finBit|opText || f[1]&maskBit == 0 {
		return nil, false
	}
	start, size := 2, int(f[1]&^maskBit)
	switch size {
	case 126:
		start, size = 4, int(binary.BigEndian.Uint16(f[2:]))
	case 127:
		return nil, false
	}
	end := start + maskSize + size
	if len(f) < end || size > l.maxFrame {
		return nil, false
	}
	message = f[start+maskSize : end]
	unmask(message, binary.LittleEndian.Uint32(f[start:]))
	if l.early = f[end:]; len(l.early) == 0 {
		l.early = nil
	}
	return message, true
}

// unmask undoes the masking of a client (RFC 6455, section 5.3).
func unmask(b []byte, key uint32) {
	twice := uint64(key)<<32 | uint64(key)
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^twice)
	}
	for i := range b {
		b[i] ^= byte(twice >> (8 * i))
	}
}

// Read implements net.Conn.
func (l *link) Read(b []byte) (int, error) {
	if len(l.early) == 0 && len(b) < len(l.in) {
		if _, err := l.fill(); err != nil {
			return 0, err
		}
	}
	if len(l.early) > 0 {
		n := copy(b, l.early)
		l.early = l.early[n:]
		if len(l.early) == 0 {
			l.early = nil // if it was the HTTP server's
		}
		return n, nil
	}
	n, err := l.Conn.Read(b)
	if n > 0 {
		l.heard()
	}
	return n, err
}

// Write gathers a frame of the WebSocket library and writes it when it is whole.
func (l *link) Write(b []byte) (int, error) {
	l.part = append(l.part, b...)
	for {
		size, ok := frameSize(l.part)
		if !ok || len(l.part) < size {
			return len(b), nil
		}
		control := slices.Clone(l.part[:size])
		if l.part = l.part[size:]; len(l.part) == 0 {
			l.part = nil
		}
		if err := l.sendControl(control); err != nil {
			return 0, err
		}
	}
}

// frameSize reads how long the unmasked frame at the start of b is.
func frameSize(b []byte) (size int, ok bool) {
	if len(b) < 2 {
		return 0, false
	}
	switch n := int(b[1] & 0x7f); n {
	case 126:
		if len(b) < 4 {
			return 0, false
		}
		return 4 + int(binary.BigEndian.Uint16(b[2:])), true
	case 127:
		if len(b) < 10 {
			return 0, false
		}
		return 10 + int(binary.BigEndian.Uint64(b[2:])), true
	default:
		return 2 + n, true
	}
}

// send writes a frame of the socket and takes it over. done tells that it is
// with the kernel; else flushed or broken will be called.
func (l *link) send(f *frame) (done bool) {
	b := f.bytes()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		f.Free()
		return true
	}
	l.lastWrite.Store(f.ms)
	rest, err := l.tryLocked(b)
	if err != nil {
		f.Free()
		l.endLocked()
		l.spawn(func() { l.breakOff(false) })
		return true
	}
	if len(rest) == 0 {
		f.Free()
		return true
	}
	l.owed = true
	l.holdLocked(cap(f.b))
	l.keepLocked(kept{rest, f})
	return false
}

// sendControl writes a pong or the close frame.
func (l *link) sendControl(b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return net.ErrClosed
	}
	closing := b[0]&0xf == opClose
	rest, err := l.tryLocked(b)
	if err != nil {
		l.endLocked()
		l.spawn(func() { l.breakOff(false) })
		return err
	}
	if len(rest) > 0 {
		if !closing && l.pongs+len(rest) > maxQueuedPongs && len(rest) == len(b) {
			return nil // who does not read gets no more pongs
		}
		l.pongs += len(rest)
		l.keepLocked(kept{b: rest})
	}
	if closing {
		l.ended = true // nothing may follow a close frame
	}
	return nil
}

// tryLocked writes what the kernel takes without waiting and returns the rest.
func (l *link) tryLocked(b []byte) (rest []byte, err error) {
	if l.flushing || l.raw == nil {
		return b, nil // what came before comes first
	}
	n, err := tryWrite(l.raw, b)
	return b[n:], err
}

func (l *link) keepLocked(k kept) {
	l.out = append(l.out, k)
	if !l.flushing {
		l.flushing = true
		l.spawn(l.flush)
	}
}

// holdLocked counts bytes that are held, or (negative) no more.
func (l *link) holdLocked(bytes int) {
	bytes = max(bytes, -l.held) // after the end nothing is held
	l.held += bytes
	l.buffers.Reserve(bytes)
}

// end implements carrier, with a close frame. The WebSocket library is not asked
// for it: it would read, too, to wait for the answer, and so get in the way of the
// reader. That ends with the answer, or in time.
func (l *link) end(status websocket.StatusCode, reason string) {
	_ = l.sendControl(closeFrame(status, reason)) // if it is broken there is nobody to tell
}

// pending reports whether something that was kept has not been written.
func (l *link) pending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flushing
}

// flush writes what was kept. There is one at a time.
func (l *link) flush() {
	start := time.Now()
	written := 0
	for {
		l.mu.Lock()
		l.holdLocked(-written)
		if len(l.out) == 0 {
			owed := l.owed
			l.flushing, l.owed, l.out = false, false, nil
			l.mu.Unlock()
			if owed {
				l.flushed(time.Since(start) >= slowWrite)
			}
			return
		}
		k := l.out[0]
		l.out = slices.Delete(l.out, 0, 1)
		if k.f == nil {
			l.pongs -= len(k.b)
		}
		l.mu.Unlock()

		err := l.writeSlices(k.b, start)
		if written = 0; k.f != nil {
			written = cap(k.f.b)
			k.f.Free()
		}
		if err != nil {
			l.mu.Lock()
			l.endLocked()
			l.mu.Unlock()
			l.breakOff(errors.Is(err, os.ErrDeadlineExceeded))
			return
		}
	}
}

// writeSlices writes b and waits for it, with a new deadline for each piece: a
// link that is slow, but goes on, is not one that is blocked. start is when the
// flush began.
func (l *link) writeSlices(b []byte, start time.Time) error {
	for slice := range slices.Chunk(b, writeSlice) {
		if err := l.Conn.SetWriteDeadline(time.Now().Add(l.timeout)); err != nil {
			return err
		}
		if _, err := l.Conn.Write(slice); err != nil {
			return err
		}
		now := time.Now()
		l.took(now, start)
	}
	return l.Conn.SetWriteDeadline(time.Time{}) // before flushing ends: tryWrite would fail by it
}

func (l *link) endLocked() {
	l.ended, l.out, l.pongs = true, nil, 0
	l.holdLocked(-l.held)
}

// breakOff closes the connection after a failed write, so that its reader ends.
func (l *link) breakOff(slow bool) {
	l.broken(slow)
	_ = l.Conn.Close() // it is broken already: there is nobody to tell
}

// Close implements net.Conn.
func (l *link) Close() error {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	return l.Conn.Close()
}
