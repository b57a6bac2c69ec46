package link

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Formats of frames that this binary speaks: the oldest and the newest.
const (
	MinFormat = 1
	MaxFormat = 1
)

// Limits of frames, in bytes.
const (
	maxFrame = 256 << 10 // without its header
	maxItem  = 64 << 20
)

// frame is what nodes send each other.
//
//	format   byte
//	slot     uvarint   of the sender
//	epoch    uvarint   of the session
//	n        uvarint   counts the frames of a session that have pieces, from 1; 0: it has none
//	ack      uvarint   the receiver's frames up to this one have been handled
//	repeat   uvarint   the receiver should repeat its frames from this one on; 0: none
//	pieces   each a uvarint, 2*length, plus 1 if the item goes on in the next piece; and bytes
type frame struct {
	slot   uint32
	epoch  uint64
	n      uint64
	ack    uint64
	repeat uint64
	pieces []piece
}

// piece is an item or, if the item is large, a part of one.
type piece struct {
	data []byte
	more bool // the item goes on in the next piece
}

var errFrame = errors.New("link: damaged frame")

// append appends the encoded frame.
func (f *frame) append(b []byte) []byte {
	b = append(b, MaxFormat)
	b = binary.AppendUvarint(b, uint64(f.slot))
	for _, v := range []uint64{f.epoch, f.n, f.ack, f.repeat} {
		b = binary.AppendUvarint(b, v)
	}
	for _, p := range f.pieces {
		length := uint64(len(p.data)) << 1
		if p.more {
			length |= 1
		}
		b = binary.AppendUvarint(b, length)
		b = append(b, p.data...)
	}
	return b
}

// parseFrame reads a frame. Its pieces are parts of b.
func parseFrame(b []byte) (*frame, error) {
	if len(b) == 0 {
		return nil, errFrame
	}
	if b[0] < MinFormat || b[0] > MaxFormat {
		return nil, fmt.Errorf("link: a frame of format %d, and this binary reads %d to %d", b[0], MinFormat, MaxFormat)
	}
	b = b[1:]
	var header [5]uint64
	for i := range header {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errFrame
		}
		header[i], b = v, b[n:]
	}
	f := &frame{slot: uint32(header[0]), epoch: header[1], n: header[2], ack: header[3], repeat: header[4]}
	if uint64(f.slot) != header[0] || f.slot == 0 || f.epoch == 0 {
		return nil, errFrame
	}
	for len(b) > 0 {
		length, n := binary.Uvarint(b)
		if n <= 0 || length>>1 > uint64(len(b)-n) {
			return nil, errFrame
		}
		end := n + int(length>>1)
		f.pieces = append(f.pieces, piece{data: b[n:end:end], more: length&1 != 0})
		b = b[end:]
	}
	if (f.n == 0) != (len(f.pieces) == 0) {
		return nil, errFrame
	}
	return f, nil
}
