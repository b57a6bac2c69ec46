package limit

import (
	"encoding/json"
	"log/slog"
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

const (
	maxRejects = 1000            // rejected sockets that are open at the same time
	maxIdle    = 1 << 16         // remembered addresses without sockets
	warnEvery  = time.Minute     // how often the log reports refusals
	fullRetry  = 5 * time.Second // when to retry after a refusal for the number of sockets
	callsBurst = 2               // seconds' worth of calls at once
	newActors  = 500             // new actors at once: a page may open as many
)

// AdmissionOptions are the limits of an Admission. 0 means no limit.
type AdmissionOptions struct {
	MaxSockets       int     // in all
	MaxSocketsPerIP  int     // of one address
	ConnectRatePerIP float64 // new sockets per second and address; bursts up to MaxSocketsPerIP
	CallRatePerIP    float64 // HTTP calls per second and address; bursts of two seconds' worth
	ActorRatePerIP   float64 // new actors per second and address; bursts of 500

	Logger *slog.Logger
}

// An Admission limits how many sockets there are, in all and per address, and how often
// an address connects and calls. Of IPv6, the addresses of a network /64 count as one;
// loopback addresses are not limited. All its methods may be called at the same time.
type Admission struct {
	opts AdmissionOptions

	mu       sync.Mutex
	sockets  int // in all
	visitors map[netip.Prefix]*visitor
	idle     int       // visitors without sockets
	rejected int       // sockets that are open only to say why they are refused
	refused  uint64    // new actors that were refused
	warned   time.Time // when the log last reported a refusal
}

// A visitor is an address (of IPv6 the network of a host, /64) that is limited.
type visitor struct {
	sockets  int
	connects *rate.Limiter
	calls    *rate.Limiter
	futile   *rate.Limiter // as many as calls
	actors   *rate.Limiter

	posts, polls int // of Forward
}

// busy reports whether the visitor has something that it will give back.
func (v *visitor) busy() bool { return v.sockets+v.posts+v.polls > 0 }

// A Permit allows one socket, until it is returned with Leave. The zero Permit
// allows none.
type Permit struct {
	from   netip.Prefix // the zero Prefix: of an address that is not limited
	ok     bool
	reject bool
}

// Rejects reports whether the socket only says why it is refused.
func (p Permit) Rejects() bool { return p.reject }

// NewAdmission makes an Admission without visitors.
func NewAdmission(o AdmissionOptions) *Admission {
	return &Admission{opts: o, visitors: map[netip.Prefix]*visitor{}}
}

// Socket admits a socket from an address until Leave. If it is over a limit, the
// fault says which one and when to retry.
func (a *Admission) Socket(addr netip.Addr) (Permit, *host.Fault) {
	p, e := a.trySocket(addr)
	if e != nil {
		a.warn(addr, e)
	}
	return p, e
}

func (a *Admission) trySocket(addr netip.Addr) (Permit, *host.Fault) {
	o := &a.opts
	a.mu.Lock()
	defer a.mu.Unlock()
	if o.MaxSockets > 0 && a.sockets >= o.MaxSockets {
		return Permit{}, refusal(wire.CodeOverloaded, "socket limit reached", o.MaxSockets, "max-sockets", fullRetry)
	}
	from, limited := forwarded.Network(addr)
	if !limited || o.MaxSocketsPerIP == 0 && o.ConnectRatePerIP == 0 {
		a.sockets++
		return Permit{ok: true}, nil
	}
	v := a.visitorLocked(from)
	if wait := take(v.connects); wait > 0 {
		return Permit{}, refusal(wire.CodeRateLimited, "too many sockets per second from this address", o.ConnectRatePerIP, "connect-rate-per-ip", wait)
	}
	if o.MaxSocketsPerIP > 0 && v.sockets >= o.MaxSocketsPerIP {
		return Permit{}, refusal(wire.CodeTooManySockets, "too many sockets from this address", o.MaxSocketsPerIP, "max-sockets-per-ip", fullRetry)
	}
	if v.sockets++; v.sockets == 1 {
		a.idle--
	}
	a.sockets++
	return Permit{from: from, ok: true}, nil
}

// Reject admits, until Leave, a socket that only says why it is refused. ok is false
// if there are too many of those already.
func (a *Admission) Reject() (p Permit, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.rejected >= maxRejects {
		return Permit{}, false
	}
	a.rejected++
	return Permit{ok: true, reject: true}, true
}

// Leave returns a permit. Return each permit once.
func (a *Admission) Leave(p Permit) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case !p.ok:
		return
	case p.reject:
		a.rejected--
		return
	}
	a.sockets--
	if v := a.visitors[p.from]; v != nil {
		if v.sockets--; v.sockets == 0 {
			a.idle++
		}
	}
}

// Call admits an HTTP call from an address. If it is over the limit, the fault says
// when to retry.
func (a *Admission) Call(addr netip.Addr) *host.Fault {
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
	e := tooManyCalls(a.opts.CallRatePerIP, wait)
	a.warn(addr, e)
	return e
}

// Forward admits a request for a socket of another node, until done is called, with whether there was
// no such socket. It is refused if too many of the address's requests of that kind had none: those
// would take the room of others on the way to that node. A post that is under way counts as one of
// them. All others are free, as they are on the socket's own node. Polls wait, and carry little: of
// those there may be twice as many under way as the address may have sockets.
func (a *Admission) Forward(addr netip.Addr, poll bool) (done func(missed bool), e *host.Fault) {
	from, limited := forwarded.Network(addr)
	if !limited || a.opts.CallRatePerIP == 0 {
		return func(bool) {}, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	v := a.visitorLocked(from)
	if missing := 1 - (v.futile.Tokens() - float64(v.posts)); missing > 0 {
		return nil, tooManyCalls(a.opts.CallRatePerIP, time.Duration(missing/a.opts.CallRatePerIP*float64(time.Second)))
	}
	underWay := &v.posts
	if poll {
		if most := 2 * a.opts.MaxSocketsPerIP; most > 0 && v.polls >= most {
			return nil, refusal(wire.CodeRateLimited, "too many polls from this address", most, "twice max-sockets-per-ip", fullRetry)
		}
		underWay = &v.polls
	}
	*underWay++
	return func(missed bool) {
		a.mu.Lock()
		defer a.mu.Unlock()
		*underWay--
		if missed {
			take(v.futile)
		}
	}, nil
}

// Futile counts a poll or post of an address that costs work and gets nothing done: for a socket
// that does not exist, with a wrong number, repeated, or that asks for nothing. If it is over the
// limit, the fault says when to retry. The limit is that of calls, but counted apart from them:
// when a server has restarted, each of its clients makes such a request.
func (a *Admission) Futile(addr netip.Addr) *host.Fault {
	from, limited := forwarded.Network(addr)
	if !limited || a.opts.CallRatePerIP == 0 {
		return nil
	}
	a.mu.Lock()
	wait := take(a.visitorLocked(from).futile)
	a.mu.Unlock()
	if wait == 0 {
		return nil
	}
	e := tooManyCalls(a.opts.CallRatePerIP, wait)
	a.warn(addr, e)
	return e
}

func tooManyCalls(rate float64, wait time.Duration) *host.Fault {
	return refusal(wire.CodeRateLimited, "too many calls per second from this address", rate, "call-rate-per-ip", wait)
}

// NewActor admits an actor that a client makes. from is the client, as of
// forwarded.Source. If it is over the limit, the fault says when to retry.
func (a *Admission) NewActor(from string) *host.Fault {
	network, err := netip.ParsePrefix(from)
	if isLimited := err == nil && a.opts.ActorRatePerIP > 0; !isLimited { // err: of this machine
		return nil
	}
	a.mu.Lock()
	wait := take(a.visitorLocked(network).actors)
	if wait > 0 {
		a.refused++
	}
	a.mu.Unlock()
	if wait == 0 {
		return nil
	}
	e := refusal(wire.CodeRateLimited, "too many new actors from this address", a.opts.ActorRatePerIP, "actor-rate-per-ip", wait)
	a.warn(network.Addr(), e)
	return e
}

// RefusedActors returns how many new actors were refused.
func (a *Admission) RefusedActors() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refused
}

// visitorLocked returns the visitor of an address; it makes a new one if needed.
func (a *Admission) visitorLocked(from netip.Prefix) *visitor {
	v := a.visitors[from]
	if v == nil {
		if a.idle >= maxIdle {
			a.forgetOneLocked()
		}
		o := &a.opts
		v = &visitor{
			connects: limiter(o.ConnectRatePerIP, max(o.ConnectRatePerIP, float64(o.MaxSocketsPerIP))),
			calls:    limiter(o.CallRatePerIP, callsBurst*o.CallRatePerIP),
			futile:   limiter(o.CallRatePerIP, callsBurst*o.CallRatePerIP),
			actors:   limiter(o.ActorRatePerIP, max(o.ActorRatePerIP, newActors)),
		}
		a.visitors[from] = v
		a.idle++
	}
	return v
}

func (a *Admission) forgetOneLocked() {
	for from, v := range a.visitors { // in random order
		if !v.busy() {
			delete(a.visitors, from)
			a.idle--
			return
		}
	}
}

// Tend forgets the visitors whose limits have fully recovered. Call it every few
// seconds.
func (a *Admission) Tend(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.idle == 0 {
		return
	}
	for from, v := range a.visitors {
		if !v.busy() && full(v.connects, now) && full(v.calls, now) && full(v.futile, now) && full(v.actors, now) {
			delete(a.visitors, from)
			a.idle--
		}
	}
}

// warn logs a refusal, at most once per warnEvery.
func (a *Admission) warn(addr netip.Addr, e *host.Fault) {
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
		a.opts.Logger.Warn("gateway: refused a client; if its address is that of a proxy, add it to -trusted-proxies",
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
	return host.Limit{Limit: limit, Option: option, RetryAfterMs: RetryMs(wait)}.Fault(code, message)
}

// RetryMs converts a wait to milliseconds, rounded up.
func RetryMs(wait time.Duration) int64 {
	return int64((wait + time.Millisecond - 1) / time.Millisecond)
}
