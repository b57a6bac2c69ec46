package gateway

import (
	"sync/atomic"

	"github.com/troupe-dev/troupe/backend/gateway/transport"
	"github.com/troupe-dev/troupe/backend/internal/metric"
)

// Stats is what a Gateway has done since it was made, and what it has now.
type Stats struct {
	Sockets     map[string]int // open now, by how frames go to the client: websocket, stream, poll
	Connections int            // channels on them
	Accepted    uint64

	Flow      metric.Flow // of sockets, without what the transport adds
	Calls     uint64      // over sockets; a repeated call counts again
	HTTPCalls uint64      // and creations

	Resumed    uint64            // connections that came back without a gap
	Gaps       map[string]uint64 // connections that came back to a gap, by reason
	GapEntries uint64            // entries in those gaps, as far as known

	RefusedActors uint64 // new actors that clients were refused, see Options.ActorRatePerIP

	Volatile uint64            // volatile events that were dropped for blocked readers
	Slow     uint64            // sockets that were cut off because their client did not read, or too slowly
	Errors   map[string]uint64 // failed calls, refused or ended connections, and other errors that clients got, by code
}

// stats counts for Stats.
type stats struct {
	accepted   atomic.Uint64
	traffic    metric.Traffic
	calls      atomic.Uint64
	resumed    atomic.Uint64
	gaps       metric.Names
	gapEntries atomic.Uint64
	volatile   atomic.Uint64
	slow       atomic.Uint64
	errors     metric.Names
}

// Stats returns what the gateway has counted.
func (g *Gateway) Stats() Stats {
	c := &g.stats
	s := Stats{
		Sockets:  map[string]int{"websocket": 0, "stream": 0, "poll": 0},
		Accepted: c.accepted.Load(),
		Flow:     c.traffic.Snapshot(), Calls: c.calls.Load(), HTTPCalls: g.calls.Calls(),
		Resumed: c.resumed.Load(), Gaps: c.gaps.Snapshot(), GapEntries: c.gapEntries.Load(),
		RefusedActors: g.admission.RefusedActors(),
		Volatile:      c.volatile.Load(), Slow: c.slow.Load(), Errors: c.errors.Snapshot(),
	}
	g.sockets.each(func(socket *socket) {
		s.Sockets[transportName(socket.out)]++
		socket.mu.Lock()
		defer socket.mu.Unlock()
		s.Connections += len(socket.channels)
	})
	return s
}

// transportName says how frames go to the client.
func transportName(t transport.Transport) string {
	switch t.(type) {
	case *transport.Stream:
		return "stream"
	case *transport.Poll:
		return "poll"
	}
	return "websocket"
}
