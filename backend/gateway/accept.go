package gateway

import (
	"net/http"
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

// serveSocket is GET /api/socket.
func (g *Gateway) serveSocket(w http.ResponseWriter, r *http.Request) {
	if !g.welcomes(w, r) {
		return
	}
	permit, refused := g.admit(r)
	if refused != nil {
		g.reject(w, r, refused)
		return
	}
	s, spread := g.acceptSocket(w, r, permit)
	if s == nil {
		return
	}
	s.control(wire.AppendHello(nil, g.hello(spread)))
	g.sockets.running.Go(s.reader.loop) // in a goroutine: the handler returns, which frees the HTTP server's buffers
}

// welcomes reports whether a request may become a socket; else it has answered the
// request.
func (g *Gateway) welcomes(w http.ResponseWriter, r *http.Request) bool {
	if err := checkVersion(r); err != nil {
		g.respond.Fail(w, err)
		return false
	}
	if g.sockets.isQuiesced() {
		g.respond.Fail(w, errShutdown)
		return false
	}
	if e := g.auth.headerFault(r); e != nil {
		g.stats.errors.Add(e.Code)
		httpcall.WriteError(w, http.StatusRequestHeaderFieldsTooLarge, e.Code, e.Message, e.Metadata)
		return false
	}
	return true
}

// checkVersion refuses a query that is not v=1, or empty.
func checkVersion(r *http.Request) error {
	query, err := httpcall.ParseQuery(r, "v")
	if err == nil && query.Has("v") && query.Get("v") != "1" {
		err = host.Faultf(wire.CodeMalformed, "this server speaks version 1 of the protocol; write ?v=1")
	}
	return err
}

// hello is the first message on every socket.
func (g *Gateway) hello(spread time.Duration) wire.Hello {
	return wire.Hello{
		Limits: g.opts.Limits, BeatMs: heartbeatInterval.Milliseconds(), DeadMs: idleTimeout.Milliseconds(), SpreadMs: spread.Milliseconds(),
		Contract: g.opts.Contract, Parts: g.opts.Parts,
	}
}

// refuseSocket accepts a socket only to close it: a browser hides a refused upgrade from
// the page, but shows it the messages and the close reason of an accepted socket. tell is
// a message to send first, nil for none. It reports false, and does nothing, if too many
// such sockets are open.
func (g *Gateway) refuseSocket(w http.ResponseWriter, r *http.Request, tell []byte, status websocket.StatusCode, reason string) bool {
	permit, ok := g.admission.Reject()
	if !ok {
		return false
	}
	s, _ := g.acceptSocket(w, r, permit)
	if s == nil {
		return true
	}
	if tell != nil {
		f := transport.NewFrame()
		f.Put(append(f.Begin(), tell...))
		s.flushing.begin()
		if s.out.Send(f) {
			s.rest()
		}
	}
	s.close(status, reason)
	g.sockets.running.Go(s.reader.loop) // which discards what it reads by now
	return true
}

// admit checks whether there is room for the socket that a request asks for.
func (g *Gateway) admit(r *http.Request) (limit.Permit, *host.Fault) {
	if g.buffers.Full() || g.headers.Full() {
		return limit.Permit{}, g.buffers.Overloaded()
	}
	return g.admission.Socket(forwarded.Counted(r))
}

// reject refuses a socket; the error says when to retry.
func (g *Gateway) reject(w http.ResponseWriter, r *http.Request, e *host.Fault) {
	tell := wire.AppendError(nil, 0, e.Code, e.Message, e.Metadata)
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && g.refuseSocket(w, r, tell, statusTryAgain, e.Code) {
		g.stats.errors.Add(e.Code)
		return
	}
	g.respond.Fail(w, e)
}

// newSocket makes a socket of a request, with nothing below it yet.
func (g *Gateway) newSocket(r *http.Request, permit limit.Permit) *socket {
	s := &socket{g: g, permit: permit, attachment: host.NextAttachment()}
	if g.opts.Node != nil {
		s.attachment.Node = g.opts.Node()
	}
	if !permit.Rejects() { // else it opens no channel
		s.auth = g.auth.socket(r)
	}
	s.address, s.from = forwarded.Client(r), forwarded.Source(forwarded.Counted(r))
	s.traffic = g.stats.traffic.Stripe(s.attachment.N >> 32)
	s.reader.s, s.outbox = s, newOutbox(g.buffers)
	s.beats.s = s
	s.receiver = receiver{s: s, rate: g.opts.messageRate()}
	return s
}

// acceptSocket makes a request a socket. It returns the time over which the client should
// spread reconnects. A nil socket means that it failed, answered the request and returned
// the permit.
func (g *Gateway) acceptSocket(w http.ResponseWriter, r *http.Request, permit limit.Permit) (*socket, time.Duration) {
	s := g.newSocket(r, permit)
	// Origins have been checked for all of the API (origin.go).
	ws, err := transport.Accept(w, r, s.transportConfig(), func(status int) {
		httpcall.WriteError(w, status, wire.CodeMalformed, "this address speaks WebSocket: "+http.StatusText(status), nil)
	})
	if err != nil {
		g.admission.Leave(permit)
		return nil, 0
	}
	s.reader.ws, s.out = ws, ws
	spread, ok := g.add(s)
	if !ok {
		g.admission.Leave(permit)
		_ = ws.CloseNow() // the server is going away: the client will find another one
		return nil, 0
	}
	return s, spread
}

// transportConfig is that of the transport of a socket.
func (s *socket) transportConfig() transport.Config {
	return transport.Config{
		Timeout: writeTimeout, Buffers: s.g.buffers, Wrote: s.wrote, Broke: s.broke,
		Prefix: s.g.socketPrefix(), MaxFrame: s.g.opts.Limits.Frame, Charge: s.receiver.charge, Spawn: s.g.sockets.running.Go,
	}
}
