package gateway

import "time"

// Age makes what the gateway has read last from each socket so much older.
func (g *Gateway) Age(d time.Duration) {
	g.each(func(s *socket) { s.link.lastRead.Add(-d.Milliseconds()) })
}
