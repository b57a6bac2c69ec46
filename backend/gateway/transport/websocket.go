package transport

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"
)

const (
	readBufferSize  = 256     // per socket, for as long as it lives
	libraryBuffer   = 16      // the library's, on top of that
	writeBufferSize = 16      // a WebSocket header; Write gathers the rest
	maxQueuedPongs  = 4 << 10 // bytes of control frames behind a blocked write
	writeSlice      = 16 << 10

	lateBytes = 64 << 10         // what is read at once of a client that is being closed
	latePause = time.Millisecond // and after that, between two reads
)

// A WebSocket is a Transport over a WebSocket. Frames are written around the
// WebSocket library (ws), which reads, and writes control frames only; it sits on top
// of the WebSocket as its net.Conn. Only the library
// uses a WebSocket as a net.Conn.
//
// Writing never blocks: what the kernel does not take at once is kept and written by
// a goroutine, with a deadline. At most one frame is kept, because Send is not called
// again before Config.Wrote, and maxQueuedPongs of control frames: the memory that a
// client can hold that does not read (G8).
//
// One goroutine may read (Await, Message, Reader) while others write.
type WebSocket struct {
	net.Conn
	ws     *websocket.Conn
	config Config
	raw    syscall.RawConn // nil: every frame is written by the goroutine

	clock Clock

	// For the reader only.
	above *bufio.Reader        // the library's, which reads from here
	early []byte               // what has been read, or the HTTP server had before
	in    [readBufferSize]byte // room for it
	check frameCheck           // of what the library has read
	over  bool                 // the client is being closed, and nobody needs what it sends
	late  int                  // bytes that have come since then

	part []byte // an incomplete control frame; the library writes one at a time

	mu       sync.Mutex
	out      []kept // waits to be written, in order
	pongs    int    // bytes of control frames in out
	flushing bool   // a goroutine writes out
	owed     bool   // Config.Wrote is to be called after that
	ended    bool   // nothing more is written: the close frame was, or an error
	reserved int    // bytes of frames that are kept, or being written
}

// kept is a frame, or what is left of one.
type kept struct {
	b []byte
	f *Frame // to be freed after b was written; nil for a control frame
}

// Accept makes a request a WebSocket. It does not check the origin of the request. If it
// returns an error, the request has its answer: refuse writes it if the request is not a
// WebSocket upgrade.
func Accept(w http.ResponseWriter, r *http.Request, c Config, refuse func(status int)) (*WebSocket, error) {
	h := &hijacker{ResponseWriter: w, config: c, refuse: refuse}
	ws, err := websocket.Accept(h, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(int64(c.MaxFrame))
	h.conn.ws = ws
	return h.conn, nil
}

// hijacker takes a connection from the HTTP server for the WebSocket library, with
// small buffers and a WebSocket below.
type hijacker struct {
	http.ResponseWriter
	config Config
	refuse func(status int)

	conn    *WebSocket
	refused bool
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	// A quick client's first bytes may be in the server's buffer already. The library
	// gets another buffer, so it must get them from the WebSocket.
	early, err := rw.Reader.Peek(rw.Reader.Buffered())
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	h.conn = newWebSocket(conn, slices.Clone(early), h.config)
	h.conn.above = bufio.NewReaderSize(h.conn, libraryBuffer)
	return h.conn, bufio.NewReadWriter(
		h.conn.above,
		bufio.NewWriterSize(h.conn, writeBufferSize),
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

func newWebSocket(conn net.Conn, early []byte, c Config) *WebSocket {
	w := &WebSocket{Conn: conn, early: early, config: c}
	if tcp, ok := conn.(*net.TCPConn); ok && canTryWrite {
		if raw, err := tcp.SyscallConn(); err == nil {
			w.raw = raw
		}
	}
	w.clock.start()
	return w
}

// Await waits until there is something to read, or an error, which the next read
// returns. It returns how long nothing was read before. It needs less stack than a new
// goroutine has.
func (w *WebSocket) Await() (silence time.Duration) {
	if len(w.early) > 0 || w.above.Buffered() > 0 {
		return 0
	}
	silence, _ = w.fill()
	return silence
}

// fill reads what there is, as far as there is room.
func (w *WebSocket) fill() (silence time.Duration, err error) {
	n, err := w.Conn.Read(w.in[:])
	if w.over {
		w.tooLate(n)
	}
	if n > 0 {
		w.early = w.in[:n]
		now := time.Now().UnixMilli()
		silence = time.Duration(now-w.clock.LastRead.Swap(now)) * time.Millisecond
	}
	return silence, err
}

// Message returns the next message if it is a text frame that has been read in whole,
// as nearly all are: it unmasks the frame in place, without the locks, readers and copy
// of the WebSocket library. It leaves everything else (fragments, control frames,
// protocol errors, messages that are split or too long) to Reader. Call it between two
// messages only. The bytes are valid until the next read.
func (w *WebSocket) Message() (message []byte, ok bool) {
	f := w.early
	if w.above.Buffered() > 0 || len(f) < 2+maskSize || f[0] != finBit|opText || f[1]&maskBit == 0 {
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
	if len(f) < end || size > w.config.MaxFrame {
		return nil, false
	}
	message = f[start+maskSize : end]
	unmask(message, binary.LittleEndian.Uint32(f[start:]))
	if w.early = f[end:]; len(w.early) == 0 {
		w.early = nil
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

// Read implements net.Conn. It fails with a ProtocolError at the start of a frame that
// breaks the protocol. After that it drops what comes until the connection ends: bytes
// that are left unread when it closes would reset it, and the close frame be lost.
func (w *WebSocket) Read(b []byte) (int, error) {
	for w.check.err != nil {
		n, err := w.Conn.Read(w.in[:])
		if err != nil {
			return 0, err
		}
		w.tooLate(n)
	}
	n, err := w.read(b)
	if ok := w.check.check(b[:n]); ok < n {
		return ok, w.check.err
	}
	for ; w.check.parts > 0; w.check.parts-- {
		if err := w.config.Charge(); err != nil {
			w.check.err = err // what still comes is dropped, so that the close frame arrives
			return 0, err
		}
	}
	return n, err
}

// tooLate counts bytes that come after the end. What was under way comes at once. A client
// that sends without end is read slowly until the connection is closed: dropping what it
// sends must not cost more than handling it did.
func (w *WebSocket) tooLate(n int) {
	if w.late += n; w.late > lateBytes {
		time.Sleep(latePause)
	}
}

func (w *WebSocket) read(b []byte) (int, error) {
	if len(w.early) == 0 && len(b) < len(w.in) {
		if _, err := w.fill(); err != nil {
			return 0, err
		}
	}
	if len(w.early) > 0 {
		n := copy(b, w.early)
		w.early = w.early[n:]
		if len(w.early) == 0 {
			w.early = nil // if it was the HTTP server's
		}
		return n, nil
	}
	n, err := w.Conn.Read(b)
	if n > 0 {
		w.clock.Heard()
	}
	return n, err
}

// Write gathers a frame of the WebSocket library and writes it when it is whole.
func (w *WebSocket) Write(b []byte) (int, error) {
	w.part = append(w.part, b...)
	for {
		size, ok := frameSize(w.part)
		if !ok || len(w.part) < size {
			return len(b), nil
		}
		control := slices.Clone(w.part[:size])
		if w.part = w.part[size:]; len(w.part) == 0 {
			w.part = nil
		}
		if err := w.sendControl(control); err != nil {
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

// Reader returns a reader of the next message, from the WebSocket library. It waits for
// the message. The error is websocket.ErrMessageTooBig for one of more than
// Config.MaxFrame bytes, and a ProtocolError for a frame that breaks the protocol.
func (w *WebSocket) Reader() (websocket.MessageType, io.Reader, error) {
	// No context: one that ends would cost an allocation per message, and Close ends
	// the wait, too.
	return w.ws.Reader(context.Background())
}

// Send implements Transport.
func (w *WebSocket) Send(f *Frame) (done bool) {
	b := f.bytes()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		f.Free()
		return true
	}
	w.clock.LastWrite.Store(f.ms)
	rest, err := w.tryLocked(b)
	if err != nil {
		f.Free()
		w.endLocked()
		w.config.Spawn(func() { w.breakOff(false) })
		return true
	}
	if len(rest) == 0 {
		f.Free()
		return true
	}
	w.owed = true
	w.reserved += cap(f.b)
	w.config.Buffers.Reserve(cap(f.b))
	w.keepLocked(kept{rest, f})
	return false
}

// sendControl writes a pong or the close frame.
func (w *WebSocket) sendControl(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return net.ErrClosed
	}
	closing := b[0]&0xf == opClose
	rest, err := w.tryLocked(b)
	if err != nil {
		w.endLocked()
		w.config.Spawn(func() { w.breakOff(false) })
		return err
	}
	if len(rest) > 0 {
		if !closing && w.pongs+len(rest) > maxQueuedPongs && len(rest) == len(b) {
			return nil // a client that does not read gets no more pongs
		}
		w.pongs += len(rest)
		w.keepLocked(kept{b: rest})
	}
	if closing {
		w.ended = true // nothing may follow a close frame
	}
	return nil
}

// tryLocked writes what the kernel takes without waiting and returns the rest.
func (w *WebSocket) tryLocked(b []byte) (rest []byte, err error) {
	if w.flushing || w.raw == nil {
		return b, nil // what came before comes first
	}
	n, err := tryWrite(w.raw, b)
	return b[n:], err
}

func (w *WebSocket) keepLocked(k kept) {
	w.out = append(w.out, k)
	if !w.flushing {
		w.flushing = true
		w.config.Spawn(w.flush)
	}
}

// releaseLocked counts bytes of frames that are no longer kept.
func (w *WebSocket) releaseLocked(bytes int) {
	bytes = min(bytes, w.reserved) // after the end nothing is kept
	w.reserved -= bytes
	w.config.Buffers.Release(bytes)
}

// End implements Transport, with a close frame. The WebSocket library is not asked for
// it: it would also read, to wait for the answer, and so get in the way of the reader.
// That ends with the answer, or in time.
func (w *WebSocket) End(status websocket.StatusCode, reason string) {
	_ = w.sendControl(closeFrame(status, reason)) // if it is broken, the client cannot get it
}

// CloseNow closes the WebSocket without a handshake.
func (w *WebSocket) CloseNow() error { return w.ws.CloseNow() }

// Handshake closes the WebSocket and waits up to 5 s for the client's answer. Call it
// once the reader has ended.
func (w *WebSocket) Handshake(status websocket.StatusCode, reason string) error {
	w.over = true
	return w.ws.Close(status, reason)
}

// Pending implements Transport.
func (w *WebSocket) Pending() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flushing
}

// flush writes what was kept. There is one at a time.
func (w *WebSocket) flush() {
	start := time.Now()
	written := 0
	for {
		w.mu.Lock()
		w.releaseLocked(written)
		if len(w.out) == 0 {
			owed := w.owed
			w.flushing, w.owed, w.out = false, false, nil
			w.mu.Unlock()
			if owed {
				w.config.Wrote(time.Since(start) >= slowWrite)
			}
			return
		}
		k := w.out[0]
		w.out = slices.Delete(w.out, 0, 1)
		if k.f == nil {
			w.pongs -= len(k.b)
		}
		w.mu.Unlock()

		err := w.writeSlices(k.b, start)
		if written = 0; k.f != nil {
			written = cap(k.f.b)
			k.f.Free()
		}
		if err != nil {
			w.mu.Lock()
			w.endLocked()
			w.mu.Unlock()
			w.breakOff(errors.Is(err, os.ErrDeadlineExceeded))
			return
		}
	}
}

// writeSlices writes b and waits for it, with a new deadline for each piece: a client
// that is slow but makes progress is not blocked. start is when the flush began.
func (w *WebSocket) writeSlices(b []byte, start time.Time) error {
	for slice := range slices.Chunk(b, writeSlice) {
		if err := w.Conn.SetWriteDeadline(time.Now().Add(w.config.Timeout)); err != nil {
			return err
		}
		if _, err := w.Conn.Write(slice); err != nil {
			return err
		}
		now := time.Now()
		w.clock.took(now, start)
	}
	return w.Conn.SetWriteDeadline(time.Time{}) // before flushing ends: tryWrite would fail by it
}

func (w *WebSocket) endLocked() {
	w.ended, w.out, w.pongs = true, nil, 0
	w.releaseLocked(w.reserved)
}

// breakOff closes the connection after a failed write, so that its reader ends.
func (w *WebSocket) breakOff(slow bool) {
	w.config.Broke(slow)
	_ = w.Conn.Close() // it is broken already
}

// Close implements Transport, and net.Conn.
func (w *WebSocket) Close() error {
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	return w.Conn.Close()
}

// Clock implements Transport.
func (w *WebSocket) Clock() *Clock { return &w.clock }
