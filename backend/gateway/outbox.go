package gateway

import (
	"slices"
	"sync"

	"github.com/troupe-dev/troupe/backend/gateway/limit"
	"github.com/troupe-dev/troupe/backend/gateway/transport"
)

const controlsWait = 64 << 10 // bytes of its own messages that a socket keeps before its reader waits

// An outbox holds what a client has not taken yet: the socket's own messages (controls),
// and a count of the answers that its channels keep. While it holds too much, the reader
// waits, so that what is queued for the client stays bounded. Its methods may be called
// at the same time.
type outbox struct {
	buffers *limit.Buffers

	mu           sync.Mutex
	room         sync.Cond // on mu: less is queued, or the reader no longer waits
	controls     [][]byte
	controlBytes int
	answerBytes  int  // of answers that channels keep (channel.bytes)
	waits        bool // the reader waits for room
	released     bool // the reader does not wait any more
	closed       bool // nothing is counted any more
}

func newOutbox(b *limit.Buffers) *outbox {
	o := &outbox{buffers: b}
	o.room.L = &o.mu
	return o
}

// add queues a control.
func (o *outbox) add(control []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.controls = append(o.controls, control)
	o.controlBytes += len(control)
	o.reserveLocked(len(control))
}

// fill moves controls to a frame, as far as they fit.
func (o *outbox) fill(f *transport.Frame) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for n < len(o.controls) && f.Fits(len(o.controls[n])) {
		f.Put(append(f.Begin(), o.controls[n]...))
		o.controlBytes -= len(o.controls[n])
		o.reserveLocked(-len(o.controls[n]))
		n++
	}
	if o.controls = slices.Delete(o.controls, 0, n); len(o.controls) == 0 {
		o.controls = nil
	}
	o.room.Broadcast()
}

// hasControls reports whether there is something for fill to move.
func (o *outbox) hasControls() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.controls) > 0
}

// hasRoomFor reports whether an answer of a size in bytes can be kept in full.
func (o *outbox) hasRoomFor(answer int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.answerBytes+answer <= answersShort
}

// reserveAnswers counts bytes of answers that a channel keeps; negative ones are
// released.
func (o *outbox) reserveAnswers(bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answerBytes += bytes
	o.reserveLocked(bytes)
	if bytes < 0 {
		o.room.Broadcast()
	}
}

// reserveLocked counts bytes in the gateway's buffers.
func (o *outbox) reserveLocked(bytes int) {
	if !o.closed {
		o.buffers.Reserve(bytes)
	}
}

// awaitRoom waits while too much is queued. It reports whether it waited.
func (o *outbox) awaitRoom() (waited bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.crowdedLocked() {
		return false
	}
	o.waits = true
	for o.crowdedLocked() && !o.released {
		o.room.Wait()
	}
	o.waits = false
	return true
}

func (o *outbox) crowdedLocked() bool {
	return o.controlBytes > controlsWait || o.answerBytes > answersWait
}

// isWaiting reports whether the reader waits for room.
func (o *outbox) isWaiting() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waits
}

// release makes awaitRoom return, from now on.
func (o *outbox) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.released = true
	o.room.Broadcast()
}

// close gives back what the outbox has counted, and counts nothing more.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reserveLocked(-o.controlBytes - o.answerBytes)
	o.closed = true
}
