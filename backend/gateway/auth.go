package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// An actor's OnAuth says who a client is, and it may be slow. So an open of an actor
// that has one, and new params for it, become authRequests: they wait for OnAuth away
// from the socket's reader. What else the client sends on the channel meanwhile is
// postponed, and done in order when the request is over. An OnAuth that refuses closes
// the channel; the actor does not hear of it.

const (
	maxSocketAuths  = 8         // of a socket that are under way; its others wait
	maxAuths        = 256       // the same, of all sockets
	maxWaitingAuths = 10_000    // that wait in all; beyond: overloaded
	maxPending      = 256 << 10 // bytes of what waits of one socket; beyond: overloaded
)

// identity is what a socket keeps for OnAuth. Of the HTTP request with which it was
// opened that is the client's address and the header, written out, because a map
// takes more for each idle client.
type identity struct {
	addr   string
	header string

	pending atomic.Int32 // channels with a pendingAuth

	// Guarded by the socket's mu.
	running int
	waiting []*authRequest
	bytes   int // of requests and of messages that are postponed
}

// notKept are the fields of a request that say nothing of who makes it.
var notKept = map[string]bool{
	"Connection": true, "Upgrade": true, "Sec-Websocket-Key": true, "Sec-Websocket-Version": true,
	"Sec-Websocket-Extensions": true, "Sec-Websocket-Protocol": true, "Accept-Encoding": true,
	"Cache-Control": true, "Pragma": true,
}

// An authenticator asks the OnAuth of actors who a client is. Its methods may be called
// at the same time.
type authenticator struct {
	host        host.Host
	definitions host.Definitions
}

// identity keeps what OnAuth needs of the request that opens a socket; nil if no actor
// has an OnAuth.
func (a authenticator) identity(r *http.Request) *identity {
	if !a.definitions.Authenticates("") {
		return nil
	}
	var b strings.Builder
	_ = r.Header.WriteSubset(&b, notKept) // to memory: it does not fail
	return &identity{addr: clientAddr(r), header: strings.Clone(b.String())}
}

func clientAddr(r *http.Request) string {
	if addr := forwarded.Client(r); addr.IsValid() {
		return addr.String()
	}
	return ""
}

// request is what OnAuth is asked about a connection.
func (k *identity) request(params json.RawMessage) (host.AuthRequest, error) {
	header, err := textproto.NewReader(bufio.NewReader(strings.NewReader(k.header + "\r\n"))).ReadMIMEHeader()
	return host.AuthRequest{Header: header, RemoteAddr: k.addr, Params: params}, err
}

// request authenticates a request that opens no socket.
func (a authenticator) request(r *http.Request, ref host.Ref, action string) (json.RawMessage, error) {
	if !a.definitions.Authenticates(ref.Name) {
		return nil, nil
	}
	return a.authenticate(r.Context(), ref, host.AuthRequest{Action: action, Header: r.Header, RemoteAddr: clientAddr(r)})
}

// authenticate asks the OnAuth of an actor. An actor that is known by its id alone is
// resolved first: its name says which OnAuth, which decides by its key.
func (a authenticator) authenticate(ctx context.Context, ref host.Ref, q host.AuthRequest) (json.RawMessage, error) {
	if ref.Name == "" {
		var err error
		if ref, err = a.host.Resolve(ctx, ref); err != nil {
			return nil, err
		}
	}
	return a.definitions.Authenticate(ctx, ref, q)
}

// authenticates reports whether a channel has to wait for OnAuth.
func (s *socket) authenticates(c *channel) bool {
	return s.identity != nil && s.g.definitions.Authenticates(c.fanout.ref.Name)
}

// pendingAuth is what a channel keeps while it waits for OnAuth; guarded by the socket's
// mu.
type pendingAuth struct {
	requests int // that the channel has had
	cancel   context.CancelFunc
	asking   bool             // OnAuth has not answered
	messages []pendingMessage // in order
	closed   bool             // the last one is a close
}

type pendingMessage struct {
	wire.ClientMessage
	size int
}

// reserveAuthLocked counts bytes of what waits for OnAuth, or (negative) no more. It
// needs s.mu.
func (s *socket) reserveAuthLocked(bytes int) {
	s.identity.bytes += bytes
	s.reserveLocked(bytes)
}

// dropPendingLocked cancels what the channel waits for. It needs s.mu.
func (c *channel) dropPendingLocked() {
	if h := c.pendingAuth; h != nil {
		c.pendingAuth = nil
		h.cancel()
		for _, m := range h.messages {
			c.s.reserveAuthLocked(-m.size)
		}
		c.s.identity.pending.Add(-1)
	}
}

// postpone keeps a message for later, and reports true, if its channel waits for OnAuth.
func (s *socket) postpone(m *wire.ClientMessage, at wire.Envelope) bool {
	if s.identity == nil || s.identity.pending.Load() == 0 || m.Type == wire.TypeOpen {
		return false
	}
	const fixed = 256
	size := fixed + len(m.Params)
	for _, a := range m.Args {
		size += len(a)
	}
	for _, e := range m.Events {
		size += len(e)
	}
	s.mu.Lock()
	c := s.channels.get(m.Channel)
	if c == nil || c.pendingAuth == nil {
		s.mu.Unlock()
		return false
	}
	h, full := c.pendingAuth, s.identity.bytes+size > maxPending
	switch {
	case h.closed: // nothing comes after it
		full = false
	case !full || m.Type == wire.TypeClose:
		h.messages = append(h.messages, pendingMessage{*m, size})
		s.reserveAuthLocked(size)
		h.closed, full = m.Type == wire.TypeClose, false
	}
	s.mu.Unlock()
	if full {
		s.refuse(at, wire.CodeOverloaded, "too much waits for the connection to be authenticated",
			host.Limit{Limit: maxPending, Option: "heldForAuth"}.JSON())
	}
	return true
}

// runPending handles the postponed messages, up to the next one that has to wait.
func (s *socket) runPending(c *channel) {
	for first := 0; ; {
		s.mu.Lock()
		h := c.pendingAuth
		if h != nil && first == 0 {
			first = h.requests
		}
		if h == nil || h.requests != first { // the next request continues from here
			s.mu.Unlock()
			return
		}
		if len(h.messages) == 0 {
			c.dropPendingLocked()
			s.mu.Unlock()
			return
		}
		m := h.messages[0]
		h.messages[0] = pendingMessage{}
		h.messages = h.messages[1:]
		s.reserveAuthLocked(-m.size)
		s.mu.Unlock()
		s.do(&m.ClientMessage, wire.Envelope{Type: m.Type, Channel: m.Channel, ID: m.ID})
	}
}

// An authRequest is an open, or new params, that waits for OnAuth.
type authRequest struct {
	s      *socket
	c      *channel
	opened bool // the owner of the actor knows the channel
	params json.RawMessage
	size   int
	then   func(auth json.RawMessage) error // hands it to the owner

	ctx     context.Context // ends with the channel
	started bool
}

func (s *socket) authOpen(c *channel, r host.OpenRequest) {
	s.queueAuth(&authRequest{s: s, c: c, params: r.Params, size: len(r.Params) + len(r.Input), then: func(auth json.RawMessage) error {
		r.Auth = auth
		return s.g.host.Open(c.fanout.ref, r)
	}})
}

func (s *socket) authRefresh(c *channel, r host.RefreshRequest) {
	s.queueAuth(&authRequest{s: s, c: c, opened: true, params: r.Params, size: len(r.Params), then: func(auth json.RawMessage) error {
		r.Auth = auth
		return s.g.host.Refresh(c.followed(), r)
	}})
}

// queueAuth starts a request, or lets it wait.
func (s *socket) queueAuth(a *authRequest) {
	const fixed = 512
	a.size += fixed
	var cancel context.CancelFunc
	a.ctx, cancel = context.WithCancel(context.Background())
	k := s.identity
	s.mu.Lock()
	if s.channels.get(a.c.num) != a.c { // it has ended meanwhile
		s.mu.Unlock()
		cancel()
		return
	}
	if a.c.pendingAuth == nil {
		a.c.pendingAuth = &pendingAuth{}
		k.pending.Add(1)
	}
	a.c.pendingAuth.requests++
	a.c.pendingAuth.cancel, a.c.pendingAuth.asking = cancel, true
	full := k.bytes+a.size > maxPending
	s.reserveAuthLocked(a.size)
	switch {
	case full:
	case k.running < maxSocketAuths:
		a.started = true
		k.running++
	default:
		k.waiting = append(k.waiting, a)
	}
	s.mu.Unlock()
	if full {
		a.done(nil, errAuthQueue(maxPending, "heldForAuth"))
	} else if a.started {
		s.g.authQueue.start(a)
	}
}

// errAuthQueue refuses a request that is over a limit.
func errAuthQueue(limit int, option string) *host.Fault {
	return host.Limit{Limit: limit, Option: option}.Fault(wire.CodeOverloaded, "too many connections wait to be authenticated")
}

// run implements job.
func (a *authRequest) run() {
	var auth json.RawMessage
	q, err := a.s.identity.request(a.params)
	if err == nil {
		err = a.ctx.Err()
	}
	if err == nil {
		auth, err = a.s.g.auth.authenticate(a.ctx, a.c.followed(), q)
	}
	a.done(auth, err)
}

// failed is called when run panicked.
func (a *authRequest) failed() { a.s.failed() }

// done ends the request with the answer of OnAuth.
func (a *authRequest) done(auth json.RawMessage, err error) {
	s, c, k := a.s, a.c, a.s.identity
	var next *authRequest
	s.mu.Lock()
	s.reserveAuthLocked(-a.size)
	if a.started {
		k.running--
		if len(k.waiting) > 0 {
			next, k.waiting = k.waiting[0], k.waiting[1:]
			next.started = true
			k.running++
		}
	}
	there := s.channels.get(c.num) == c
	if there {
		c.pendingAuth.asking = false
	}
	s.mu.Unlock()
	if next != nil {
		s.g.authQueue.start(next)
	}
	if !there || s.g.isQuiesced() {
		return // nobody waits for it, or it has no effect any more
	}
	if err == nil {
		err = a.then(auth)
	}
	if err != nil {
		s.deny(c, a.opened, err)
		return
	}
	if s.channel(c.num) != c { // the socket has ended while the owner was told of the channel
		if !s.g.isQuiesced() {
			s.g.host.Detach(c.followed(), c.attachment)
		}
		return
	}
	s.runPending(c)
}

// deny ends a channel whose client may not have it, or not for now. To the
// owner of its actor, if that knows it, its socket is gone.
func (s *socket) deny(c *channel, opened bool, err error) {
	s.forget(c)
	if opened {
		s.g.host.Detach(c.followed(), c.attachment)
	}
	s.refuseOpen(c.num, err)
}

// An authQueue runs the authRequests of a gateway, maxAuths at a time.
type authQueue struct {
	mu      sync.Mutex
	running int
	waiting []*authRequest
}

// start runs a request, or lets it wait until others have ended.
func (q *authQueue) start(a *authRequest) {
	q.mu.Lock()
	run, full := q.running < maxAuths, len(q.waiting) >= maxWaitingAuths
	switch {
	case run:
		q.running++
	case !full:
		q.waiting = append(q.waiting, a)
	}
	q.mu.Unlock()
	if run {
		a.s.g.sub.Go(func() { q.work(a) })
	} else if full {
		a.done(nil, errAuthQueue(maxWaitingAuths, "auths"))
	}
}

// work runs a request, and those that have waited for it to end.
func (q *authQueue) work(a *authRequest) {
	for a != nil {
		a.s.g.runJob(a)
		q.mu.Lock()
		if a = nil; len(q.waiting) > 0 {
			a, q.waiting = q.waiting[0], q.waiting[1:]
		} else {
			q.running--
		}
		q.mu.Unlock()
	}
}
