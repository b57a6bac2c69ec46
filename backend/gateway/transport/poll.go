package transport

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// pollGrace is how long a client that hung up has to repeat its poll: a browser
// does so by itself if a connection breaks that it has used before.
const pollGrace = 2 * time.Second

// A Poll is an HTTP transport for a client that polls: each request takes one frame. The
// frame is kept until the next poll says that it has arrived, so a poll that is repeated,
// with its number, gets the same again.
type Poll struct {
	*httpBase

	slot chan struct{} // has one while a poll is being answered

	// Guarded by httpBase.mu.
	text    []byte        // the frame as an answer; nil before the first attempt
	handed  bool          // text was written; the next poll says that it has arrived
	last    uint64        // the number of the last poll
	polling chan struct{} // ends that poll when it is closed; nil before the first
	gone    bool          // its client has hung up, and not come back yet
	overdue *time.Timer   // closes if no poll takes the frame, or the client does not return; nil before it is needed
}

// NewPoll makes a Poll that waits for its first request.
func NewPoll(c Config) *Poll {
	return &Poll{httpBase: newHTTPBase(c), slot: make(chan struct{}, 1)}
}

// Send implements Transport.
func (p *Poll) Send(f *Frame) (done bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	done = p.sendLocked(f)
	if !done && p.polling != nil && !p.gone {
		p.awaitPollLocked(p.config.Timeout)
	}
	return done
}

// Close implements Transport. The current request ends.
func (p *Poll) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeLocked()
	p.stopLocked()
	return nil
}

// Serve answers poll number n with the next frame. Number 0 stands for the next one.
// answered is false if the caller has to answer: with an error, or, if that is nil, with
// a frame without messages, because wait is over or there is another poll.
func (p *Poll) Serve(ctx context.Context, w http.ResponseWriter, n uint64, wait time.Duration) (answered bool, err error) {
	stop := p.takeOver()
	select {
	case p.slot <- struct{}{}:
	case <-stop:
		return false, nil
	case <-ctx.Done():
		p.hungUp(stop)
		return false, ctx.Err()
	}
	defer func() { <-p.slot }()
	p.clock.Heard()
	if err := p.count(n); err != nil {
		return false, err
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		f, ended := p.next()
		switch {
		case f != nil:
			p.hand(w, f, stop)
			return true, nil
		case ended:
			_ = p.Close()
			return false, ErrClosed
		}
		select {
		case <-p.ready:
		case <-p.done:
		case <-ctx.Done():
			p.hungUp(stop)
			return false, ctx.Err()
		case <-stop:
			return false, nil
		case <-over.C:
			return false, nil
		}
	}
}

// Repeats reports whether poll number n gets the frame again that the one before was answered with.
func (p *Poll) Repeats(n uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return n != 0 && n == p.last && p.handed
}

// takeOver ends the previous poll, if any, and returns the channel that ends this one.
func (p *Poll) takeOver() (stop chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.polling != nil {
		close(p.polling)
	}
	p.abortLocked() // its client has given up on it
	p.polling = make(chan struct{})
	if p.gone {
		p.gone = false
		p.stopLocked()
	}
	return p.polling
}

// hungUp notes that the client of a poll is gone. If it does not poll again soon, the
// transport closes, as for a stream that ends.
func (p *Poll) hungUp(stop chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.polling == stop { // else it is back already
		p.gone = true
		p.awaitPollLocked(pollGrace)
	}
}

// count takes the number of a poll. A new one says that the client has what the
// one before has got.
func (p *Poll) count(n uint64) error {
	p.mu.Lock()
	if n == 0 {
		n = p.last + 1
	}
	if n != p.last+1 && (n != p.last || n == 0) {
		p.mu.Unlock()
		return ErrOutOfOrder
	}
	arrived := n == p.last+1 && p.handed
	f := p.frame
	p.last = n
	if arrived {
		p.frame, p.text, p.handed = nil, nil, false
		p.reserveLocked(0)
		p.stopLocked()
	}
	p.mu.Unlock()
	if arrived {
		since := time.UnixMilli(f.ms)
		f.Free()
		p.config.Wrote(time.Since(since) >= slowWrite)
	}
	return nil
}

// hand answers a poll with a frame.
func (p *Poll) hand(w http.ResponseWriter, f *Frame, stop chan struct{}) {
	p.mu.Lock()
	if p.text == nil {
		p.text = f.array()
	}
	text := p.text
	p.stopLocked() // each piece has its own time
	p.mu.Unlock()
	if err := p.answer(w, text); err != nil {
		p.hungUp(stop)
		return // the client is gone
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handed = true
	p.awaitPollLocked(p.config.Timeout)
}

// answer writes the answer to a poll.
func (p *Poll) answer(w http.ResponseWriter, b []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	return p.write(w, b, time.Now())
}

// awaitPollLocked closes the transport unless the client polls in time.
func (p *Poll) awaitPollLocked(d time.Duration) {
	switch {
	case p.closed:
	case p.overdue == nil:
		p.overdue = time.AfterFunc(d, p.expire)
	default:
		p.overdue.Reset(d)
	}
}

// stopLocked takes back what awaitPollLocked began, if it did.
func (p *Poll) stopLocked() {
	if p.overdue != nil {
		p.overdue.Stop()
	}
}

// expire closes when the client has not polled in time.
func (p *Poll) expire() {
	p.mu.Lock()
	late := !p.closed && p.control == nil && (p.frame != nil || p.gone)
	slow := !p.gone
	p.mu.Unlock()
	if late {
		p.config.Broke(slow)
		_ = p.Close()
	}
}
