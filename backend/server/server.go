package server

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// How long the steps of a shutdown may take: less than 10 s in all, with what the
// store needs for its last snapshots.
const (
	turnsTimeout   = 5 * time.Second // running turns, and their commits
	clientsTimeout = 3 * time.Second // writing what is left, closing sockets, ending requests
)

// Server runs the actors of a registry and serves them to clients. Make one with
// New, and end it with Close, Run or Serve. All methods may be called at the same
// time.
type Server struct {
	opts      Options // with defaults
	logger    *slog.Logger
	store     store.Store
	ownsStore bool
	node      *runtime.Node
	gateway   *gateway.Gateway
	handler   http.Handler // see Handler
	started   time.Time

	debug      *http.Server
	debugEnded chan error // receives what ended debug; nil without DebugAddr

	draining atomic.Bool   // told to end: not ready any more
	closing  chan struct{} // closed when Close begins
	closed   chan struct{} // closed when Close is done
	closeErr error         // of Close, once closed is

	mu    sync.Mutex
	begun bool         // closing is closed
	http  *http.Server // of Serve, nil before
}

// New opens the store and starts the actors of registry. From then on the server
// answers through Handler, and at Options.DebugAddr; Run and Serve make it listen.
// Call Close also if you use neither.
//
// An error says what could not be opened. Nothing is left running then.
func New(registry *actor.Registry, o Options) (*Server, error) {
	return NewContext(context.Background(), registry, o)
}

// NewContext is New, but stops waiting for the data directory when ctx ends. After
// it has returned, ctx has no effect on the server.
func NewContext(ctx context.Context, registry *actor.Registry, o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("server options: %w", err)
	}
	s := &Server{
		opts: o, logger: o.Logger, store: o.Store, started: time.Now(),
		closing: make(chan struct{}), closed: make(chan struct{}),
	}
	if s.store == nil {
		s.ownsStore = true
		options := sqlite.Options{Retention: registry.Retention(), MaxBytes: o.JournalBytes, Logger: o.Logger}
		if s.store, err = sqlite.Open(ctx, o.Data, options); err != nil {
			return nil, fmt.Errorf("open the store: %w", err)
		}
	}
	var debug net.Listener
	if o.DebugAddr != "" {
		if debug, err = listen(ctx, o.DebugAddr); err != nil {
			return nil, errors.Join(fmt.Errorf("debug address: %w", err), s.closeStore())
		}
	}
	s.node = runtime.New(registry, s.store, runtime.Options{
		Logger: o.Logger, Check: o.Check, MaxActors: o.MaxActors, MaxQueuedBytes: o.MaxBuffers,
	})
	contract := registry.Contract()
	if !o.Check {
		contract.Parts = nil
	}
	s.gateway = gateway.New(s.node, s.node, gateway.Options{
		AllowOrigins: o.AllowOrigins, Contract: contract.Fingerprint, Parts: contract.Parts, Logger: o.Logger,
		MaxBuffers: o.MaxBuffers, MaxSockets: o.MaxSockets, MaxSocketsPerIP: o.MaxSocketsPerIP,
		ConnectRatePerIP: o.ConnectRatePerIP, CallRatePerIP: o.CallRatePerIP,
	})
	s.handler = s.enter(s.gateway.Handler())
	if debug != nil {
		s.debug = &http.Server{Handler: s.Debug(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: s.errorLog()}
		s.debugEnded = make(chan error, 1)
		go func() { s.debugEnded <- s.debug.Serve(debug) }()
		s.logger.Info("debug address: /metrics, /readyz, /debug/pprof", "address", "http://"+debug.Addr().String())
	}
	return s, nil
}

// Handler serves everything below /api: sockets, streams, polls and single calls.
// Mount it at /api/ of any router, or at BasePath + "/api/"; it looks at the whole
// path of a request, and ignores what routers in between remember of it. After
// Close it refuses everything.
//
// With an http.Server of your own, call Close before its Shutdown, which does not
// wait for sockets. Its limits on connections and on the time that headers take to
// arrive are yours to set; a WriteTimeout ends streams and polls.
func (s *Server) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(servedKey{}) == s {
			s.gateway.Handler().ServeHTTP(w, r)
			return
		}
		s.handler.ServeHTTP(w, r)
	})
}

// CheckOrigin keeps pages of other origins than the server's own and
// Options.AllowOrigins from a handler of yours, as Handler does for its own. Put it
// around whatever acts for a visitor, such as signing in.
func (s *Server) CheckOrigin(next http.Handler) http.Handler { return s.gateway.CheckOrigin(next) }

// servedKey is the key of the context of requests to Serve: its value is the server.
type servedKey struct{}

// enter does what comes before all routes: the base path, proxies, slow bodies.
func (s *Server) enter(h http.Handler) http.Handler {
	return limitBodyTime(forwarded.Proxies(s.opts.TrustedProxies).Handler(withBasePath(s.opts.BasePath, h)))
}

// routes is what Run serves.
func (s *Server) routes() http.Handler {
	r := chi.NewRouter()
	r.Method(http.MethodGet, "/healthz", s.Health())
	r.Method(http.MethodGet, "/readyz", s.Ready())
	if s.opts.Metrics {
		r.Handle("/metrics", s.Metrics())
	}
	r.Handle("/api", s.Handler())
	r.Handle("/api/*", s.Handler())
	return r
}

// Run listens on a TCP address (":8080") and serves Handler at /api, Health at
// /healthz, Ready at /readyz and, with Options.Metrics, Metrics at /metrics. It ends
// as Serve does, and returns what Serve does or why it cannot listen; in any case the
// server is closed. Use Serve for routes of your own, or a listener with TLS.
func (s *Server) Run(ctx context.Context, addr string) error {
	l, err := listen(ctx, addr)
	if err != nil {
		return errors.Join(err, s.Close(context.WithoutCancel(ctx)))
	}
	s.logger.Info("listening", "address", "http://"+l.Addr().String())
	return s.Serve(ctx, l, nil)
}

// Serve serves h on l until ctx ends or Close is called; then it drains
// (Options.Drain), closes the server, and returns nil if everything that clients
// had been told is stored. It closes l in any case. Call it once.
//
// h needs to mount what of the server clients should reach: Handler, Health, Ready.
// All of it gets the server's limits on connections and on slow requests, sees what
// trusted proxies say of clients (package forwarded), and does not see
// Options.BasePath. nil means what Run serves.
func (s *Server) Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	if h == nil {
		h = s.routes()
	}
	server := &http.Server{
		Handler:     s.enter(h),
		BaseContext: func(net.Listener) context.Context { return context.WithValue(context.Background(), servedKey{}, s) },
		// A client that is slow to say what it wants holds a socket, nothing more.
		// Answers have no time limit here: streams are long.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ConnState:         newConnections(s.opts, s.gateway.Sockets, s.logger).changed,
		ErrorLog:          s.errorLog(),
	}
	if err := s.take(server); err != nil {
		return errors.Join(err, l.Close())
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return errors.Join(broken("serve HTTP", err), s.Close(context.WithoutCancel(ctx)))
	case err := <-s.debugEnded:
		s.debugEnded <- err // for Close
	case <-ctx.Done():
		s.drain()
		s.logger.Info("shutting down", "sockets", s.gateway.Sockets())
	case <-s.closing:
	}
	err := s.Close(context.WithoutCancel(ctx))
	<-served
	return err
}

// take makes server the one that Close shuts down.
func (s *Server) take(server *http.Server) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.begun:
		return fmt.Errorf("serve HTTP: %w", http.ErrServerClosed)
	case s.http != nil:
		return errors.New("serve HTTP: the server does already")
	}
	s.http = server
	return nil
}

// drain waits until load balancers have noticed that the server is not ready.
func (s *Server) drain() {
	s.draining.Store(true)
	if s.opts.Drain <= 0 {
		return
	}
	s.logger.Info("not ready any more, and shutting down soon", "in", s.opts.Drain)
	select {
	case <-time.After(s.opts.Drain):
	case <-s.closing:
	}
}

// Close ends the server: it refuses new work, tells clients to come back later, lets
// running turns finish, stores what they did, closes all sockets and, if the server
// opened it, the store. It takes less than 10 s in all; if ctx ends before that,
// whatever is still running is cut off.
//
// An error means that something may be lost. Clients that are slow or gone are none:
// they come back for what they have not got. Only the first call does something;
// others wait for it and return the same, or the error of their ctx.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.begun
	if first {
		s.begun = true
		close(s.closing)
	}
	s.mu.Unlock()
	if first {
		s.draining.Store(true)
		s.closeErr = s.shutDown(ctx)
		close(s.closed)
		return s.closeErr
	}
	select {
	case <-s.closed:
		return s.closeErr
	case <-ctx.Done():
		return fmt.Errorf("wait for the server to close: %w", ctx.Err())
	}
}

// shutDown goes in the order in which nothing is lost: no new work, then the turns
// and their commits, then what they say to clients, then the store.
func (s *Server) shutDown(ctx context.Context) error {
	serving, cutRequests := context.WithCancel(context.Background())
	defer cutRequests()
	requests := make(chan error, 1)
	if s.http != nil {
		go func() { requests <- s.http.Shutdown(serving) }() // takes no more, waits for those that run
	} else {
		requests <- nil
	}
	s.gateway.Quiesce()

	turns, cancel := context.WithTimeout(ctx, turnsTimeout)
	defer cancel()
	err := wrap("finish the actors' turns", s.node.Shutdown(turns))

	clients, cancel := context.WithTimeout(ctx, clientsTimeout)
	defer cancel()
	if err := s.gateway.Close(clients); err != nil {
		s.logger.Warn("clients did not take what was left for them", "error", err)
	}
	context.AfterFunc(clients, cutRequests)
	if err := <-requests; err != nil {
		// Their turns are over, or they have not even said what they want.
		s.logger.Warn("HTTP requests that did not end were cut off", "error", errors.Join(err, s.http.Close()))
	}
	// Before the store, as its next owner takes this address, too.
	if s.debug != nil {
		err = errors.Join(err, wrap("close the debug address", s.debug.Close()), broken("serve the debug address", <-s.debugEnded))
	}
	return errors.Join(err, s.closeStore())
}

func (s *Server) closeStore() error {
	if !s.ownsStore {
		return nil
	}
	return wrap("close the store", s.store.Close())
}

// errorLog is where net/http tells of connections.
func (s *Server) errorLog() *log.Logger {
	return slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug)
}

// withBasePath serves h below a path. It serves other paths as they are, too: a proxy
// may have stripped the path, and operators reach the server without it.
func withBasePath(base string, h http.Handler) http.Handler {
	if base == "" {
		return h
	}
	inside := http.StripPrefix(base, h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == base:
			to := url.URL{Path: base + "/", RawQuery: r.URL.RawQuery}
			http.Redirect(w, r, to.String(), http.StatusPermanentRedirect)
		case strings.HasPrefix(r.URL.Path, base+"/"):
			inside.ServeHTTP(w, r)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("the address %s is in use: stop the other server, or choose another one", addr)
	} else if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}

// broken is what ended an http.Server, unless it was told to end.
func broken(doing string, err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return wrap(doing, err)
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
