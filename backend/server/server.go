package server

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/inspect"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// Limits of the steps of a shutdown: less than 10 s in all, with the store's last
// snapshots. With leaveTimeout and clusterTimeout, a node of a cluster takes up to 25 s.
const (
	turnsTimeout   = 5 * time.Second // running turns and their commits
	clientsTimeout = 3 * time.Second // flushing and closing sockets, ending requests
)

// Server runs the actors of a registry and serves them to clients. Make one with
// New, and end it with Close, Run or Serve. All methods are safe for concurrent use.
type Server struct {
	opts      Options // with defaults
	logger    *slog.Logger
	store     store.Store
	ownsStore bool
	node      *runtime.Node
	gateway   *gateway.Gateway
	handler   http.Handler // see Handler
	types     string       // see Types
	started   time.Time

	debug      *http.Server
	debugEnded chan error // receives the error of debug; nil without DebugAddr

	inspector *inspect.Inspector // nil without Inspect

	endOrphans func() // ends what startOrphans began, and waits for it

	draining atomic.Bool   // not ready any more
	closing  chan struct{} // closed when Close begins
	closed   chan struct{} // closed when Close is done
	closeErr error         // of Close, valid once closed is closed

	front  front      // what http serves
	served chan error // receives the error of http

	mu      sync.Mutex
	begun   bool         // closing is closed
	serving bool         // Serve was called
	http    *http.Server // of Serve, or of Options.Listener; nil before
}

// New opens the store and starts the actors of registry. From then on the server
// answers through Handler and at Options.DebugAddr; Run and Serve make it listen. Call
// Close even if you use neither.
//
// An error says what could not be opened; then nothing is left running.
func New(registry *actor.Registry, o Options) (*Server, error) {
	return NewContext(context.Background(), registry, o)
}

// NewContext is New, but stops waiting for the data directory when ctx ends. After it
// has returned, ctx does not affect the server.
func NewContext(ctx context.Context, registry *actor.Registry, o Options) (_ *Server, err error) {
	defer func() {
		if err != nil && o.Listener != nil {
			_ = o.Listener.Close() // an error means that it is closed
		}
	}()
	if o, err = o.withDefaults(); err != nil {
		closeCluster(ctx, o)
		return nil, fmt.Errorf("server options: %w", err)
	}
	s := &Server{
		opts: o, logger: o.Logger, store: o.Store, started: time.Now(),
		closing: make(chan struct{}), closed: make(chan struct{}), served: make(chan error, 1),
	}
	switch {
	case o.Cluster != nil:
		s.store = o.Cluster.Store()
	case s.store == nil:
		s.ownsStore = true
		options := sqlite.Options{Retention: registry.Retention(), MaxBytes: o.JournalBytes, NoSecureDelete: o.NoSecureDelete, Logger: o.Logger}
		if s.store, err = sqlite.Open(ctx, o.Data, options); err != nil {
			return nil, fmt.Errorf("open the store: %w", err)
		}
	}
	if most := openFiles() - reservedFiles; most > 0 && o.MaxSockets > most {
		s.logger.Warn("MaxSockets cannot be reached with this limit of open files: raise it, by ulimit -n or LimitNOFILE",
			"maxSockets", o.MaxSockets, "openFiles", openFiles(), "possible", most)
	}
	var debug net.Listener
	if o.DebugAddr != "" {
		if debug, err = Listen(ctx, o.DebugAddr); err != nil {
			return nil, errors.Join(fmt.Errorf("debug address: %w", err), s.closeStore(ctx))
		}
	}
	contract := registry.Contract()
	actors := makeActors(s, registry)
	s.types = contract.Types
	if !o.Check {
		contract.Parts = nil
	}
	options := gateway.Options{
		AllowOrigins: o.AllowOrigins, Contract: contract.Fingerprint, Parts: contract.Parts, Logger: o.Logger,
		MaxBuffers: o.MaxBuffers, MaxSockets: o.MaxSockets, MaxSocketsPerIP: o.MaxSocketsPerIP,
		ConnectRatePerIP: o.ConnectRatePerIP, CallRatePerIP: o.CallRatePerIP, ActorRatePerIP: o.ActorRatePerIP,
	}
	if o.Cluster != nil {
		options.Forward = o.Cluster
	}
	s.gateway = gateway.New(actors, s.node, options)
	if o.Cluster != nil {
		o.Cluster.ServeSockets(s.gateway)
	}
	s.handler = s.enter(s.gateway.Handler(), o.Hosts)
	if mode, _ := inspect.ParseMode(o.Inspect); mode != inspect.Off { // checked above
		s.inspector = inspect.New(inspect.Options{
			Peers: peersOf(o), Node: runtime.Inspect(s.node), Gateway: gateway.Inspect(s.gateway), Write: mode == inspect.Write, Token: o.InspectToken,
			Hosts: append(ownName(o.DebugAddr), o.Hosts...), Types: s.types, Version: o.Version, Logger: o.Logger,
		})
		if o.Cluster != nil {
			o.Cluster.ServeInspector(s.inspector)
		}
	}
	if debug != nil {
		if !isLoopback(debug.Addr()) {
			s.logger.Warn("the debug address is not on loopback: everyone who reaches it can read metrics and profiles", "address", debug.Addr())
		}
		s.debug = &http.Server{Handler: append(ownName(o.DebugAddr), o.Hosts...).Handler(s.Debug(), hostRemedy), ReadHeaderTimeout: 10 * time.Second, ErrorLog: s.errorLog()}
		s.debugEnded = make(chan error, 1)
		go func() { s.debugEnded <- s.debug.Serve(debug) }()
		s.logger.Info("debug address: /metrics, /readyz, /debug/pprof", "address", "http://"+debug.Addr().String())
		if s.inspector != nil {
			origin := "http://" + debug.Addr().String()
			if o.InspectToken == "" {
				s.logger.Info("inspector", "link", s.inspector.Link(origin))
			} else { // its operators know it, and those who read the log need not
				s.logger.Info("inspector; its link is this with ?token= and the token", "address", origin+inspect.Path+"/")
			}
		}
	}
	s.endOrphans = func() {}
	if o.Listener != nil {
		s.logger.Info("listening; until the node has joined its cluster, only /healthz and /readyz work", "address", "http://"+o.Listener.Addr().String())
		s.front.set(s.enter(s.waiting(), nil))
		s.mu.Lock()
		s.listenLocked(o.Listener)
		s.mu.Unlock()
	}
	if err := joinCluster(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close(context.WithoutCancel(ctx)))
	}
	s.startOrphans(registry.Names())
	return s, nil
}

// Secret returns a value that belongs to the store, such as a key that signs sessions: if
// the store has none of that name, it keeps what generate returns. Backups have it. With
// a store in memory it lasts as long as that.
func (s *Server) Secret(ctx context.Context, name string, generate func() []byte) ([]byte, error) {
	return s.store.Secret(ctx, name, generate)
}

// Handler serves everything below /api: sockets, streams, polls and single calls.
// Mount it at /api/ of any router, or at BasePath + "/api/". It looks at the request's
// URL only, and ignores what routers in between keep in its context. After Close it
// refuses everything.
//
// With your own http.Server, call Close before its Shutdown, which does not wait for
// sockets. Set its limits on connections and on slow headers yourself; a WriteTimeout
// ends streams and polls.
func (s *Server) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(servedKey{}) == s {
			s.gateway.Handler().ServeHTTP(w, r)
			return
		}
		s.handler.ServeHTTP(w, r)
	})
}

// CheckOrigin refuses requests to your handler from pages of origins other than the
// server's own and Options.AllowOrigins, as Handler does for its own routes. Wrap every
// handler with it that acts for a visitor, such as signing in.
func (s *Server) CheckOrigin(next http.Handler) http.Handler { return s.gateway.CheckOrigin(next) }

// Disconnect ends all connections of a user, to all actors, also those without a socket;
// clients get the reason and do not reconnect by themselves. Call it when a session has
// ended or a right was taken away, after OnAuth and OnAccess know that. subject is what the
// method Subject of OnAuth's result returns for the user. Single calls that have been
// authenticated before still run.
//
// It returns when the actors have done so; give ctx a deadline in a cluster, whose actors may move
// meanwhile. The error is that of ctx or the store; then some connections may be left.
func (s *Server) Disconnect(ctx context.Context, subject, reason string) error {
	disconnect := s.node.Disconnect
	if s.opts.Cluster != nil {
		disconnect = s.opts.Cluster.Disconnect
	}
	return wrap("disconnect", disconnect(ctx, runtime.SubjectOf(subject), reason))
}

// servedKey is the context key of requests that come through Serve; its value is the
// server.
type servedKey struct{}

// enter wraps routes in what precedes them all: slow bodies, proxies, the host, the base
// path. Without hosts any host will do.
func (s *Server) enter(h http.Handler, hosts forwarded.Hosts) http.Handler {
	h = withBasePath(s.opts.BasePath, h)
	if len(hosts) > 0 {
		h = hosts.Handler(h, hostRemedy)
	}
	return limitBodyTime(forwarded.Proxies(s.opts.TrustedProxies).Handler(h, s.logger))
}

// hostRemedy says to clients of an unknown host what an operator can do.
const hostRemedy = "add the name to -hosts (server.Options.Hosts)"

// localHosts allows localhost and IP addresses only, which no Hosts lacks.
var localHosts = forwarded.Hosts{"localhost"}

// hosts returns the hosts for which the server answers on an address; none means any. name is
// that in the address to listen on.
func (s *Server) hosts(addr net.Addr, name forwarded.Hosts) forwarded.Hosts {
	switch {
	case len(s.opts.Hosts) > 0:
		return s.opts.Hosts
	case isLoopback(addr) && len(s.opts.TrustedProxies) == 0:
		return append(name, localHosts...)
	}
	if _, tcp := addr.(*net.TCPAddr); !tcp {
		return nil // a proxy's
	}
	s.logger.Warn("no -hosts (server.Options.Hosts) are set, so the server answers for every name that resolves to it: set those of your site", "address", addr)
	return nil
}

// routes returns the handler that Run serves.
func (s *Server) routes() http.Handler {
	r := chi.NewRouter()
	r.Handle("/healthz", s.Health())
	r.Handle("/readyz", s.Ready())
	if s.opts.Metrics {
		r.Handle("/metrics", s.Metrics())
	}
	r.Handle(TypesPath, s.Types())
	r.Handle("/api", s.Handler())
	r.Handle("/api/*", s.Handler())
	return r
}

// Run listens on a TCP address (":8080") and serves Handler at /api, Health at
// /healthz, Ready at /readyz, Types at TypesPath and, with Options.Metrics, Metrics at /metrics. It returns
// when Serve would, with Serve's error or that of listening; in any case the server is
// closed. Use Serve for your own routes, or a listener with TLS.
func (s *Server) Run(ctx context.Context, addr string) error {
	l, err := Listen(ctx, addr)
	if err != nil {
		return errors.Join(err, s.Close(context.WithoutCancel(ctx)))
	}
	s.logger.Info("listening", "address", "http://"+l.Addr().String())
	return s.serve(ctx, l, nil, ownName(addr))
}

// Serve serves h on l until ctx ends or Close is called; then it drains
// (Options.Drain), closes the server, and returns nil if everything that clients have
// received is stored. It closes l in any case. Call it once.
//
// h mounts the server's handlers that clients should reach: Handler, Health, Ready.
// All its routes get the server's limits on connections and slow requests and the
// client's address from trusted proxies (package forwarded), the check of Options.Hosts, and
// Options.BasePath is stripped from their paths. nil means the routes of Run.
func (s *Server) Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	return s.serve(ctx, l, h, nil)
}

func (s *Server) serve(ctx context.Context, l net.Listener, h http.Handler, name forwarded.Hosts) error {
	if h == nil {
		h = s.routes()
	}
	if err := s.take(l, s.enter(h, s.hosts(l.Addr(), name))); err != nil {
		return errors.Join(err, l.Close())
	}
	if st, ok := s.store.(interface{ Announce(address string) }); ok {
		st.Announce(l.Addr().String())
	}
	var failed error
	select {
	case err := <-s.served:
		return errors.Join(broken("serve HTTP", err), s.Close(context.WithoutCancel(ctx)))
	case err := <-s.debugEnded:
		s.debugEnded <- err // for Close
	case <-clusterEnded(s.opts):
		failed = wrap("the cluster", s.opts.Cluster.Err())
	case <-ctx.Done():
		s.drain()
		s.logger.Info("shutting down", "sockets", s.gateway.Sockets())
	case <-s.closing:
	}
	err := errors.Join(failed, s.Close(context.WithoutCancel(ctx)))
	<-s.served
	return err
}

// take makes Serve the one that serves h on l.
func (s *Server) take(l net.Listener, h http.Handler) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.begun:
		return fmt.Errorf("serve HTTP: %w", http.ErrServerClosed)
	case s.serving:
		return errors.New("serve HTTP: the server is already serving; call Serve or Run once")
	case s.opts.Listener != nil && l != s.opts.Listener:
		return errors.New("serve HTTP: want the Listener of the options")
	}
	s.serving = true
	s.front.set(h)
	if s.http == nil {
		s.listenLocked(l)
	}
	return nil
}

// listenLocked serves the front on l.
func (s *Server) listenLocked(l net.Listener) {
	s.http = &http.Server{
		Handler:     &s.front,
		BaseContext: func(net.Listener) context.Context { return context.WithValue(context.Background(), servedKey{}, s) },
		// A client that sends its headers slowly holds a file descriptor, nothing more.
		// Responses have no time limit: streams are long.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ConnState:         newConnections(s.opts, s.gateway.Sockets, s.logger).changed,
		ErrorLog:          s.errorLog(),
	}
	serve := s.http.Serve
	go func() { s.served <- serve(l) }()
}

// drain gives load balancers time to notice that the server is not ready.
func (s *Server) drain() {
	s.draining.Store(true)
	if s.opts.Drain <= 0 {
		return
	}
	s.logger.Info("draining: not ready any more, shutting down soon", "in", s.opts.Drain)
	select {
	case <-time.After(s.opts.Drain):
	case <-s.closing:
	}
}

// Close ends the server: it refuses new work, tells clients to reconnect later, lets
// running turns finish, stores their effects, closes all sockets and, if the server
// opened it, the store. It takes less than 10 s, for a node of a cluster up to 25 s; if ctx ends
// before that, everything that still runs is cut off.
//
// An error means that something may be lost. Slow clients do not cause one: they resume
// and get what they have not received. Only the first call closes; others wait for it
// and return its error, or that of their ctx.
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

// shutDown proceeds in the order in which nothing is lost: no new work, then turns and
// their commits, then their outputs to clients, then the store. Before all that, a node of a
// cluster gives its actors away, while its clients stay and use them elsewhere.
func (s *Server) shutDown(ctx context.Context) error {
	leaveCluster(ctx, s.opts)
	serving, cutRequests := context.WithCancel(context.Background())
	defer cutRequests()
	requests := make(chan error, 1)
	if s.http != nil {
		go func() { requests <- s.http.Shutdown(serving) }() // accepts none, waits for running ones
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
		s.logger.Warn("clients were too slow to receive their last messages", "error", err)
	}
	context.AfterFunc(clients, cutRequests)
	if err := <-requests; err != nil {
		// Their turns are over, or their bodies never arrived.
		s.logger.Warn("HTTP requests that did not end were cut off", "error", errors.Join(err, s.http.Close()))
	}
	if s.opts.Listener != nil {
		_ = s.opts.Listener.Close() // an error means that the HTTP server has done so
	}
	if s.inspector != nil {
		s.inspector.Close()
	}
	// Before the store, because its next owner also takes this address.
	if s.debug != nil {
		err = errors.Join(err, wrap("close the debug address", s.debug.Close()), broken("serve the debug address", <-s.debugEnded))
	}
	s.endOrphans()
	return errors.Join(err, s.closeStore(ctx))
}

// closeStore closes the store, if it is the server's own, or leaves the cluster.
func (s *Server) closeStore(ctx context.Context) error {
	closeCluster(ctx, s.opts)
	if !s.ownsStore {
		return nil
	}
	return wrap("close the store", s.store.Close())
}

// errorLog is net/http's log of failed connections.
func (s *Server) errorLog() *log.Logger {
	return slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug)
}

// broken returns the error of an http.Server, nil if it was shut down.
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
