package gateway

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/gateway/limit"
	"github.com/troupe-dev/troupe/backend/gateway/transport"
	"github.com/troupe-dev/troupe/backend/wire"
)

const (
	keepReadBuffer = limit.SmallMessage // bytes; larger buffers are not kept in the pool
	quietReader    = time.Second        // a silence, see readLoop
)

var readBuffers = sync.Pool{New: func() any { return &incoming{} }}

// incoming is a frame that is being read.
type incoming struct {
	bytes.Buffer
	counted limit.Reader
}

// A wsReader reads the WebSocket of a socket.
type wsReader struct {
	s     *socket
	ws    *transport.WebSocket // nil over HTTP, where posts are read (stream.go)
	heard bool                 // there was a frame
	since atomic.Int64         // when a large frame began to arrive, Unix milliseconds; 0 if none is under way
}

// loop reads until the socket is over, and tidies up after it. There is one at a time.
//
// A goroutine keeps the largest stack that it has needed. Most sockets open a channel
// or two, and then only listen: so a frame that comes after a silence is handled by a
// loop that then ends, and a new one waits for the next frame.
func (r *wsReader) loop() {
	for {
		silence := r.ws.Await()
		if !r.next() {
			return
		}
		if !r.heard || silence >= quietReader {
			r.heard = true
			r.s.g.sockets.running.Go(r.loop)
			return
		}
	}
}

// next reads a frame. It reports false if the socket is over.
func (r *wsReader) next() (more bool) {
	s := r.s
	status, reason := websocket.StatusNormalClosure, ""
	gone := false // the client's page
	defer func() {
		if v := recover(); v != nil {
			s.g.panicked(v, s)
			status, reason = websocket.StatusInternalError, wire.CodeInternal
		}
		if more {
			return
		}
		left := s.leave()
		if gone {
			s.endUnlessResumed(left)
		}
		r.goodbye(status, reason)
		s.g.remove(s)
	}()
	err := r.message()
	if err == nil { // before what is below: errors.As would allocate, even for nil
		return true
	}
	var broken transport.ProtocolError
	switch {
	case errors.As(err, &broken):
		status, reason = websocket.StatusProtocolError, string(broken)
		s.complain(wire.CodeMalformed)
	case errors.Is(err, websocket.ErrMessageTooBig):
		status, reason = websocket.StatusMessageTooBig, wire.CodeTooLarge
		s.complain(wire.CodeTooLarge)
	case errors.Is(err, limit.ErrBuffersFull): // its client comes back, and sends it again
		status, reason = statusTryAgain, wire.CodeOverloaded
	case errors.Is(err, limit.ErrFlood):
		status, reason = websocket.StatusPolicyViolation, wire.CodeRateLimited
		s.complain(wire.CodeRateLimited)
	case errors.Is(err, wire.ErrNotJSON):
		status, reason = websocket.StatusPolicyViolation, "a frame is JSON text"
		s.complain(wire.CodeMalformed)
	case errors.Is(err, wire.ErrNotUTF8):
		status, reason = websocket.StatusInvalidFramePayloadData, "a frame is UTF-8"
		s.complain(wire.CodeMalformed)
	default:
		gone = websocket.CloseStatus(err) == websocket.StatusGoingAway
	}
	return false
}

// message reads a message and handles it.
func (r *wsReader) message() error {
	if message, ok := r.ws.Message(); ok {
		return r.handle(message)
	}
	typ, rest, err := r.ws.Reader()
	if err != nil {
		return err
	}
	return r.read(typ, rest)
}

// read reads the rest of a message and handles it.
func (r *wsReader) read(typ websocket.MessageType, rest io.Reader) error {
	in := readBuffers.Get().(*incoming)
	defer func() {
		in.counted.Done()
		if in.Cap() <= keepReadBuffer {
			in.Reset()
			readBuffers.Put(in)
		}
	}()
	in.counted = limit.NewReader(rest, r.s.g.buffers, &r.since)
	if _, err := in.ReadFrom(&in.counted); err != nil {
		return err
	}
	if typ != websocket.MessageText {
		return wire.ErrNotJSON
	}
	return r.handle(in.Bytes())
}

// handle handles a frame, unless the socket or the gateway is about to end: then the
// client sends it again elsewhere.
func (r *wsReader) handle(b []byte) error {
	s := r.s
	if s.deaf.Load() || s.g.sockets.isQuiesced() {
		return nil
	}
	return s.receiver.receive(b)
}

// goodbye closes the WebSocket. It gives the client a moment to answer; one that is gone,
// or asleep, does not.
func (r *wsReader) goodbye(status websocket.StatusCode, reason string) {
	done := make(chan struct{})
	defer close(done)
	r.s.g.sockets.running.Go(func() {
		t := time.NewTicker(closeTimeout)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				if !r.ws.Pending() { // else the close frame has not left; the library waits for 5 s
					_ = r.ws.Close()
				}
			}
		}
	})
	_ = r.ws.Handshake(status, reason) // if it is broken, the client cannot get it
	_ = r.ws.Close()
}
