package cluster

import (
	"context"
	"errors"

	"github.com/troupe-dev/troupe/backend/cluster/link"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

var errUnknownSocket = host.Faultf(wire.CodeUnknownSocket, "the node with the socket is gone, or does not answer: open a new one and resume there")

var _ host.Forwarder = (*Port)(nil)

// ServeSockets sets what handles requests of other nodes for sockets over HTTP: this node's
// gateway. Call it before Join.
func (p *Port) ServeSockets(s host.SocketServer) { p.sockets = s }

// Slot implements host.Forwarder.
func (p *Port) Slot() uint32 { return p.slot() }

// Forward implements host.Forwarder.
func (p *Port) Forward(ctx context.Context, slot uint32, q host.SocketRequest) ([]byte, error) {
	i := &item{Kind: itemSocket, Socket: &q}
	answer, err := p.ask(ctx, slot, i)
	switch {
	case err == nil && answer.Err != nil:
		return nil, answer.Err
	case err == nil:
		return answer.Data, nil // see answeredItem
	case errors.Is(err, link.ErrFull):
		return nil, faultOf(err)
	case ctx.Err() != nil:
		_ = p.send(slot, &item{Kind: itemCancel, Number: i.Number}, true) // else the session has ended, and the request with it
		return nil, ctx.Err()
	}
	return nil, errUnknownSocket
}

// answerPart is a part of an answer that waits for room in the window.
type answerPart struct {
	item    *item
	encoded chan struct{} // closed when Fill has taken it
}

// socket handles a request for a socket, until it is canceled or the session ends.
func (s *served) socket(i *item) {
	of := s.port.sockets
	if of == nil {
		s.done(i.Number, &item{}, errUnknownSocket)
		return
	}
	s.answer(i.Number, errUnknownSocket, func(ctx context.Context, write func(context.Context, []byte) error) error {
		return of.ServeSocket(ctx, *i.Socket, write)
	})
}

// answer runs a request whose answer may be large, or may take its time, until it is canceled or
// the session ends. away is the answer of a node that has left.
func (s *served) answer(number uint64, away error, serve func(ctx context.Context, write func(context.Context, []byte) error) error) {
	p := s.port
	p.mu.Lock()
	if p.endpoint == nil {
		p.mu.Unlock()
		s.done(number, &item{}, away)
		return
	}
	ctx, cancel := context.WithCancel(p.running)
	p.wait.Add(1)
	p.mu.Unlock()
	if !s.begin(number, cancel) {
		cancel()
		p.wait.Done()
		return
	}
	go func() { // a poll waits
		defer p.wait.Done()
		defer s.cancel(number)
		err := serve(ctx, func(ctx context.Context, b []byte) error {
			return s.write(ctx, &item{Kind: itemPart, Number: number, Data: b})
		})
		answer := &item{Kind: itemDone, Number: number}
		if err != nil {
			answer.Err = p.fault(err)
		}
		s.queue(answer) // behind the parts
	}()
}

// begin notes how to cancel a request. It reports false if the session has ended.
func (s *served) begin(number uint64, cancel context.CancelFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.requests[number] = cancel
	return true
}

// cancel ends a request, whose caller is gone or has its answer.
func (s *served) cancel(number uint64) {
	s.mu.Lock()
	cancel := s.requests[number]
	delete(s.requests, number)
	s.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// queue sends an item as soon as there is room in the window.
func (s *served) queue(i *item) *answerPart {
	part := &answerPart{item: i, encoded: make(chan struct{})}
	s.mu.Lock()
	if !s.ended {
		s.parts = append(s.parts, part)
	}
	s.mu.Unlock()
	if peer := s.port.peer(s.slot); peer != nil {
		peer.Wake()
	}
	return part
}

// write sends a part of an answer and waits until it is encoded, so that what there is no room
// for takes no memory here.
func (s *served) write(ctx context.Context, i *item) error {
	part := s.queue(i)
	select {
	case <-part.encoded:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-part.encoded: // meanwhile
		return nil
	default:
		part.item = nil
		return ctx.Err()
	}
}

// fillPartsLocked appends what waits to items, as far as there is room for max bytes, and
// returns the room that is left.
func (s *served) fillPartsLocked(items [][]byte, max int) ([][]byte, int) {
	keep := 0
	if len(s.dirty) > 0 {
		keep = max / 2 // for logs
	}
	for len(s.parts) > 0 && max > keep {
		part := s.parts[0]
		s.parts = s.parts[1:]
		if part.item == nil {
			continue // it was given up
		}
		b := part.item.encode()
		close(part.encoded)
		items, max = append(items, b), max-len(b)
	}
	return items, max
}

// receivedPart takes a part of an answer that another one follows.
func (p *Port) receivedPart(slot uint32, i *item) {
	p.mu.Lock()
	w := p.pending[i.Number]
	if w != nil && w.slot == slot && w.part == nil {
		w.parts = append(w.parts, i.Data...)
	}
	p.mu.Unlock()
	if w != nil && w.slot == slot && w.part != nil {
		w.part(i.Data)
	}
}
