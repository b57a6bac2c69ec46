package gateway

import (
	"sync"

	"github.com/troupe-dev/troupe/backend/gateway/transport"
)

const crowd = 500 // sockets after whose arrival garbage is collected

// A socketSet holds the open sockets of a gateway, and decides whether there may be more.
// Its methods may be called at the same time.
type socketSet struct {
	running sync.WaitGroup // sockets, and their goroutines; it grows while a socket is open only

	mu       sync.Mutex
	all      map[*socket]struct{}
	overHTTP map[string]*socket // those over HTTP, by their id
	opened   int                // sockets since garbage was last collected for them
	arriving bool               // one of them since settled last looked
	quiesced bool               // no new sockets, nothing more from clients
	empty    chan struct{}      // closed when no socket is left; nil before drain
}

func newSocketSet() *socketSet {
	return &socketSet{all: make(map[*socket]struct{}), overHTTP: make(map[string]*socket)}
}

// add takes a socket in, unless the gateway is shutting down. It returns how many there
// are.
func (ss *socketSet) add(s *socket) (n int, ok bool) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.quiesced {
		return 0, false
	}
	ss.running.Add(1)
	ss.all[s] = struct{}{}
	if h, ok := s.out.(transport.HTTP); ok {
		ss.overHTTP[h.ID()] = s
	}
	ss.opened, ss.arriving = ss.opened+1, true
	return len(ss.all), true
}

// remove is the end of a socket that was added.
func (ss *socketSet) remove(s *socket) {
	defer ss.running.Done()
	ss.mu.Lock()
	defer ss.mu.Unlock()
	delete(ss.all, s)
	if h, ok := s.out.(transport.HTTP); ok {
		delete(ss.overHTTP, h.ID())
	}
	if ss.empty != nil && len(ss.all) == 0 {
		close(ss.empty)
	}
}

// get returns a socket over HTTP, nil if there is none with that id.
func (ss *socketSet) get(id string) *socket {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.overHTTP[id]
}

func (ss *socketSet) len() int {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return len(ss.all)
}

// each calls f with every socket, outside the lock.
func (ss *socketSet) each(f func(*socket)) {
	ss.mu.Lock()
	all := ss.listLocked()
	ss.mu.Unlock()
	for _, s := range all {
		f(s)
	}
}

func (ss *socketSet) listLocked() []*socket {
	all := make([]*socket, 0, len(ss.all))
	for s := range ss.all {
		all = append(all, s)
	}
	return all
}

// quiesce takes no more sockets in. It returns those that are there, none if it was
// called before.
func (ss *socketSet) quiesce() []*socket {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.quiesced {
		return nil
	}
	ss.quiesced = true
	return ss.listLocked()
}

func (ss *socketSet) isQuiesced() bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.quiesced
}

// drain returns a channel that is closed when no socket is left. Call it once, after
// quiesce.
func (ss *socketSet) drain() (empty <-chan struct{}) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.empty = make(chan struct{})
	if len(ss.all) == 0 {
		close(ss.empty)
	}
	return ss.empty
}

// settled reports, once, that a crowd has arrived. Accepting a socket leaves as much
// garbage as the socket then needs for its whole life, and a server on which little
// happens afterwards would keep it for minutes.
func (ss *socketSet) settled() bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.arriving || ss.opened < max(crowd, len(ss.all)/4) {
		ss.arriving = false
		return false
	}
	ss.opened = 0
	return true
}
