package gateway

import (
	"time"

	"github.com/troupe-dev/troupe/backend/wire"
)

const (
	frameTimeout = 30 * time.Second // for a large frame to arrive
	stuckWrite   = time.Second      // after which a reader is cut off if the buffers are full
)

// A heartbeat keeps a socket alive, and cuts it off when its client is gone. It belongs
// to the gateway's janitor.
type heartbeat struct {
	s    *socket
	last time.Time // when the last beat was sent
}

// tend runs the periodic checks: see heartbeatInterval, idleTimeout and positionInterval.
func (h *heartbeat) tend(now time.Time) {
	s := h.s
	clock := s.out.Clock()
	heard := now.Sub(time.UnixMilli(clock.LastRead.Load()))
	said := now.Sub(time.UnixMilli(clock.LastWrite.Load()))
	taken := now.Sub(time.UnixMilli(clock.LastTaken.Load()))
	if since := s.reader.since.Load(); since > 0 && now.Sub(time.UnixMilli(since)) >= frameTimeout {
		s.cut() // a frame comes byte by byte
		return
	}
	if said >= stuckWrite && s.out.Pending() && s.g.buffers.Full() {
		s.noteSlow("gateway: cut off a client that does not read while the buffers are full")
		s.cut()
		return
	}
	// A client that takes, bit by bit, what a slow link brings is not dead: it has not
	// got to the beat yet that it has to answer. Nor can it be heard while the reader
	// waits; if it takes nothing, the write that is blocked ends the socket.
	if heard >= idleTimeout && taken >= idleTimeout && !s.outbox.isWaiting() {
		s.cut()
		return
	}
	// A client answers a beat. So one is also due if only the client was silent, so
	// that a live client is never silent for long.
	interval := heartbeatInterval
	if s.reader.ws == nil {
		interval -= tick // rather too early: proxies time out, too
	}
	if (said >= interval || heard >= interval) && now.Sub(h.last) >= interval {
		h.last = now
		s.control([]byte(wire.Beat))
	}
	h.positions(now)
}

// positions sends an at on the channels that have been quiet for long.
func (h *heartbeat) positions(now time.Time) {
	s := h.s
	s.mu.Lock()
	var quiet []*channel
	for _, c := range s.channels {
		sent := c.sentAt.Load()
		if sent > 0 && now.Sub(time.UnixMilli(sent)) >= positionInterval && c.log.Head() > c.sent.Load() {
			c.wantAt = true
			quiet = append(quiet, c)
		}
	}
	s.mu.Unlock()
	for _, c := range quiet {
		if c.mark() {
			s.wake()
		}
	}
}
