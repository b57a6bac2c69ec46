package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/gateway/httpcall"
	"github.com/troupe-dev/troupe/backend/gateway/limit"
	"github.com/troupe-dev/troupe/backend/gateway/transport"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// shortPoll is how soon a poll that gets nothing is answered at least for it not to count as futile.
const shortPoll = time.Second

// longestPoll is how long a poll may wait. A client that polls at once after that is not dead.
const longestPoll = idleTimeout * 4 / 5

// maxSocketID is the length of the longest id of a socket over HTTP, in bytes: its node's number, a
// dot, and what the transport makes.
const maxSocketID = 64

// postRoom is what a post has besides its frame, at most, in bytes.
const postRoom = 1 << 10

var (
	errShutdown      = &host.Fault{Code: wire.CodeShutdown, Message: "the server is shutting down"}
	errUnknownSocket = &host.Fault{Code: wire.CodeUnknownSocket, Message: "no such socket, or it has ended: open a new one and resume there"}
	errOutOfOrder    = &host.Fault{Code: wire.CodeOutOfOrder, Message: "number posts and polls from 1, each one higher than the last"}
)

// transportFault is the error of a transport as its client may see it.
func transportFault(err error) error {
	switch {
	case errors.Is(err, transport.ErrClosed):
		return errUnknownSocket
	case errors.Is(err, transport.ErrOutOfOrder):
		return errOutOfOrder
	}
	return err
}

// failTransport answers a poll or a post with the error of its transport. One without a socket, or
// with a wrong number, is futile: it is no message that the socket's rate counts.
func (g *Gateway) failTransport(w http.ResponseWriter, r *http.Request, err error) {
	err = transportFault(err)
	var fault *host.Fault
	if errors.As(err, &fault) && (fault.Code == wire.CodeUnknownSocket || fault.Code == wire.CodeOutOfOrder) && g.isFutile(w, r) {
		return
	}
	g.respond.Fail(w, err)
}

// isFutile counts a futile request of a client. It reports whether that was one too many;
// then the client has its answer.
func (g *Gateway) isFutile(w http.ResponseWriter, r *http.Request) (refused bool) {
	limited := g.admission.Futile(forwarded.Counted(r))
	if limited != nil {
		g.respond.Fail(w, limited)
	}
	return limited != nil
}

// newHTTPSocket makes a socket over HTTP on the transport that connect makes, and greets
// its client. It returns nil if there is no room, or the server is shutting down; then
// the client has its answer.
func newHTTPSocket[T transport.HTTP](g *Gateway, w http.ResponseWriter, r *http.Request, connect func(transport.Config) T) (*socket, T) {
	var none T
	if !g.welcomes(w, r) {
		return nil, none
	}
	permit, refused := g.admit(r)
	if refused != nil {
		g.respond.Fail(w, refused)
		return nil, none
	}
	s := g.newSocket(r, permit)
	h := connect(s.transportConfig())
	s.out = h
	spread, ok := g.add(s)
	if !ok {
		g.admission.Leave(permit)
		g.respond.Fail(w, errShutdown)
		return nil, none
	}
	hello := g.hello(spread)
	hello.Socket = h.ID()
	s.control(wire.AppendHello(nil, hello))
	return s, h
}

// httpSocket finds a socket over HTTP.
func (g *Gateway) httpSocket(id string) (*socket, error) {
	s := g.sockets.get(id)
	if s == nil || s.deaf.Load() && !g.sockets.isQuiesced() {
		return nil, errUnknownSocket
	}
	return s, nil
}

// poll finds the transport of a socket that polls.
func (g *Gateway) poll(id string) (*transport.Poll, error) {
	s, err := g.httpSocket(id)
	if err != nil {
		return nil, err
	}
	p, ok := s.out.(*transport.Poll)
	if !ok {
		return nil, errUnknownSocket
	}
	return p, nil
}

// serveStream is GET /api/stream: a socket whose frames come as server-sent events,
// for as long as the request lasts.
func (g *Gateway) serveStream(w http.ResponseWriter, r *http.Request) {
	s, h := newHTTPSocket(g, w, r, transport.NewStream)
	if s == nil {
		return
	}
	defer g.remove(s)
	defer s.leave()
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store, no-transform")
	header.Set("X-Accel-Buffering", "no") // nginx
	h.Serve(r.Context(), w)
}

// servePoll is POST /api/poll: the next frame of a socket, or a new socket.
func (g *Gateway) servePoll(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Socket string `json:"socket"`
		N      uint64 `json:"n"`
		WaitMs int64  `json:"waitMs"`
	}
	if err := g.respond.ReadBody(w, r, httpcall.Body{Option: "message", MaxBytes: g.opts.Limits.Message, Form: `{"socket":"…","n":…}`}, &body); err != nil {
		g.respond.Fail(w, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	wait := time.Duration(min(max(body.WaitMs, 0), longestPoll.Milliseconds())) * time.Millisecond
	var p *transport.Poll
	if body.Socket != "" {
		if err := checkVersion(r); err != nil {
			g.respond.Fail(w, err)
			return
		}
		if g.forward(w, r, host.SocketRequest{Socket: body.Socket, N: body.N, Poll: true, Wait: wait}) {
			return
		}
		var err error
		if p, err = g.poll(body.Socket); err != nil {
			g.failTransport(w, r, err)
			return
		}
		if p.Repeats(body.N) && g.isFutile(w, r) {
			return
		}
	} else {
		var s *socket
		if s, p = newHTTPSocket(g, w, r, transport.NewPoll); s == nil {
			return
		}
		g.sockets.running.Go(func() {
			<-p.Done()
			s.leave()
			g.remove(s)
		})
		wait = longestPoll // there is a hello
	}
	begin := time.Now()
	answered, err := p.Serve(r.Context(), w, body.N, wait)
	switch {
	case err != nil:
		g.failTransport(w, r, err)
	case !answered && time.Since(begin) < shortPoll && g.isFutile(w, r):
	case !answered:
		httpcall.WriteJSON(w, http.StatusOK, []wire.ServerMessage{})
	}
}

// servePost is POST /api/stream: a frame of the client of a stream or of polls.
func (g *Gateway) servePost(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Socket string          `json:"socket"`
		N      uint64          `json:"n"`
		Frame  json.RawMessage `json:"frame"`
	}
	if err := checkVersion(r); err != nil {
		g.respond.Fail(w, err)
		return
	}
	if err := g.respond.ReadBody(w, r, httpcall.Body{Option: "frame", MaxBytes: g.opts.Limits.Frame + postRoom, Form: `{"socket":"…","n":…,"frame":[…]}`, AnyBytes: true}, &body); err != nil {
		g.respond.Fail(w, err)
		return
	}
	q := host.SocketRequest{Socket: body.Socket, N: body.N, Frame: body.Frame}
	if g.forward(w, r, q) {
		return
	}
	repeated, err := g.post(r.Context(), q)
	if err != nil {
		g.failTransport(w, r, err)
		return
	}
	if repeated && g.isFutile(w, r) {
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

// post hands a post to its socket, in turn. One that is repeated has no effect.
func (g *Gateway) post(ctx context.Context, q host.SocketRequest) (repeated bool, err error) {
	s, err := g.httpSocket(q.Socket)
	if err != nil {
		return false, err
	}
	if g.sockets.isQuiesced() {
		return false, errShutdown
	}
	h := s.out.(transport.HTTP)
	h.Clock().Heard()
	next, err := h.Post(ctx, q.N)
	if err != nil || !next {
		return err == nil, err
	}
	return false, s.receivePost(h, q.Frame)
}

// receivePost handles the frame of a post, as a reader does. The error is for the client;
// there is one if it broke the protocol, which ends the socket.
func (s *socket) receivePost(h transport.HTTP, frame []byte) (err error) {
	defer h.Posted()
	defer func() {
		if v := recover(); v != nil {
			s.g.panicked(v, s)
			s.failed()
			err = host.Faultf(wire.CodeInternal, "internal error; see the server log")
		}
	}()
	switch err := s.receiver.receive(frame); {
	case errors.Is(err, limit.ErrFlood):
		s.close(websocket.StatusPolicyViolation, wire.CodeRateLimited)
		return host.Faultf(wire.CodeRateLimited, "too many messages for too long")
	case errors.Is(err, wire.ErrNotJSON):
		s.close(websocket.StatusPolicyViolation, "a frame is JSON text")
		return host.Faultf(wire.CodeMalformed, "a frame is a JSON object or an array of them")
	case errors.Is(err, wire.ErrNotUTF8):
		s.close(websocket.StatusInvalidFramePayloadData, "a frame is UTF-8")
		return host.Faultf(wire.CodeMalformed, "a frame is UTF-8")
	}
	return nil
}

var _ host.SocketServer = (*Gateway)(nil)

// socketPrefix is what ids of sockets over HTTP begin with: the node's number in its cluster.
func (g *Gateway) socketPrefix() string {
	if g.opts.Forward == nil {
		return ""
	}
	slot := g.opts.Forward.Slot()
	if slot == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(slot), 10) + "."
}

// elsewhere returns the number of the node that has a socket over HTTP; 0 if that can only be
// this one. A node may get a new number while its sockets stay.
func (g *Gateway) elsewhere(id string) uint32 {
	number, _, ok := strings.Cut(id, ".")
	if !ok || len(id) > maxSocketID || g.opts.Forward == nil || g.sockets.get(id) != nil {
		return 0
	}
	slot, err := strconv.ParseUint(number, 10, 32)
	if err != nil || uint32(slot) == g.opts.Forward.Slot() {
		return 0
	}
	return uint32(slot)
}

// forward answers a request for a socket of another node with the answer from there. It reports
// false if the socket can only be of this node.
//
// The origin and the version have been checked here, and the other node checks all that concerns
// the socket. Its client's address is known here alone, so that it is limited here.
func (g *Gateway) forward(w http.ResponseWriter, r *http.Request, q host.SocketRequest) bool {
	slot := g.elsewhere(q.Socket)
	if slot == 0 {
		return false
	}
	if g.ctx.Err() != nil {
		g.respond.Fail(w, errShutdown)
		return true
	}
	done, limited := g.admission.Forward(forwarded.Counted(r), q.Poll)
	if limited != nil {
		g.respond.Fail(w, limited)
		return true
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(g.ctx, cancel)()
	begin := time.Now()
	answer, err := g.opts.Forward.Forward(ctx, slot, q)
	var fault *host.Fault
	missed := errors.As(err, &fault) && fault.Code == wire.CodeUnknownSocket
	done(missed)
	const empty = len("[]")
	switch {
	case err == nil && q.Poll && len(answer) <= empty && time.Since(begin) < shortPoll && g.isFutile(w, r):
		return true
	case err == nil && q.Poll:
		g.buffers.Reserve(len(answer))
		defer g.buffers.Release(len(answer))
		httpcall.WriteBody(w, http.StatusOK, answer)
		return true
	case err == nil:
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
		return true
	case g.ctx.Err() != nil:
		err = errShutdown
	case missed: // and counted
		g.respond.Fail(w, err)
		return true
	}
	g.failTransport(w, r, err)
	return true
}

// ServeSocket implements host.SocketServer.
func (g *Gateway) ServeSocket(ctx context.Context, q host.SocketRequest, write func(context.Context, []byte) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			g.panicked(v, nil)
			err = host.Faultf(wire.CodeInternal, "internal error; see the server log")
		}
	}()
	if !q.Poll {
		return transportFault(g.postUntil(ctx, q))
	}
	p, err := g.poll(q.Socket)
	if err != nil {
		return err
	}
	w := &linkWriter{ctx: ctx, write: write, header: http.Header{}}
	answered, err := p.Serve(ctx, w, q.N, min(max(q.Wait, 0), longestPoll))
	switch {
	case err != nil:
		return transportFault(err)
	case !answered:
		_, err = w.Write([]byte("[]"))
		return err
	case w.err == nil && !w.complete():
		return errUnknownSocket // it was closed meanwhile
	}
	return w.err
}

// postUntil is post for a request of another node. It does not wait any longer when ctx ends: a client
// that takes no answers, or sends too much, keeps its post waiting, but not the other node.
func (g *Gateway) postUntil(ctx context.Context, q host.SocketRequest) error {
	posted := make(chan error, 1)
	go func() {
		_, err := g.post(ctx, q)
		posted <- err
	}()
	select {
	case err := <-posted:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
