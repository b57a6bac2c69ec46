package gateway

import (
	"encoding/json"
	"math"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

const (
	maxTurned  = 1000            // sockets at a time that are told why they are refused
	maxIdle    = 1 << 16         // visitors without sockets that are remembered
	warnEvery  = time.Minute     // how often the log tells of refusals
	fullRetry  = 5 * time.Second // when to ask again after a refusal for the number of sockets
	callsBurst = 2               // seconds' worth of calls at once
)

// An admission decides who may come in: how many sockets there are, in all and of
// one address, and how often an address connects and calls. All its methods may be
// called at the same time.
type admission struct {
	opts *Options

	mu       sync.Mutex
	sockets  int // in all
	visitors map[netip.Prefix]*visitor
	idle     int       // visitors without sockets
	turned   int       // sockets that are being told why they are refused
	warned   time.Time // when the log was last told of a refusal
}

// A visitor is an address (of IPv6 the network of a host, /64) that is limited.
type visitor struct {
	sockets  int
	connects *rate.Limiter
	calls    *rate.Limiter
}

// A ticket is a place for a socket. The zero ticket is none.
type ticket struct {
	from   netip.Prefix // the zero Prefix: for nobody in particular
	ok     bool
	turned bool
}

func newAdmission(o *Options) *admission {
	return &admission{opts: o, visitors: map[netip.Prefix]*visitor{}}
}

// socket admits a socket of an address, until leave.
func (a *admission) socket(addr netip.Addr) (ticket, *host.Fault) {
	t, e := a.trySocket(addr)
	if e != nil {
		a.refused(addr, e)
	}
	return t, e
}

func (a *admission) trySocket(addr netip.Addr) (ticket, *host.Fault) {
	o := a.opts
	a.mu.Lock()
	defer a.mu.Unlock()
	if o.MaxSockets > 0 && a.sockets >= o.MaxSockets {
		return ticket{}, refusal(wire.CodeOverloaded, "the server has as many sockets as it may", o.MaxSockets, "max-sockets", fullRetry)
	}
	from, limited := forwarded.Network(addr)
	if !limited || o.MaxSocketsPerIP == 0 && o.ConnectRatePerIP == 0 {
		a.sockets++
		return ticket{ok: true}, nil
	}
	v := a.visitorLocked(from)
	if wait := take(v.connects); wait > 0 {
		return ticket{}, refusal(wire.CodeRateLimited, "too many sockets per second from this address", o.ConnectRatePerIP, "connect-rate-per-ip", wait)
	}
	if o.MaxSocketsPerIP > 0 && v.sockets >= o.MaxSocketsPerIP {
		return ticket{}, refusal(wire.CodeTooManySockets, "too many sockets from this address", o.MaxSocketsPerIP, "max-sockets-per-ip", fullRetry)
	}
	if v.sockets++; v.sockets == 1 {
		a.idle--
	}
	a.sockets++
	return ticket{from: from, ok: true}, nil
}

// turnAway admits a socket that is only told why it is refused, until leave, unless
// there are many of those.
func (a *admission) turnAway() (t ticket, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.turned >= maxTurned {
		return ticket{}, false
	}
	a.turned++
	return ticket{ok: true, turned: true}, true
}

// leave gives the place of a socket back.
func (a *admission) leave(t ticket) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case !t.ok:
		return
	case t.turned:
		a.turned--
		return
	}
	a.sockets--
	if v := a.visitors[t.from]; v != nil {
		if v.sockets--; v.sockets == 0 {
			a.idle++
		}
	}
}

// call admits a call over HTTP.
func (a *admission) call(addr netip.Addr) *host.Fault {
	from, limited := forwarded.Network(addr)
	if !limited || a.opts.CallRatePerIP == 0 {
		return nil
	}
	a.mu.Lock()
	wait := take(a.visitorLocked(from).calls)
	a.mu.Unlock()
	if wait == 0 {
		return nil
	}
	e := refusal(wire.CodeRateLimited, "too many calls per second from this address", a.opts.CallRatePerIP, "call-rate-per-ip", wait)
	a.refused(addr, e)
	return e
}

// visitorLocked returns the visitor of an address, a new one if need be.
func (a *admission) visitorLocked(from netip.Prefix) *visitor {
	v := a.visitors[from]
	if v == nil {
		if a.idle >= maxIdle {
			a.forgetOneLocked()
		}
		o := a.opts
		v = &visitor{
			connects: limiter(o.ConnectRatePerIP, max(o.ConnectRatePerIP, float64(o.MaxSocketsPerIP))),
			calls:    limiter(o.CallRatePerIP, callsBurst*o.CallRatePerIP),
		}
		a.visitors[from] = v
		a.idle++
	}
	return v
}

func (a *admission) forgetOneLocked() {
	for from, v := range a.visitors { // begins somewhere
		if v.sockets == 0 {
			delete(a.visitors, from)
			a.idle--
			return
		}
	}
}

// tend forgets the visitors who may do again all that they might at first.
func (a *admission) tend(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.idle == 0 {
		return
	}
	for from, v := range a.visitors {
		if v.sockets == 0 && full(v.connects, now) && full(v.calls, now) {
			delete(a.visitors, from)
			a.idle--
		}
	}
}

// refused has the log tell of a refusal, not more often than it helps.
func (a *admission) refused(addr netip.Addr, e *host.Fault) {
	now := time.Now()
	a.mu.Lock()
	due := now.Sub(a.warned) >= warnEvery
	if due {
		a.warned = now
	}
	a.mu.Unlock()
	if due {
		var m host.Limit
		_ = json.Unmarshal(e.Metadata, &m) // refusal made it
		a.opts.Logger.Warn("gateway: a client is refused; if its address is that of a proxy, name that in -trusted-proxies",
			"address", addr, "code", e.Code, "limit", m.Limit, "option", m.Option)
	}
}

// limiter is a token bucket; nil without a rate.
func limiter(perSecond, burst float64) *rate.Limiter {
	if perSecond <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(perSecond), int(math.Ceil(burst)))
}

// take takes a token from a bucket. If there is none, it returns how long to wait
// for one.
func take(l *rate.Limiter) (wait time.Duration) {
	if l == nil || l.Allow() {
		return 0
	}
	r := l.Reserve()
	defer r.Cancel()
	return max(r.Delay(), time.Millisecond)
}

func full(l *rate.Limiter, now time.Time) bool {
	return l == nil || l.TokensAt(now) >= float64(l.Burst())
}

func refusal(code wire.Code, message string, limit any, option string, wait time.Duration) *host.Fault {
	return host.Limit{Limit: limit, Option: option, RetryAfterMs: retryMs(wait)}.Fault(code, message)
}

// retryMs is a wait in whole milliseconds, after which it is over.
func retryMs(wait time.Duration) int64 {
	return int64((wait + time.Millisecond - 1) / time.Millisecond)
}

// admit gives a place to the socket that a request asks for.
func (g *Gateway) admit(r *http.Request) (ticket, *host.Fault) {
	if g.buffers.full() {
		return ticket{}, g.buffers.overloaded()
	}
	return g.admission.socket(forwarded.Client(r))
}

// limitCalls refuses calls over HTTP from addresses that make too many, and all if
// there is no room for their answers.
func (g *Gateway) limitCalls(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e := g.admission.call(forwarded.Client(r)); e != nil {
			g.fail(w, e)
			return
		}
		if g.buffers.full() {
			g.fail(w, g.buffers.overloaded())
			return
		}
		next.ServeHTTP(w, r)
	})
}
