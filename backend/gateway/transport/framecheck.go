package transport

import "encoding/binary"

// A ProtocolError says how a client broke the WebSocket protocol (RFC 6455, section 5). A
// Reader returns it before anything of the frame is read; close with
// websocket.StatusProtocolError.
type ProtocolError string

// Error implements error.
func (e ProtocolError) Error() string { return "transport: " + string(e) }

// A frameCheck follows the frames in the bytes of a client and stops at the first header
// that breaks the protocol. The WebSocket library finds such headers, too, but does not
// tell the client about all of them.
type frameCheck struct {
	header  [10]byte // of the current frame, without the mask
	n       uint8    // bytes of header that have come
	message bool     // in the middle of a fragmented message
	parts   int      // control frames and fragments that have begun since they were last counted
	rest    uint64   // bytes to come of the current frame's mask and payload
	err     error    // a ProtocolError, or one of Config.Charge, once there was one
}

const (
	maskBit    = 0x80
	maskSize   = 4
	maxControl = 125 // bytes of a control frame's payload
)

// check returns how many of the next bytes may be read: all of them, or those before a
// header that breaks the protocol. Then c.err is set, and nothing more may be read.
func (c *frameCheck) check(b []byte) (n int) {
	for n < len(b) {
		if c.rest > 0 {
			skip := min(c.rest, uint64(len(b)-n))
			c.rest -= skip
			n += int(skip)
			continue
		}
		c.header[c.n] = b[n]
		c.n++
		complete, err := c.checkHeader()
		if err != "" {
			c.err = err
			return n
		}
		if n++; complete {
			c.n = 0
		}
	}
	return n
}

// checkHeader checks what has come of a header.
func (c *frameCheck) checkHeader() (complete bool, err ProtocolError) {
	first, size := c.header[0], uint64(c.header[1]&^maskBit)
	opcode, fin := first&0xf, first&finBit != 0
	control := opcode >= opClose
	switch {
	case c.n == 1:
		switch {
		case first&0x70 != 0:
			return false, "a frame has a reserved bit"
		case opcode > opBinary && !control || opcode > opPong:
			return false, "a frame has an unknown opcode"
		case control && !fin:
			return false, "a control frame is fragmented"
		case opcode == opContinuation && !c.message:
			return false, "a continuation continues no message"
		case opcode != opContinuation && !control && c.message:
			return false, "a message starts before the last one has ended"
		}
		return false, ""
	case c.n == 2:
		switch {
		case c.header[1]&maskBit == 0:
			return false, "a client's frame is not masked"
		case control && size > maxControl:
			return false, "a control frame is too long"
		case size >= 126:
			return false, ""
		}
	case size == 126:
		if c.n < 4 {
			return false, ""
		}
		size = uint64(binary.BigEndian.Uint16(c.header[2:]))
	default:
		if c.header[2]&0x80 != 0 {
			return false, "a frame has a negative length"
		}
		if c.n < 10 {
			return false, ""
		}
		size = binary.BigEndian.Uint64(c.header[2:])
	}
	if control || !fin || opcode == opContinuation {
		c.parts++
	}
	if !control {
		c.message = !fin
	}
	c.rest = maskSize + size
	return true, ""
}
