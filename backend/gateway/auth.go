package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/gateway/limit"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/fair"
	"github.com/troupe-dev/troupe/backend/wire"
)

// An actor's OnAuth authenticates a client, and it may be slow. So an open of an actor
// that has one, and new params for it, become authRequests, which wait for OnAuth outside
// the socket's reader. Whatever else the client sends on the channel meanwhile is
// postponed, and handled in order afterwards. An OnAuth that refuses closes the channel;
// the actor does not notice.

const (
	maxSocketAuths  = 8         // of a socket that are under way; its others wait
	maxAuths        = 256       // the same, of all sockets
	maxAddressAuths = 2_000     // that wait, of one address and definition; beyond: overloaded
	maxWaitingAuths = 10_000    // the same, of all
	maxPending      = 256 << 10 // bytes that wait, of one socket; beyond: overloaded
	maxHeader       = 8 << 10   // bytes of a request's header that a socket keeps; beyond: 431
)

// socketAuth is what a socket keeps for OnAuth: of the HTTP request that opened it the
// client's address and the header, written out, because a map takes more for each idle
// client; and the requests that wait. Its methods may be called at the same time.
type socketAuth struct {
	addr    string
	from    string // see host.OpenRequest
	header  string
	headers *limit.Buffers // of headers, which stay for as long as sockets
	buffers *limit.Buffers

	pending atomic.Int32 // channels with a pendingAuth

	mu      sync.Mutex
	running int
	waiting []*authRequest
	bytes   int  // of requests and of postponed messages
	closed  bool // nothing is counted in buffers any more
}

// reserve counts bytes of something that waits for OnAuth. It reports false, and counts
// nothing, if that would be more than maxPending.
func (k *socketAuth) reserve(bytes int) (ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.bytes+bytes > maxPending {
		return false
	}
	k.addLocked(bytes)
	return true
}

// add counts bytes whatever the limit is; negative ones are released.
func (k *socketAuth) add(bytes int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.addLocked(bytes)
}

func (k *socketAuth) addLocked(bytes int) {
	k.bytes += bytes
	if !k.closed {
		k.buffers.Reserve(bytes)
	}
}

// enter takes in a request whose bytes are reserved. It reports whether the caller has to
// start it, else it waits for leave.
func (k *socketAuth) enter(a *authRequest) (start bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.running >= maxSocketAuths {
		k.waiting = append(k.waiting, a)
		return false
	}
	a.started = true
	k.running++
	return true
}

// leave ends a request that was started. It returns the next one to start, nil if none
// waits.
func (k *socketAuth) leave() (next *authRequest) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.waiting) == 0 {
		k.running--
		return nil
	}
	next, k.waiting = k.waiting[0], k.waiting[1:]
	next.started = true
	return next
}

// open counts what the socket keeps from now on.
func (k *socketAuth) open() { k.headers.Reserve(len(k.header)) }

// close gives back what was counted, and counts nothing more.
func (k *socketAuth) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.buffers.Release(k.bytes)
	k.headers.Release(len(k.header))
	k.closed = true
}

// notKept are the header fields that do not identify a client.
var notKept = map[string]bool{
	"Connection": true, "Upgrade": true, "Sec-Websocket-Key": true, "Sec-Websocket-Version": true,
	"Sec-Websocket-Extensions": true, "Sec-Websocket-Protocol": true, "Accept-Encoding": true,
	"Cache-Control": true, "Pragma": true,
}

// An authenticator runs the OnAuth of actors. Its methods may be called at the same time.
type authenticator struct {
	host        host.Host
	definitions host.Definitions
	buffers     *limit.Buffers
	headers     *limit.Buffers
}

// headerFault returns why a socket cannot keep the header of a request for OnAuth; nil if
// it can.
func (a authenticator) headerFault(r *http.Request) *host.Fault {
	if !a.definitions.Authenticates("") {
		return nil
	}
	const colonAndLineEnd = 4
	size := 0
	for name, values := range r.Header {
		if notKept[name] {
			continue
		}
		for _, v := range values {
			size += len(name) + len(v) + colonAndLineEnd
		}
	}
	if size <= maxHeader {
		return nil
	}
	return host.Limit{Size: size, Limit: maxHeader, Option: "header"}.
		Fault(wire.CodeTooLarge, fmt.Sprintf("the header of a socket's request is at most %d bytes, this one has %d; do its cookies belong to other parts of the site?", maxHeader, size))
}

// socket keeps what OnAuth needs of the request that opens a socket; nil if no actor
// has an OnAuth.
func (a authenticator) socket(r *http.Request) *socketAuth {
	if !a.definitions.Authenticates("") {
		return nil
	}
	var b strings.Builder
	_ = r.Header.WriteSubset(&b, notKept) // to memory: it does not fail
	return &socketAuth{addr: clientAddr(r), from: forwarded.Source(forwarded.Counted(r)), header: strings.Clone(b.String()), headers: a.headers, buffers: a.buffers}
}

func clientAddr(r *http.Request) string {
	if addr := forwarded.Client(r); addr.IsValid() {
		return addr.String()
	}
	return ""
}

// request is the argument of OnAuth for a connection.
func (k *socketAuth) request(params json.RawMessage) (host.AuthRequest, error) {
	header, err := textproto.NewReader(bufio.NewReader(strings.NewReader(k.header + "\r\n"))).ReadMIMEHeader()
	return host.AuthRequest{Header: header, RemoteAddr: k.addr, Params: params, From: k.from}, err
}

// request authenticates a request that opens no socket.
func (a authenticator) request(r *http.Request, ref host.Ref, action string) (host.Identity, error) {
	if !a.definitions.Authenticates(ref.Name) {
		return host.Identity{}, nil
	}
	return a.authenticate(r.Context(), ref, host.AuthRequest{Action: action, Header: r.Header, RemoteAddr: clientAddr(r), From: forwarded.Source(forwarded.Counted(r))})
}

// authenticate runs the OnAuth of an actor. An actor that is known by its id alone is
// resolved first: its name says which OnAuth, which decides by its key.
func (a authenticator) authenticate(ctx context.Context, ref host.Ref, q host.AuthRequest) (host.Identity, error) {
	if ref.Name == "" {
		var err error
		if ref, err = a.host.Resolve(ctx, ref); err != nil {
			return host.Identity{}, err
		}
	}
	return a.definitions.Authenticate(ctx, ref, q)
}

// authenticates reports whether the channel has to wait for OnAuth.
func (c *channel) authenticates() bool {
	return c.s.auth != nil && c.s.g.definitions.Authenticates(c.fanout.ref.Name)
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

// dropPendingLocked cancels what the channel waits for. It needs s.mu.
func (c *channel) dropPendingLocked() {
	if h := c.pendingAuth; h != nil {
		c.pendingAuth = nil
		h.cancel()
		for _, m := range h.messages {
			c.s.auth.add(-m.size)
		}
		c.s.auth.pending.Add(-1)
	}
}

// postpone keeps a message for later, and reports true, if its channel waits for OnAuth.
func (r *receiver) postpone(m *wire.ClientMessage, at wire.Envelope) bool {
	s := r.s
	if s.auth == nil || s.auth.pending.Load() == 0 || m.Type == wire.TypeOpen {
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
	h, ok := c.pendingAuth, true
	if !h.closed { // else nothing comes after it
		if ok = s.auth.reserve(size); !ok && m.Type == wire.TypeClose {
			s.auth.add(size)
			ok = true
		}
		if ok {
			h.messages = append(h.messages, pendingMessage{*m, size})
			h.closed = m.Type == wire.TypeClose
		}
	}
	s.mu.Unlock()
	if !ok {
		r.refuse(at, wire.CodeOverloaded, "too many messages while the connection is authenticated",
			host.Limit{Limit: maxPending, Option: "heldForAuth"}.JSON())
	}
	return true
}

// runPending handles the postponed messages, up to the next one that has to wait.
func (r *receiver) runPending(c *channel) {
	s := r.s
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
		s.mu.Unlock()
		s.auth.add(-m.size)
		r.do(&m.ClientMessage, wire.Envelope{Type: m.Type, Channel: m.Channel, ID: m.ID})
	}
}

// An authRequest is an open, or new params, that waits for OnAuth.
type authRequest struct {
	s      *socket
	c      *channel
	opened bool // the owner of the actor knows the channel
	params json.RawMessage
	size   int
	then   func(who host.Identity) error // hands it to the owner

	ctx      context.Context // ends with the channel
	reserved bool            // its size is counted
	started  bool            // guarded by the socketAuth's mu until then
}

// authOpen opens the channel when OnAuth has answered.
func (c *channel) authOpen(r host.OpenRequest) {
	a := &authRequest{s: c.s, c: c, params: r.Params, size: len(r.Params) + len(r.Input), then: func(who host.Identity) error {
		r.Identity = who
		return c.s.g.host.Open(c.fanout.ref, r)
	}}
	a.queue()
}

// authRefresh gives the connection new params when OnAuth has answered.
func (c *channel) authRefresh(r host.RefreshRequest) {
	a := &authRequest{s: c.s, c: c, opened: true, params: r.Params, size: len(r.Params), then: func(who host.Identity) error {
		r.Identity = who
		return c.s.g.host.Refresh(c.followed(), r)
	}}
	a.queue()
}

// queue starts the request, or lets it wait.
func (a *authRequest) queue() {
	s := a.s
	const fixed = 512
	a.size += fixed
	var cancel context.CancelFunc
	a.ctx, cancel = context.WithCancel(context.Background())
	s.mu.Lock()
	if s.channels.get(a.c.num) != a.c { // it has ended meanwhile
		s.mu.Unlock()
		cancel()
		return
	}
	if a.c.pendingAuth == nil {
		a.c.pendingAuth = &pendingAuth{}
		s.auth.pending.Add(1)
	}
	a.c.pendingAuth.requests++
	a.c.pendingAuth.cancel, a.c.pendingAuth.asking = cancel, true
	a.reserved = s.auth.reserve(a.size)
	start := a.reserved && s.auth.enter(a)
	s.mu.Unlock()
	if !a.reserved {
		a.done(host.Identity{}, errAuthQueue(maxPending, "heldForAuth"))
	} else if start {
		s.g.authQueue.start(a)
	}
}

// errAuthQueue refuses a request that is over a limit.
func errAuthQueue(limit int, option string) *host.Fault {
	return host.Limit{Limit: limit, Option: option}.Fault(wire.CodeOverloaded, "too many connections wait to be authenticated")
}

// run implements job.
func (a *authRequest) run() {
	var who host.Identity
	q, err := a.s.auth.request(a.params)
	if err == nil {
		err = a.ctx.Err()
	}
	if err == nil {
		who, err = a.s.g.auth.authenticate(a.ctx, a.c.followed(), q)
	}
	a.done(who, err)
}

// failed is called when run panicked.
func (a *authRequest) failed() { a.s.failed() }

// done ends the request with the answer of OnAuth.
func (a *authRequest) done(who host.Identity, err error) {
	s, c, k := a.s, a.c, a.s.auth
	if a.reserved {
		k.add(-a.size)
	}
	var next *authRequest
	if a.started {
		next = k.leave()
	}
	s.mu.Lock()
	there := s.channels.get(c.num) == c
	if there {
		c.pendingAuth.asking = false
	}
	s.mu.Unlock()
	if next != nil {
		s.g.authQueue.start(next)
	}
	if !there || s.g.sockets.isQuiesced() {
		return // no channel waits for it, or it has no effect any more
	}
	if err == nil {
		err = a.then(who)
	}
	if err != nil {
		s.deny(c, a.opened, err)
		return
	}
	if s.channel(c.num) != c { // the socket ended while the request was handed over
		if !s.g.sockets.isQuiesced() {
			s.g.host.Detach(c.followed(), c.attachment)
		}
		return
	}
	s.receiver.runPending(c)
}

// An authQueue runs the authRequests of a gateway, maxAuths at a time, in turns of
// definitions and of addresses. What waits is bounded: for each address, and in all but for
// addresses that have little waiting.
type authQueue struct{ places *fair.Queue }

// start runs a request, or lets it wait until others have ended.
func (q *authQueue) start(a *authRequest) {
	of, by := a.c.fanout.ref.Name, a.s.from
	if all, own := q.places.Waiting(of, by); own >= maxAddressAuths || all >= maxWaitingAuths && own >= maxSocketAuths {
		a.done(host.Identity{}, errAuthQueue(maxWaitingAuths, "auths"))
		return
	}
	q.places.Acquire(of, by, func() {
		a.s.g.sockets.running.Go(func() {
			defer q.places.Release(of)
			a.s.g.runJob(a)
		})
	})
}
