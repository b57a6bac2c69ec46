package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/gateway/limit"
	"github.com/troupe-dev/troupe/backend/gateway/transport"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/metric"
	"github.com/troupe-dev/troupe/backend/wire"
)

const (
	statusTryAgain = websocket.StatusTryAgainLater

	channelQuota = 16 // messages of one channel at a time if others wait
	flushVisits  = 64 // channels visited per frame
	maxSpent     = 64 // empty slots at the start of dirty
	maxLogged    = 8  // connections in a line of the log

	closeTimeout = time.Second      // for the answer to a close frame
	leaveGrace   = 10 * time.Second // see endUnlessResumed
)

// A socket is one WebSocket, or its equivalent over HTTP (stream.go). Three goroutines
// work on it: its reader (of a WebSocket one goroutine, wsReader.loop; else the handler
// of a post), the worker that flushes it (one at a time, see run), and fanouts, which
// mark its channels. It sends one frame at a time; while that is not with the kernel, the
// socket is not flushed, and its channels' cursors wait.
type socket struct {
	g        *Gateway
	out      transport.Transport
	reader   wsReader
	receiver receiver
	outbox   *outbox
	beats    heartbeat
	flushing coalescer // of run

	permit  limit.Permit
	address netip.Addr // of the client, for the log
	from    string     // whose share of limits it takes, see host.OpenRequest.From

	attachment host.Attachment // that of channel c is c after it; see host.NextAttachment
	traffic    *metric.Stripe

	auth *socketAuth // nil if no actor has an OnAuth

	complained atomic.Bool // the log says that the client sends invalid messages

	unblocks atomic.Uint32 // how often a write had been blocked
	deaf     atomic.Bool   // everything that the client sends is discarded
	finished atomic.Bool   // to be closed when everything is written
	closed   atomic.Bool   // a close is under way

	mu       sync.Mutex
	channels channels
	dirty    []*channel // with outputs to deliver, in order; from next on
	next     int
	closing  *time.Timer // ends a close; nil before
	over     bool        // the reader has ended
}

// wrote is called when a frame that could not be sent at once is with the kernel.
// slow: it was blocked for a while.
func (s *socket) wrote(slow bool) {
	if slow {
		s.unblock()
	}
	s.rest()
}

// broke is called when nothing can be sent any more. slow: because a write was
// blocked for too long.
func (s *socket) broke(slow bool) {
	if slow {
		s.noteSlow("gateway: cut off a client that does not read", "for", writeTimeout)
	}
	s.deafen()
}

// leave detaches all channels. It returns those that can be resumed elsewhere.
func (s *socket) leave() channels {
	s.deafen()
	s.outbox.close()
	if s.auth != nil {
		s.auth.close()
	}
	s.mu.Lock()
	s.over = true
	if s.closing != nil {
		s.closing.Stop()
	}
	left := s.channels
	s.channels = nil
	for _, c := range left {
		c.dropPendingLocked()
	}
	s.mu.Unlock()
	drop := !s.g.sockets.isQuiesced() // a shutdown is not a drop
	for _, c := range left {
		c.fanout.leave(c)
		if drop {
			s.g.host.Detach(c.followed(), c.attachment)
		}
	}
	if !drop {
		return nil
	}
	return left
}

// endUnlessResumed ends the connections of channels after a moment, because their page is
// gone: a browser that closes a page says so with status 1001, and often loses the messages
// that the page sent last, among them its goodbye. A proxy that restarts sends 1001, too, and
// the clients behind it return: a connection that has been resumed has another attachment,
// and stays.
func (s *socket) endUnlessResumed(left channels) {
	if len(left) == 0 {
		return
	}
	time.AfterFunc(leaveGrace, func() {
		if s.g.sockets.isQuiesced() {
			return
		}
		for _, c := range left {
			s.g.host.Close(c.followed(), c.attachment)
		}
	})
}

// forget removes a channel that the owner of its actor, or its client, has ended.
func (s *socket) forget(c *channel) {
	c.fanout.leave(c) // first: after it no answers come
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channels.remove(c)
	c.dropPendingLocked()
	c.inbox.answers, c.joining = nil, nil
	c.reserveAnswersLocked(-c.bytes)
}

// logger is for what concerns the socket.
func (s *socket) logger() *slog.Logger {
	log := s.g.log.With("socket", s.attachment.N>>32)
	if s.address.IsValid() {
		log = log.With("address", s.address)
	}
	return log
}

// debug logs what happens to every socket, at level debug.
func (s *socket) debug(what string) {
	if s.g.log.Enabled(context.Background(), slog.LevelDebug) {
		s.logger().Debug(what)
	}
}

// sendError sends the client an error: on a channel, or, with 0, on the socket.
func (s *socket) sendError(channel uint32, code wire.Code, text string, metadata json.RawMessage) {
	s.countError(code)
	s.control(wire.AppendError(nil, channel, code, text, metadata))
}

// countError counts an error that the client gets, and logs it if an invalid message
// caused it.
func (s *socket) countError(code wire.Code) {
	s.g.stats.errors.Add(code)
	switch code {
	case wire.CodeMalformed, wire.CodeUnknownType, wire.CodeTooLarge, wire.CodeRateLimited:
		s.complain(code)
	}
}

// complain logs that the client sends invalid messages: once, because such a client
// may send many.
func (s *socket) complain(code wire.Code) {
	if !s.complained.Swap(true) {
		s.logger().Info("gateway: a client sent an invalid message (logged once per socket)", "code", code)
	}
}

// noteSlow logs and counts that the client is cut off as slow, and remembers its
// connections.
func (s *socket) noteSlow(message string, args ...any) {
	conns := s.connections()
	s.logger().Info(message, append(args, "conns", conns[:min(maxLogged, len(conns))])...)
	s.g.stats.slow.Add(1)
	s.g.slow.add(conns)
}

// connections returns the ids of the connections on the socket.
func (s *socket) connections() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.channels))
	for _, c := range s.channels {
		ids = append(ids, c.conn)
	}
	return ids
}

// control queues a message of the socket's own, ahead of those of channels.
func (s *socket) control(b []byte) {
	s.outbox.add(b)
	s.wake()
}

// unblock has all channels notice that the socket had been blocked, now: what is
// volatile and visible is stale, what comes later is not.
func (s *socket) unblock() {
	s.unblocks.Add(1)
	s.mu.Lock()
	all := slices.Clone(s.channels)
	s.mu.Unlock()
	for _, c := range all {
		c.mark() // the socket is busy: rest finds them
	}
}

// wake has the socket flushed, unless that is under way.
func (s *socket) wake() {
	if s.flushing.begin() {
		s.g.queue.push(s)
	}
}

// scratch is room for the outputs that a flush reads from logs.
var scratch = sync.Pool{New: func() any { return new([transport.MaxMessages]*host.Output) }}

// run flushes the socket: one frame with what is ready.
func (s *socket) run() {
	f := transport.NewFrame()
	outs := scratch.Get().(*[transport.MaxMessages]*host.Output)
	defer scratch.Put(outs)
	s.outbox.fill(f)
	for range flushVisits {
		quota := f.Room()
		if quota == 0 {
			break
		}
		c, alone := s.nextDirty()
		if c == nil {
			break
		}
		if !alone {
			quota = min(quota, channelQuota)
		}
		if c.fill(f, outs[:], quota) {
			c.mark()
		}
	}
	if f.Len() == 0 {
		f.Free()
		s.rest()
		return
	}
	s.traffic.Out(f.Size(), f.Len())
	if s.out.Send(f) {
		s.rest()
	}
}

// nextDirty takes the next channel that has something to look at.
func (s *socket) nextDirty() (c *channel, alone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.next < len(s.dirty) {
		c = s.dirty[s.next]
		s.dirty[s.next] = nil
		if s.next++; s.next == len(s.dirty) {
			s.dirty, s.next = s.dirty[:0], 0
		} else if s.next >= maxSpent {
			s.dirty, s.next = slices.Delete(s.dirty, 0, s.next), 0
		}
		c.marked.Store(false) // before it looks: what comes while it does marks it again
		if s.channels.get(c.num) == c {
			return c, s.next == len(s.dirty)
		}
	}
	return nil, false
}

// rest ends a flush, or starts another one.
func (s *socket) rest() {
	s.mu.Lock()
	more := s.next < len(s.dirty)
	over := s.over
	s.mu.Unlock()
	more = more || s.outbox.hasControls()
	if over {
		return // flushing never ends, so it is not flushed again
	}
	if !more && s.finished.Load() {
		s.close(websocket.StatusServiceRestart, wire.CodeShutdown)
	}
	if more {
		s.g.queue.push(s)
	} else if s.flushing.end() {
		s.g.queue.push(s)
	}
}

// failed is called when run panicked.
func (s *socket) failed() { s.close(websocket.StatusInternalError, wire.CodeInternal) }

// finish closes the socket when everything that is visible has been written.
func (s *socket) finish() {
	s.finished.Store(true)
	s.wake()
}

// close ends the socket with a WebSocket status.
func (s *socket) close(status websocket.StatusCode, reason string) {
	if s.closed.Swap(true) {
		return
	}
	s.deafen()
	s.out.End(status, reason)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.closing = time.AfterFunc(closeTimeout, s.endClosing)
	}
}

// endClosing closes the transport when the client has had its time to answer the close
// frame.
func (s *socket) endClosing() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
	case s.out.Pending(): // the end, or what comes before it, has not left
		s.closing.Reset(closeTimeout)
	default:
		_ = s.out.Close()
	}
}

// deafen makes the reader drop what still comes, and stop waiting for room.
func (s *socket) deafen() {
	s.deaf.Store(true)
	s.outbox.release()
}

// tooSlow ends the socket because its client does not keep up. It comes back and learns
// the gap.
func (s *socket) tooSlow() {
	if s.closed.Load() {
		return
	}
	s.noteSlow("gateway: cut off a client that does not keep up")
	s.close(statusTryAgain, wire.CodeSlow)
}

// cut ends the socket without a close frame: its client is gone, or time is up.
func (s *socket) cut() {
	s.deafen()
	_ = s.out.Close()
}

// channel returns the channel with a number, nil if none is open.
func (s *socket) channel(c uint32) *channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.channels.get(c)
}

// refuseOpen refuses an open, or ends a channel.
func (s *socket) refuseOpen(c uint32, err error) {
	e := asError(s.logger, err)
	s.g.stats.errors.Add(e.Code)
	s.control(wire.AppendClosed(wire.AppendHead(nil, c), e.Code, e.Message, e.Metadata))
}

// asError is err as a client may see it. What it may not see goes to the log.
func asError(log func() *slog.Logger, err error) *host.Fault {
	var e *host.Fault
	if errors.As(err, &e) {
		return e
	}
	log().Error("gateway: internal error", "error", err)
	return &host.Fault{Code: wire.CodeInternal, Message: "internal error; see the server log"}
}

// deny ends a channel that was refused. If the owner of the actor knows the channel
// (opened), it sees that the socket is gone.
func (s *socket) deny(c *channel, opened bool, err error) {
	s.forget(c)
	if opened {
		s.g.host.Detach(c.followed(), c.attachment)
	}
	s.refuseOpen(c.num, err)
}
