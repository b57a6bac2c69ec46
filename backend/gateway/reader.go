package gateway

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/gateway/limit"
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

// readLoop reads until the socket is over, and tidies up after it. There is one
// at a time.
//
// A goroutine keeps the largest stack that it has needed. Most sockets open a
// channel or two, and then only listen: so what comes after a silence is dealt
// with by a loop that ends with it, and a new one waits for what is next.
func (s *socket) readLoop() {
	for {
		silence := s.ws.Await()
		if !s.readNext() {
			return
		}
		if !s.heard || silence >= quietReader {
			s.heard = true
			s.g.sub.Go(s.readLoop)
			return
		}
	}
}

// readNext reads a frame. It reports false if the socket is over.
func (s *socket) readNext() (more bool) {
	status, reason := websocket.StatusNormalClosure, ""
	defer func() {
		if v := recover(); v != nil {
			s.g.panicked(v, s)
			status, reason = websocket.StatusInternalError, wire.CodeInternal
		}
		if more {
			return
		}
		s.leave()
		s.goodbye(status, reason)
		s.g.remove(s)
	}()
	err := s.readMessage()
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		status, reason = websocket.StatusMessageTooBig, wire.CodeTooLarge
		s.complain(wire.CodeTooLarge)
	case errors.Is(err, limit.ErrBuffersFull): // its client comes back, and sends it again
		status, reason = statusTryAgain, wire.CodeOverloaded
	case errors.Is(err, wire.ErrNotJSON):
		status, reason = websocket.StatusPolicyViolation, "a frame is JSON text"
		s.complain(wire.CodeMalformed)
	case errors.Is(err, wire.ErrNotUTF8):
		status, reason = websocket.StatusInvalidFramePayloadData, "a frame is UTF-8"
		s.complain(wire.CodeMalformed)
	}
	return err == nil
}

// readMessage reads a message and handles it.
func (s *socket) readMessage() error {
	if message, ok := s.ws.Message(); ok {
		return s.handleFrame(message)
	}
	typ, r, err := s.ws.Reader()
	if err != nil {
		return err
	}
	return s.read(typ, r)
}

// read reads the rest of a message and handles it.
func (s *socket) read(typ websocket.MessageType, r io.Reader) error {
	in := readBuffers.Get().(*incoming)
	defer func() {
		in.counted.Done()
		if in.Cap() <= keepReadBuffer {
			in.Reset()
			readBuffers.Put(in)
		}
	}()
	in.counted = limit.NewReader(r, s.g.buffers, &s.reading)
	if _, err := in.ReadFrom(&in.counted); err != nil {
		return err
	}
	if typ != websocket.MessageText {
		return wire.ErrNotJSON
	}
	return s.handleFrame(in.Bytes())
}

// handleFrame handles what was read, unless the socket or the gateway is about to
// end: then the client sends it again elsewhere.
func (s *socket) handleFrame(b []byte) error {
	if s.deaf.Load() || s.g.isQuiesced() {
		return nil
	}
	return s.receive(b)
}
