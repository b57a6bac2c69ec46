package gateway

import "time"

const LeaveGrace = leaveGrace

// Buffers returns how many bytes are held.
func (g *Gateway) Buffers() int64 { return g.buffers.Reserved() }

// Age makes what the gateway has read last from each socket so much older.
func (g *Gateway) Age(d time.Duration) {
	g.sockets.each(func(s *socket) { s.out.Clock().LastRead.Add(-d.Milliseconds()) })
}
