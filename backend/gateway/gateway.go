package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/gateway/httpcall"
	"github.com/troupe-dev/troupe/backend/gateway/limit"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/fair"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Options of a Gateway. The zero value is right for production behind the
// page's own origin.
type Options struct {
	// Limits on what one socket may send. Fields that are 0 get the default
	// (wire.DefaultLimits).
	Limits wire.Limits

	// OpenRate is how many channels per second a socket may open in the long
	// run, OpenBurst how many at once. 0 means 50, and Limits.Channels: a page that
	// comes back opens all of its channels.
	OpenRate  float64
	OpenBurst int

	// AllowOrigins are the origins of other pages that may use the API: patterns of
	// path.Match against the host ("*.example.com"), or against scheme and host if they
	// contain "://" ("https://example.com", "capacitor://localhost"). New panics if
	// CleanOrigin refuses one. "*" allows every page in the world, also to reach a server
	// inside its visitor's network. Pages of the API's own origin, and programs that send
	// no Origin, are always allowed.
	AllowOrigins []string

	// How many sockets there may be, in all and of one address, how many an address may
	// open per second in the long run (as many at once as it may have), and how many
	// calls over HTTP it may make per second (two seconds' worth at once). Of IPv6, the
	// addresses of a network /64 count as one. Clients over a limit are refused, with the time
	// after which to retry. Loopback addresses are not limited. 0 means no limit.
	MaxSockets       int
	MaxSocketsPerIP  int
	ConnectRatePerIP float64
	CallRatePerIP    float64

	// ActorRatePerIP is how many new actors an address may make per second in the long run,
	// 500 of them at once. Call Gateway.NewActor for each. 0 means no limit.
	ActorRatePerIP float64

	// MaxBuffers is how many bytes may be held: of output that clients have not read, and
	// of messages that have only partly arrived; and, apart from these, of the headers of
	// sockets' requests, if an actor has an OnAuth. 0 means no limit.
	MaxBuffers int64

	// SpreadRate is how many clients per second may come back after a shutdown: clients
	// spread their first attempts over sockets / SpreadRate seconds. 0 means 2,000.
	SpreadRate float64

	// Contract is the fingerprint of what the actors offer, Parts those of its parts
	// (actor.Contract). Clients compare them with their own. Leave Parts out in
	// production: they name every actor, action and event.
	Contract string
	Parts    []string

	// Node returns the number in its cluster of the node that the gateway is on, for the
	// attachments of sockets. nil means 0: there is one node.
	Node func() uint32

	// Forward takes polls and posts to the nodes of a cluster that have their sockets, and the
	// gateway serves those of other nodes (Gateway.ServeSocket). nil: there is one node.
	Forward host.Forwarder

	Logger *slog.Logger // nil means slog.Default
}

func (o Options) withDefaults() Options {
	orDefault(&o.Limits.Message, wire.DefaultLimits.Message)
	orDefault(&o.Limits.Frame, wire.DefaultLimits.Frame)
	orDefault(&o.Limits.Params, wire.DefaultLimits.Params)
	orDefault(&o.Limits.InFlight, wire.DefaultLimits.InFlight)
	orDefault(&o.Limits.Channels, wire.DefaultLimits.Channels)
	orDefault(&o.Limits.Rate, wire.DefaultLimits.Rate)
	orDefault(&o.Limits.Burst, wire.DefaultLimits.Burst)
	orDefault(&o.OpenRate, 50)
	orDefault(&o.OpenBurst, o.Limits.Channels)
	orDefault(&o.SpreadRate, 2000)
	orDefault(&o.Logger, slog.Default())
	return o
}

func (o *Options) admission() limit.AdmissionOptions {
	return limit.AdmissionOptions{
		MaxSockets: o.MaxSockets, MaxSocketsPerIP: o.MaxSocketsPerIP,
		ConnectRatePerIP: o.ConnectRatePerIP, CallRatePerIP: o.CallRatePerIP,
		ActorRatePerIP: o.ActorRatePerIP, Logger: o.Logger,
	}
}

// messageRate limits the messages of one socket.
func (o *Options) messageRate() limit.Messages {
	return limit.NewMessages(o.Limits.Rate, o.Limits.Burst, o.OpenRate, o.OpenBurst)
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

const (
	heartbeatInterval = 15 * time.Second // a beat is sent after this silence
	idleTimeout       = 25 * time.Second // a socket is closed if its client is silent for longer
	positionInterval  = 30 * time.Second // a channel that was silent for so long while its log grew gets an at
	writeTimeout      = 20 * time.Second // a write that is blocked for longer ends the socket

	storeReaders = 4           // store reads of logs at the same time
	tick         = time.Second // of the janitor
	fanoutTicks  = 10          // ticks between sweeps of the fanouts
)

// A Gateway serves sockets and HTTP calls for the actors of a host.Host.
type Gateway struct {
	host        host.Host
	definitions host.Definitions
	opts        Options
	log         *slog.Logger
	handler     http.Handler
	stats       stats

	admission *limit.Admission
	buffers   *limit.Buffers
	headers   *limit.Buffers // of the headers that are kept for OnAuth
	respond   httpcall.Responder
	calls     *httpcall.Handler

	queue       *queue // sockets to write to, fanouts to read
	storeReader *storeReader
	fanouts     fanouts
	slow        slowConns
	origins     origins
	auth        authenticator
	authQueue   authQueue
	gapScans    *fair.Queue
	approves    bool // some actor has a CanSubscribe

	ctx    context.Context // ends when all sockets have
	cancel context.CancelFunc

	sockets *socketSet
	closing atomic.Bool // Close was called
	collect func()      // frees memory
	workers sync.WaitGroup
}

// New makes a gateway for the actors of h, whose definitions are d; a *runtime.Node is
// both. It runs until Close.
func New(h host.Host, d host.Definitions, opts Options) *Gateway {
	g := &Gateway{
		host: h, definitions: d, opts: opts.withDefaults(),
		queue: newQueue(), sockets: newSocketSet(),
	}
	g.admission, g.buffers = limit.NewAdmission(g.opts.admission()), limit.NewBuffers(g.opts.MaxBuffers)
	g.log, g.collect = g.opts.Logger, debug.FreeOSMemory
	g.headers = limit.NewBuffers(g.opts.MaxBuffers)
	g.auth = authenticator{h, d, g.buffers, g.headers}
	g.respond = httpcall.Responder{Buffers: g.buffers, Errors: &g.stats.errors, Fault: func(err error) *host.Fault {
		return asError(func() *slog.Logger { return g.log }, err)
	}}
	g.calls = httpcall.New(httpcall.Options{
		Host: h, Admission: g.admission, Buffers: g.buffers, Respond: &g.respond,
		Authenticate: g.auth.request, MaxMessage: g.opts.Limits.Message,
	})
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.storeReader = newStoreReader(g.ctx)
	g.fanouts = fanouts{g: g, open: make(map[string]*fanout)}
	g.authQueue, g.gapScans = authQueue{fair.New(maxAuths)}, fair.New(maxGapScans)
	g.approves = d.Guards("")
	g.origins = newOrigins(opts.AllowOrigins)
	g.handler = g.routes()
	for range max(2, runtime.GOMAXPROCS(0)) { // they never wait for a socket
		g.workers.Go(func() { g.work(g.queue) })
	}
	for range storeReaders {
		g.workers.Go(func() { g.work(g.storeReader.queue) })
	}
	g.workers.Go(g.janitor)
	return g
}

// Handler serves everything below /api. It looks at the whole path, also when
// another router has mounted it there.
func (g *Gateway) Handler() http.Handler { return g.handler }

// NewActor admits an actor that a client makes. The error is a *host.Fault, which says when
// to try again. from is as in host.OpenRequest. The owner of actors calls it before it makes
// one for an Open or a CallOnce; for a Create the gateway does.
func (g *Gateway) NewActor(from string) error {
	if e := g.admission.NewActor(from); e != nil {
		return e
	}
	return nil
}

// Quiesce is the first step of a shutdown: new sockets and calls over HTTP are refused,
// clients get a bye, and what they still send is ignored: they resend it
// after they reconnect. Running turns may finish, and their outputs are delivered until
// Close.
func (g *Gateway) Quiesce() {
	sockets := g.sockets.quiesce()
	spread := g.spread(len(sockets))
	for _, s := range sockets {
		delay := int64(0)
		if spread > 0 {
			delay = rand.Int64N(int64(spread/time.Millisecond) + 1)
		}
		s.control(wire.AppendBye(nil, delay))
	}
}

// Close is the second step: it writes what is visible, closes all sockets with
// status 1012 and returns when nothing of the gateway runs any more. If ctx ends
// before that, the sockets that are left are cut, and an error says how many.
// Close the actors before, so that their last outputs are visible.
func (g *Gateway) Close(ctx context.Context) error {
	g.Quiesce()
	if g.closing.Swap(true) {
		g.workers.Wait()
		return nil
	}
	empty := g.sockets.drain()
	g.sockets.each((*socket).finish)

	var err error
	select {
	case <-empty:
	case <-ctx.Done():
		err = fmt.Errorf("gateway: cut %d sockets off: %w", g.Sockets(), ctx.Err())
		g.sockets.each((*socket).cut)
	}
	g.sockets.running.Wait()
	g.cancel()
	g.queue.close()
	g.storeReader.queue.close()
	g.workers.Wait()
	g.fanouts.close()
	return err
}

// Sockets returns how many sockets are open.
func (g *Gateway) Sockets() int { return g.sockets.len() }

// spread is the time over which clients should spread their first attempt to come back,
// if a number of sockets were lost now: 0 when they are few.
func (g *Gateway) spread(sockets int) time.Duration {
	spread := time.Duration(float64(sockets) / g.opts.SpreadRate * float64(time.Second))
	if spread < 100*time.Millisecond {
		return 0
	}
	return spread
}

// add registers a new socket, unless the gateway is shutting down.
func (g *Gateway) add(s *socket) (spread time.Duration, ok bool) {
	n, ok := g.sockets.add(s)
	if !ok {
		return 0, false
	}
	if s.auth != nil {
		s.auth.open()
	}
	s.debug("gateway: a socket is open")
	g.stats.accepted.Add(1)
	return g.spread(n), true
}

// remove unregisters a socket that add registered.
func (g *Gateway) remove(s *socket) {
	s.debug("gateway: a socket is closed")
	g.admission.Leave(s.permit)
	g.sockets.remove(s)
}

// work is the loop of a worker.
func (g *Gateway) work(q *queue) {
	for {
		j, ok := q.pop()
		if !ok {
			return
		}
		g.runJob(j)
	}
}

// runJob runs a job. A panic harms only what the job belongs to.
func (g *Gateway) runJob(j job) {
	defer func() {
		if v := recover(); v != nil {
			g.panicked(v, j)
			if f, ok := j.(interface{ failed() }); ok {
				f.failed()
			}
		}
	}()
	j.run()
}

// panicked logs a panic, with the logger of what it belongs to, if that has one.
func (g *Gateway) panicked(v, of any) {
	log := g.log
	if of, ok := of.(interface{ logger() *slog.Logger }); ok {
		log = of.logger()
	}
	log.Error("gateway: panic", "panic", v, "stack", string(debug.Stack()))
}

// janitor runs periodic work: heartbeats, dead sockets, quiet channels, cache expiry.
func (g *Gateway) janitor() {
	t := time.NewTicker(tick)
	defer t.Stop()
	for n := 1; ; n++ {
		select {
		case <-g.ctx.Done():
			return
		case now := <-t.C:
			g.sockets.each(func(s *socket) { s.beats.tend(now) })
			g.storeReader.tend()
			if n%fanoutTicks == 0 {
				g.fanouts.tend()
				g.admission.Tend(now)
			}
			if g.sockets.settled() {
				g.workers.Go(g.collect)
			}
			g.slow.tend(now)
		}
	}
}
