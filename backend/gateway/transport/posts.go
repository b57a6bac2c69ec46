package transport

import (
	"context"
	"sync"
)

// posts keeps the posts of a client in order, one at a time. Its methods may be called at
// the same time.
type posts struct {
	over <-chan struct{} // closed with the transport

	mu      sync.Mutex
	last    uint64        // the number of the last post that was taken
	handled chan struct{} // closed when that one has been handled; nil if it has been
}

// Post implements HTTP.
func (p *posts) Post(ctx context.Context, n uint64) (next bool, err error) {
	for {
		select {
		case <-p.over:
			return false, ErrClosed
		default:
		}
		p.mu.Lock()
		busy, last := p.handled, p.last
		switch {
		case n == 0 || n != last && n != last+1:
			err = ErrOutOfOrder
		case busy == nil && n == last+1:
			p.last, p.handled = n, make(chan struct{})
			next = true
		}
		p.mu.Unlock()
		if err != nil || busy == nil {
			return next, err
		}
		select {
		case <-busy:
			if n == last {
				return false, nil
			}
		case <-p.over:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// Posted implements HTTP.
func (p *posts) Posted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.handled)
	p.handled = nil
}
