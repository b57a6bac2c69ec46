package gateway

import "time"

// MaxIdle is how many addresses without a socket are remembered.
const MaxIdle = maxIdle

// Buffers returns how many bytes are held.
func (g *Gateway) Buffers() int64 { return g.buffers.held.Load() }

// Visitors returns how many addresses are remembered.
func (g *Gateway) Visitors() int {
	g.admission.mu.Lock()
	defer g.admission.mu.Unlock()
	return len(g.admission.visitors)
}

// Age makes what the gateway has read last from each socket so much older.
func (g *Gateway) Age(d time.Duration) {
	g.each(func(s *socket) { s.out.clock().lastRead.Add(-d.Milliseconds()) })
}
