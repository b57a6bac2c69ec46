package link

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
)

// Bus carries messages to the subscribers of a subject, at most once each. Core NATS is one.
type Bus interface {
	// Publish sends a message. It does not wait for anybody to receive it, and does not
	// keep data.
	Publish(subject string, data []byte) error

	// Subscribe calls f with each message to a subject, one after the other, until stop. f
	// may keep data.
	Subscribe(subject string, f func(data []byte)) (stop func(), err error)
}

// Handler gets what arrives. For each peer one goroutine calls Received and Ended, in order.
type Handler interface {
	// Subject returns the subject of the node with a slot; empty if there is no such node, or
	// none yet. It is called with every frame of an unknown sender.
	Subject(slot uint32) string

	// Received gets an item. While it runs, no further items of the peer are handled, so it
	// should not wait for anything. It may keep the item.
	Received(slot uint32, item []byte)

	// Ended reports that a session is over. All items that were received came before; all that
	// the peer will send now are of the next one. What was sent may have arrived or not.
	Ended(slot uint32)

	// Fill appends items that wait to be sent to a peer to items, of about max bytes in all. A
	// call of Peer.Wake leads to a call of Fill as soon as the window has room. The
	// items are encoded here, and not before, so that a peer that is slow costs a position
	// and no memory. used is how much of the window is taken, from 0 to 1.
	Fill(slot uint32, items [][]byte, max int, used float64) [][]byte
}

// Endpoint is a node's end of all its sessions. All methods may be called at the same time.
type Endpoint struct {
	slot    uint32
	bus     Bus
	handler Handler
	log     *slog.Logger
	stats   Stats
	stop    func() // ends the subscription
	wait    sync.WaitGroup

	mu     sync.Mutex
	peers  map[uint32]*Peer
	gone   map[uint32]bool // slots that Retain has ended: they are never used again
	closed bool
}

// Stats are counts since the start, and what is under way now.
type Stats struct {
	SentBytes, ReceivedBytes atomic.Int64
	UnackedBytes             atomic.Int64 // sent or waiting, and not acknowledged
	Gaps                     atomic.Int64 // gaps in the numbers of received frames
	Repeated                 atomic.Int64 // frames that were sent again
	Ended                    atomic.Int64 // sessions
}

// Errors of sending.
var (
	ErrFull = errors.New("link: the window is full")
	ErrGone = errors.New("link: the peer is gone")
)

// Listen makes the endpoint of the node with a slot, which receives on a subject until Close.
func Listen(bus Bus, slot uint32, subject string, h Handler, log *slog.Logger) (*Endpoint, error) {
	e := &Endpoint{slot: slot, bus: bus, handler: h, log: log, peers: map[uint32]*Peer{}, gone: map[uint32]bool{}}
	stop, err := bus.Subscribe(subject, e.receive)
	if err != nil {
		return nil, err
	}
	e.stop = stop
	return e, nil
}

// Close ends all sessions without telling anybody, and waits for the goroutines.
func (e *Endpoint) Close() {
	e.mu.Lock()
	closed := e.closed
	e.closed = true
	for _, p := range e.peers {
		p.close(false)
	}
	e.mu.Unlock()
	if !closed {
		e.stop()
	}
	e.wait.Wait()
}

// Stats returns the endpoint's counts.
func (e *Endpoint) Stats() *Stats { return &e.stats }

// Peer returns the peer with a slot. After Retain, or if there is no such node, it is one to
// which nothing can be sent.
func (e *Endpoint) Peer(slot uint32) *Peer {
	e.mu.Lock()
	p := e.peers[slot]
	known := p != nil || e.gone[slot] || e.closed
	e.mu.Unlock()
	if p != nil {
		return p
	}
	gone := &Peer{endpoint: e, slot: slot, closed: true}
	if known {
		return gone
	}
	subject := e.handler.Subject(slot)
	if subject == "" {
		return gone
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.peers[slot]; p != nil {
		return p
	}
	if e.gone[slot] || e.closed {
		return gone
	}
	p = newPeer(e, slot, subject)
	e.peers[slot] = p
	e.wait.Go(p.writeLoop)
	e.wait.Go(p.readLoop)
	return p
}

// Retain ends the sessions with all nodes but those that are alive; Ended is called for each.
// The others never come back.
func (e *Endpoint) Retain(alive func(slot uint32) bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for slot, p := range e.peers {
		if !alive(slot) {
			e.gone[slot] = true
			delete(e.peers, slot)
			p.close(true)
		}
	}
}

// receive takes a message of the bus.
func (e *Endpoint) receive(data []byte) {
	e.stats.ReceivedBytes.Add(int64(len(data)))
	f, err := parseFrame(data)
	if err != nil {
		e.log.Error("a frame of another node cannot be read", "error", err)
		return
	}
	if f.slot == e.slot {
		return
	}
	e.Peer(f.slot).receive(f, len(data))
}
