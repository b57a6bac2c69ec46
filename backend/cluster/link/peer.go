package link

import (
	"sync"
	"time"
)

// Sizes and times of a session. The window bounds what is under way to a peer.
const (
	Window     = 8 << 20
	maxWaiting = 2 * Window // beyond it, answers that nobody takes end the session
	ackBytes   = 64 << 10   // received since the last acknowledgement: send one
	ackDelay   = 20 * time.Millisecond
	nackAgain  = 100 * time.Millisecond
	repeatWait = 500 * time.Millisecond // without progress: repeat the oldest frame
	deadAfter  = 5 * time.Second        // likewise: the session ends
)

// Peer is this node's side of the sessions with one other node. All methods may be called at
// the same time.
type Peer struct {
	endpoint *Endpoint
	slot     uint32
	subject  string
	write    chan struct{} // wakes writeLoop
	read     chan struct{} // wakes readLoop
	done     chan struct{}

	mu     sync.Mutex
	closed bool
	epoch  uint64
	ending int // sessions whose end the handler does not know yet: nothing is sent meanwhile
	sender
	receiver
}

// sender is the sending half of a session. Peer.mu guards it.
type sender struct {
	queue    []piece
	queued   int     // bytes in queue
	unacked  []*sent // in the order of n
	inFlight int     // bytes in unacked
	lastN    uint64
	fill     bool      // the handler has items
	progress time.Time // of the last acknowledgement, or when the oldest of unacked was sent first
	repeated time.Time // of the oldest of unacked
	resend   uint64    // repeat frames from this one on; 0: none
	stalled  bool      // the oldest of unacked was repeated: those behind it were lost, too, perhaps
}

type sent struct {
	n      uint64
	pieces []piece
	bytes  int
}

// receiver is the receiving half.
type receiver struct {
	inbox    []received
	received uint64 // the newest frame that arrived without a gap before it
	handled  uint64
	ackDue   time.Time // zero: none is due
	unsaid   int       // bytes handled since the last acknowledgement
	nack     bool      // there is a gap: the next frame says so
	nacked   time.Time // when a frame last said so; zero: there is no gap
	unheard  bool      // the session is new, and the peer may not know it: it is asked again until it answers
}

// received is a frame for readLoop, or the end of a session.
type received struct {
	epoch  uint64
	n      uint64
	bytes  int
	pieces []piece
	end    bool
}

func newPeer(e *Endpoint, slot uint32, subject string) *Peer {
	return &Peer{
		endpoint: e, slot: slot, subject: subject, epoch: 1,
		write: make(chan struct{}, 1), read: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// Send sends an item, which it keeps. It does not wait. ErrFull says that too much is under
// way, ErrGone that the peer is gone or that a session has just ended, which Handler.Ended
// will say; nothing was sent.
func (p *Peer) Send(item []byte) error { return p.send(item, Window) }

// Answer sends an item that the peer waits for. If the peer takes nothing, the session ends.
func (p *Peer) Answer(item []byte) error {
	err := p.send(item, maxWaiting)
	if err == ErrFull {
		p.End()
	}
	return err
}

func (p *Peer) send(item []byte, window int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.ending > 0 {
		return ErrGone
	}
	waiting := p.queued + p.inFlight
	if waiting > 0 && waiting+len(item) > window || len(item) > maxItem {
		return ErrFull
	}
	p.enqueueLocked(item)
	wake(p.write)
	return nil
}

// enqueueLocked cuts an item into pieces that fit into frames.
func (p *Peer) enqueueLocked(item []byte) {
	p.queued += len(item)
	p.endpoint.stats.UnackedBytes.Add(int64(len(item)))
	for len(item) > maxFrame {
		p.queue = append(p.queue, piece{data: item[:maxFrame:maxFrame], more: true})
		item = item[maxFrame:]
	}
	p.queue = append(p.queue, piece{data: item})
}

// Wake says that the handler has items to Fill.
func (p *Peer) Wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.fill && !p.closed {
		p.fill = true
		wake(p.write)
	}
}

// End ends the session and begins the next one, on both sides.
func (p *Peer) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.endLocked(p.epoch + 1)
	}
}

// endLocked begins the session with an epoch. What is under way is lost.
func (p *Peer) endLocked(epoch uint64) {
	p.endpoint.stats.Ended.Add(1)
	p.endpoint.stats.UnackedBytes.Add(-int64(p.queued + p.inFlight))
	p.epoch = epoch
	p.ending++
	p.sender = sender{fill: p.fill}
	p.receiver = receiver{inbox: append(p.inbox, received{end: true}), unheard: true}
	wake(p.write)
	wake(p.read)
}

// close ends the peer. The handler learns the end if tell is true.
func (p *Peer) close(tell bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	p.endpoint.stats.UnackedBytes.Add(-int64(p.queued + p.inFlight))
	p.sender = sender{}
	if tell {
		p.ending++
		p.inbox = append(p.inbox, received{end: true})
	} else {
		p.inbox = nil
	}
	close(p.done)
}

// receive takes a frame. It does not wait.
func (p *Peer) receive(f *frame, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return
	case f.epoch < p.epoch: // the peer does not know yet that this session is over
		p.ackDue = time.Now()
		wake(p.write)
		return
	case f.epoch > p.epoch:
		p.endLocked(f.epoch)
		p.ackDue = time.Now() // the peer learns that this side knows
	}
	p.unheard = false
	p.ackedLocked(f.ack)
	if f.repeat != 0 {
		if p.resend == 0 || f.repeat < p.resend {
			p.resend = f.repeat
		}
		p.ackDue = time.Now() // if there is nothing to repeat
		wake(p.write)
	}
	switch {
	case f.n == 0:
	case f.n == p.received+1:
		p.received, p.nack, p.nacked = f.n, false, time.Time{}
		p.inbox = append(p.inbox, received{epoch: f.epoch, n: f.n, bytes: bytes, pieces: f.pieces})
		wake(p.read)
	case f.n <= p.received: // again: the acknowledgement was lost
		p.ackDue = time.Now()
		wake(p.write)
	case p.nacked.IsZero() || time.Since(p.nacked) >= nackAgain:
		p.endpoint.stats.Gaps.Add(1)
		p.nack, p.nacked = true, time.Now()
		p.ackDue = p.nacked
		wake(p.write)
	}
}

// ackedLocked drops what the peer has handled.
func (p *Peer) ackedLocked(ack uint64) {
	n, bytes := 0, 0
	for n < len(p.unacked) && p.unacked[n].n <= ack {
		bytes += p.unacked[n].bytes
		n++
	}
	if n == 0 {
		return
	}
	clear(p.unacked[:n])
	p.unacked = p.unacked[n:]
	p.inFlight -= bytes
	p.endpoint.stats.UnackedBytes.Add(-int64(bytes))
	p.progress = time.Now()
	p.repeated = p.progress
	if p.stalled {
		p.stalled = false
		if len(p.unacked) > 0 {
			p.resend = p.unacked[0].n
		}
	}
	wake(p.write) // there is room
}

// readLoop hands items to the handler.
func (p *Peer) readLoop() {
	var a assembler
	for {
		p.mu.Lock()
		inbox, closed := p.inbox, p.closed
		p.inbox = nil
		p.mu.Unlock()
		for _, r := range inbox {
			if r.end {
				a = assembler{}
				p.endpoint.handler.Ended(p.slot)
				p.ended()
				continue
			}
			for _, piece := range r.pieces {
				item, err := a.add(piece)
				if err != nil {
					p.endpoint.log.Error("another node sends what cannot be read", "slot", p.slot, "error", err)
					p.End()
				} else if item != nil {
					p.endpoint.handler.Received(p.slot, item)
				}
			}
			p.handledFrame(r)
		}
		if len(inbox) > 0 {
			continue
		}
		if closed {
			return
		}
		select {
		case <-p.read:
		case <-p.done:
		}
	}
}

// ended notes that the handler knows of the end of a session.
func (p *Peer) ended() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ending--
	wake(p.write)
}

// handledFrame notes that a frame may be acknowledged, if its session goes on.
func (p *Peer) handledFrame(r received) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.epoch != r.epoch {
		return
	}
	p.handled = r.n
	p.unsaid += r.bytes
	switch {
	case p.unsaid >= ackBytes:
		p.ackDue = time.Now()
		wake(p.write)
	case p.ackDue.IsZero():
		p.ackDue = time.Now().Add(ackDelay)
		wake(p.write)
	}
}

// assembler puts the pieces of items together, for one session.
type assembler struct {
	item    []byte
	partial bool
	failed  bool
}

// add takes a piece, and returns the item that it completes, if any. After an error it takes
// no more.
func (a *assembler) add(p piece) (item []byte, err error) {
	switch {
	case a.failed:
		return nil, nil
	case !a.partial && !p.more:
		return p.data, nil
	case len(a.item)+len(p.data) > maxItem:
		*a = assembler{failed: true}
		return nil, errFrame
	}
	a.item, a.partial = append(a.item, p.data...), p.more
	if p.more {
		return nil, nil
	}
	item, a.item = a.item, nil
	return item, nil
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
