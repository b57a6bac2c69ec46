package gateway

import (
	"sync"
	"time"
)

const (
	slowMemory = 5 * time.Minute // how long slowConns remembers a connection
	maxSlow    = 4096            // and how many
)

// slowConns remembers the connections that were cut off as slow, so that they get that as
// the reason of a gap when they come back. The zero value is ready. All its methods may
// be called at the same time.
type slowConns struct {
	mu  sync.Mutex
	cut map[string]time.Time // by connection id
}

// add remembers connections.
func (s *slowConns) add(conns []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut == nil {
		s.cut = make(map[string]time.Time)
	}
	for _, id := range conns {
		if len(s.cut) < maxSlow {
			s.cut[id] = time.Now()
		}
	}
}

// take reports whether a connection was cut off as slow, and forgets it.
func (s *slowConns) take(conn string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.cut[conn]
	delete(s.cut, conn)
	return ok
}

// tend forgets connections after slowMemory.
func (s *slowConns) tend(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, at := range s.cut {
		if now.Sub(at) > slowMemory {
			delete(s.cut, id)
		}
	}
}
