package link

import "time"

// writeLoop sends frames: what waits, as soon as the one before is written, so that items that
// come meanwhile share a frame; repetitions; and acknowledgements that no frame has taken
// along.
func (p *Peer) writeLoop() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var items [][]byte
	var buf []byte
	for {
		items = p.fillWindow(items)
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return
		}
		f, next := p.nextLocked(time.Now())
		p.mu.Unlock()
		if f != nil {
			buf = f.append(buf[:0])
			p.endpoint.stats.SentBytes.Add(int64(len(buf)))
			if err := p.endpoint.bus.Publish(p.subject, buf); err != nil {
				p.endpoint.log.Debug("a frame was not sent", "slot", p.slot, "error", err) // it is repeated
			}
			continue
		}
		timer.Reset(next)
		select {
		case <-p.write:
		case <-timer.C:
		case <-p.done:
		}
	}
}

// fillWindow asks the handler for items if it has some and the window has room. It returns
// buf for the next call.
func (p *Peer) fillWindow(buf [][]byte) [][]byte {
	p.mu.Lock()
	used := p.queued + p.inFlight
	if !p.fill || p.closed || p.ending > 0 || used >= Window || p.queued >= maxFrame {
		p.mu.Unlock()
		return buf
	}
	p.fill = false // before the call: what comes after it wakes again
	epoch := p.epoch
	p.mu.Unlock()

	items := p.endpoint.handler.Fill(p.slot, buf[:0], min(maxFrame, Window-used), float64(used)/Window)

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.epoch == epoch && !p.closed { // else they are lost, and Ended has been or will be called
		for _, item := range items {
			p.enqueueLocked(item)
		}
	}
	clear(items)
	return items
}

// nextLocked returns the next frame to send, or nil and how long nothing has to be done.
func (p *Peer) nextLocked(now time.Time) (*frame, time.Duration) {
	wait := time.Hour
	if len(p.unacked) > 0 {
		oldest := p.unacked[0]
		if now.Sub(p.progress) >= deadAfter {
			p.endpoint.log.Warn("a node does not answer: the session with it ends", "slot", p.slot)
			p.endLocked(p.epoch + 1)
			return p.frameLocked(), 0
		}
		if p.resend != 0 {
			for _, s := range p.unacked {
				if s.n >= p.resend {
					p.resend = s.n + 1
					return p.repeatLocked(s, now), 0
				}
			}
		} else if now.Sub(p.repeated) >= repeatWait {
			p.stalled = true
			return p.repeatLocked(oldest, now), 0
		}
		wait = min(deadAfter-now.Sub(p.progress), repeatWait-now.Sub(p.repeated))
	}
	p.resend = 0
	if p.unheard {
		if again := repeatWait - now.Sub(p.nacked); again > 0 {
			wait = min(wait, again)
		} else {
			p.nack, p.nacked = true, now
			return p.frameLocked(), 0
		}
	}
	if len(p.queue) > 0 {
		return p.takeLocked(now), 0
	}
	if !p.ackDue.IsZero() {
		if !now.Before(p.ackDue) {
			return p.frameLocked(), 0
		}
		wait = min(wait, p.ackDue.Sub(now))
	}
	return nil, wait
}

// frameLocked returns a frame without pieces, with what it acknowledges.
func (p *Peer) frameLocked() *frame {
	f := &frame{slot: p.endpoint.slot, epoch: p.epoch, ack: p.handled}
	if p.nack {
		f.repeat = p.received + 1
		p.nack = false
	}
	p.ackDue, p.unsaid = time.Time{}, 0
	return f
}

func (p *Peer) repeatLocked(s *sent, now time.Time) *frame {
	p.endpoint.stats.Repeated.Add(1)
	p.repeated = now
	f := p.frameLocked()
	f.n, f.pieces = s.n, s.pieces
	return f
}

// takeLocked makes the next frame of what waits.
func (p *Peer) takeLocked(now time.Time) *frame {
	n, bytes := 0, 0
	for n < len(p.queue) && (n == 0 || bytes+len(p.queue[n].data) <= maxFrame) {
		bytes += len(p.queue[n].data)
		n++
	}
	p.lastN++
	s := &sent{n: p.lastN, pieces: p.queue[:n:n], bytes: bytes}
	if p.queue = p.queue[n:]; len(p.queue) == 0 {
		p.queue = nil
	}
	if len(p.unacked) == 0 {
		p.progress, p.repeated = now, now
	}
	p.unacked = append(p.unacked, s)
	p.queued -= bytes
	p.inFlight += bytes
	f := p.frameLocked()
	f.n, f.pieces = s.n, s.pieces
	return f
}
