// Package app is the server as a whole: it reads the configuration, puts store,
// actors, gateway and web UI together, runs them, and shuts them down in order.
package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/rooms"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
	"github.com/troupe-dev/troupe/web"
)

// version is set by the linker (see Makefile).
var version = "dev"

// How long the steps of a shutdown may take: less than 10 s in all, with what the
// store needs for its last snapshots.
const (
	turnsTimeout   = 5 * time.Second // running turns, and their commits
	clientsTimeout = 3 * time.Second // writing what is left, closing sockets, ending requests
)

// Run runs the server until ctx ends, and returns after a clean shutdown. The
// arguments are those of a process, without its name; ui has the built web UI
// (see package web). An error is one line for whoever started the server.
func Run(ctx context.Context, args, env []string, ui fs.FS, stdout, stderr io.Writer) error {
	config, err := ParseConfig(args, env, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if config.Version {
		_, err := fmt.Fprintln(stdout, "troupe", version)
		return err
	}
	if config.Licenses {
		_, err := io.WriteString(stdout, web.Licenses)
		return err
	}
	if config.Backup != "" {
		return backup(ctx, config, stdout)
	}
	logger := newLogger(config, stderr)
	page, err := web.New(ui, config.BasePath)
	if err != nil {
		return err
	}
	if !page.Built() {
		logger.Warn("the web UI was not built: make run or make build builds and embeds it")
	}
	server, err := startServer(ctx, config, page, logger)
	if err != nil && ctx.Err() != nil {
		logger.Info("asked to end while starting", "error", err)
		return nil
	} else if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "Troupe is at %s\n", address(config.Addr, server.listener.Addr())+config.BasePath); err != nil {
		return errors.Join(err, server.listener.Close(), server.close())
	}
	return server.run(ctx)
}

// startServer opens the store and takes the address. A process that takes over
// from another one waits for the store: until it has it, the address is the other
// one's. But where there is no data yet, nobody is to be waited for, and an
// address in use is noticed before a directory is made.
func startServer(ctx context.Context, config Config, page http.Handler, logger *slog.Logger) (*server, error) {
	var listener net.Listener
	if _, err := os.Stat(config.Data); errors.Is(err, fs.ErrNotExist) {
		if listener, err = listen(ctx, "addr", config.Addr); err != nil {
			return nil, err
		}
	}
	st, err := openStore(ctx, config, logger)
	if err != nil {
		if listener != nil {
			err = errors.Join(err, listener.Close())
		}
		return nil, err
	}
	if listener == nil {
		if listener, err = listen(ctx, "addr", config.Addr); err != nil {
			return nil, errors.Join(err, st.Close())
		}
	}
	key, err := sessionKey(config)
	if err != nil {
		return nil, errors.Join(err, listener.Close(), st.Close())
	}
	rooms.SetSessionKey(key)
	var debug net.Listener
	if config.DebugAddr != "" {
		if debug, err = listen(ctx, "debug-addr", config.DebugAddr); err != nil {
			return nil, errors.Join(err, listener.Close(), st.Close())
		}
		logger.Info("for those who run the server: /metrics, /readyz, /debug/pprof", "address", address(config.DebugAddr, debug.Addr()))
	}
	return newServer(config, st, listener, debug, page, logger), nil
}

// openStore opens the store that the configuration names.
func openStore(ctx context.Context, config Config, logger *slog.Logger) (store.Store, error) {
	retention := rooms.Registry.Retention()
	if config.Store == storeMemory {
		return memory.New(memory.Options{Retention: retention}), nil
	}
	return sqlite.Open(ctx, config.Data, sqlite.Options{Retention: retention, MaxBytes: config.JournalBytes, Logger: logger})
}

// backup copies the store to a file.
func backup(ctx context.Context, config Config, stdout io.Writer) error {
	if config.Store == storeMemory {
		return errors.New("the memory store keeps nothing that could be backed up")
	}
	if err := sqlite.Backup(ctx, config.Data, config.Backup); err != nil {
		return err
	}
	_, err := fmt.Fprintln(stdout, "backed up to", config.Backup)
	return err
}

// server is everything that runs. Its fields do not change.
type server struct {
	logger   *slog.Logger
	store    store.Store
	node     *actor.Node
	gateway  *gateway.Gateway
	http     *http.Server
	listener net.Listener
	started  time.Time

	debug         *http.Server // for those who run the server
	debugListener net.Listener // nil: nobody asked for it

	drain    time.Duration
	stopping atomic.Bool // it was told to end
}

func newServer(config Config, st store.Store, listener, debug net.Listener, page http.Handler, logger *slog.Logger) *server {
	node := actor.NewNode(rooms.Registry, st, actor.NodeOptions{
		Logger: logger, Check: config.Check, MaxActors: config.MaxActors, MaxMailBytes: int64(config.MaxBuffers),
	})
	s := &server{logger: logger, store: st, node: node, listener: listener, debugListener: debug, started: time.Now(), drain: config.Drain}
	contract := rooms.Registry.Contract()
	if !config.Check {
		contract.Parts = nil
	}
	s.gateway = gateway.New(node, gateway.Options{
		AllowOrigins: config.AllowOrigins, Contract: contract.Fingerprint, Parts: contract.Parts, Logger: logger,
		MaxBuffers: int64(config.MaxBuffers), MaxSockets: config.maxSockets(), AddressSockets: config.Address.Sockets,
		AddressConnects: config.Address.Connects, AddressCalls: config.Address.Calls,
	})
	s.http = &http.Server{
		Handler: promptly(config.Proxies.Handler(below(config.BasePath, s.routes(page, config.BasePath, config.Metrics)))),
		// A client that is slow to say what it wants holds a socket, nothing more.
		// Answers have no time limit here: streams are long.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ConnState:         newConnections(config, s.gateway.Sockets, logger).changed,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	s.debug = &http.Server{Handler: s.debugRoutes(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: s.http.ErrorLog}
	return s
}

// routes says who serves what.
func (s *server) routes(page http.Handler, base string, metrics bool) http.Handler {
	r := chi.NewRouter()
	r.Get("/healthz", s.serveHealth)
	r.Get("/readyz", s.serveReady)
	if metrics {
		r.Handle("/metrics", s.serveMetrics())
	}
	r.With(s.gateway.CheckOrigin).Post("/api/session", serveSession(base+"/", s.logger))
	r.Handle("/api", s.gateway.Handler())
	r.Handle("/api/*", s.gateway.Handler())
	r.Handle("/*", page)
	return r
}

// below serves h below a path, and what does not begin with that as it is: it may
// come from a proxy that has taken the path away, or from who looks after the
// server.
func below(base string, h http.Handler) http.Handler {
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

// listen takes the address that a flag names.
func listen(ctx context.Context, flag, addr string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("the address %s is in use: stop the other server, or choose another one with -%s", addr, flag)
	} else if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}

// address is where a browser on this machine finds the server.
func address(asked string, got net.Addr) string {
	host, _, err := net.SplitHostPort(asked)
	if err != nil || host == "" || net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	_, port, err := net.SplitHostPort(got.String())
	if err != nil {
		return "http://" + got.String()
	}
	return "http://" + net.JoinHostPort(host, port)
}

// run serves until ctx ends, then shuts down.
func (s *server) run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	if s.debugListener != nil {
		go func() { served <- s.debug.Serve(s.debugListener) }()
	}
	select {
	case err := <-served:
		return errors.Join(fmt.Errorf("serve HTTP: %w", err), s.close())
	case <-ctx.Done():
	}
	s.stopping.Store(true)
	if s.drain > 0 {
		s.logger.Info("not ready any more, and shutting down soon", "in", s.drain)
		time.Sleep(s.drain)
	}
	s.logger.Info("shutting down; a second signal ends the server at once", "sockets", s.gateway.Sockets())
	err := s.close()
	<-served
	if s.debugListener != nil {
		<-served
	}
	return err
}

// close shuts down in the order in which nothing is lost: no new work, then the
// turns and their commits, then what they say to clients, then the store.
//
// Clients that are slow or gone are cut off in the end. That is no error: they
// come back for what they have not got. One is what may be lost.
func (s *server) close() error {
	serving, cutRequests := context.WithCancel(context.Background())
	defer cutRequests()
	requests := make(chan error, 1)
	go func() { requests <- s.http.Shutdown(serving) }() // takes no more, waits for those that run
	s.gateway.Quiesce()

	turns, cancel := context.WithTimeout(context.Background(), turnsTimeout)
	defer cancel()
	err := wrap("finish the actors' turns", s.node.Shutdown(turns))

	clients, cancel := context.WithTimeout(context.Background(), clientsTimeout)
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
	err = errors.Join(err, wrap("close the listener for debugging", s.debug.Close()))
	return errors.Join(err, wrap("close the store", s.store.Close()))
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
