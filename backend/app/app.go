// Package app is the sample's server: it maps flags to server.Options, and adds the
// sample's actors, its page and its sessions.
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
	"os"

	"github.com/go-chi/chi/v5"

	"github.com/troupe-dev/troupe/backend/rooms"
	"github.com/troupe-dev/troupe/backend/server"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/web"
)

// version is set by the linker (see Makefile).
var version = "dev"

// Run runs the server until ctx ends, and returns after a clean shutdown. The
// arguments are those of a process, without its name; ui has the built web UI
// (see package web). An error is one line for the person who started the server.
func Run(ctx context.Context, args, env []string, ui fs.FS, stdout, stderr io.Writer) error {
	return run(ctx, args, env, ui, stdout, stderr, func(*slog.Logger) {})
}

// run is Run. If the arguments say to serve, it first passes its logger to serving.
func run(ctx context.Context, args, env []string, ui fs.FS, stdout, stderr io.Writer, serving func(*slog.Logger)) error {
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
	if config.Health {
		return probe(ctx, config, stdout)
	}
	if config.Backup != "" {
		return backup(ctx, config, stdout, stderr)
	}
	if config.Restore != "" {
		return restore(ctx, config, stdout, stderr)
	}
	if config.CheckOf != "" {
		return checkStored(ctx, config, stdout, stderr)
	}
	log := newLog(config, stderr)
	defer func() {
		ending, cancel := context.WithTimeout(context.Background(), outputTimeout)
		defer cancel()
		_ = log.Close(ending) // an error means that nobody reads the log
	}()
	logger := slog.New(server.LogHandler(log))
	serving(logger)
	for _, line := range config.Warnings {
		logger.Warn(line)
	}
	page, err := web.New(ui, config.BasePath)
	if err != nil {
		return err
	}
	if !page.Built() {
		logger.Warn("the web UI is not built: run make run or make build")
	}
	srv, listener, err := start(ctx, config, logger)
	if err != nil && ctx.Err() != nil {
		logger.Info("stopped while starting", "error", err)
		return nil //lint:ignore nilerr a server that is stopped has not failed
	} else if err != nil {
		return err
	}
	flushing, cancel := context.WithTimeout(ctx, outputTimeout)
	_ = log.Flush(flushing) // what is logged until now comes first; an error means that nobody reads it
	cancel()
	if err := writeSoon(stdout, fmt.Sprintf("Troupe is at %s\n", address(config.Addr, listener.Addr())+config.BasePath)); err != nil {
		logger.Warn("cannot print the server's address", "error", err)
	}
	return srv.Serve(ctx, listener, routes(srv, page, config))
}

// start makes the server and listens. A process that takes over from another one first
// waits for the data: until then, the other one owns the address. If there is no data
// yet, start listens first, so that an address in use leaves no directory behind. So does a
// node of a cluster, which says at the address that it waits for others.
func start(ctx context.Context, config Config, logger *slog.Logger) (*server.Server, net.Listener, error) {
	var listener net.Listener
	if _, err := os.Stat(config.Data); errors.Is(err, fs.ErrNotExist) || config.Cluster.Servers != "" {
		if listener, err = listen(ctx, config.Addr); err != nil {
			return nil, nil, err
		}
	}
	options := options(config, logger)
	if config.Cluster.Servers != "" {
		node, err := newCluster(config, logger)
		if err != nil {
			return nil, nil, errors.Join(err, listener.Close())
		}
		options.Data, options.Cluster, options.Listener = "", node, listener
	}
	srv, err := server.NewContext(ctx, rooms.Registry, options)
	if err != nil {
		if listener != nil {
			_ = listener.Close() // an error means that the server has closed it
		}
		return nil, nil, err
	}
	if listener == nil {
		listener, err = listen(ctx, config.Addr)
	}
	var key []byte
	if err == nil {
		key, err = sessionKey(ctx, config, srv, logger)
	}
	if err != nil {
		err = errors.Join(err, srv.Close(context.WithoutCancel(ctx)))
		if listener != nil {
			_ = listener.Close() // an error means that the server has closed it
		}
		return nil, nil, err
	}
	rooms.SetSessionKey(key)
	return srv, listener, nil
}

// options maps the configuration to the server's options.
func options(c Config, logger *slog.Logger) server.Options {
	o := server.Options{
		Data: c.Data, JournalBytes: c.JournalBytes, NoSecureDelete: !c.SecureDelete,
		AllowOrigins: c.AllowOrigins, Hosts: c.Hosts, TrustedProxies: c.Proxies, BasePath: c.BasePath,
		MaxSockets: c.MaxSockets, MaxActors: orNone(c.MaxActors), MaxActorBytes: byteLimit(c.MaxActorBytes), MaxBuffers: byteLimit(c.MaxBuffers), TableCache: c.TableCache,
		MaxSocketsPerIP: orNone(c.MaxSocketsPerIP), ConnectRatePerIP: orNone(c.ConnectRatePerIP), CallRatePerIP: orNone(c.CallRatePerIP),
		ActorRatePerIP: orNone(c.ActorRatePerIP),
		Logger:         logger, Check: c.Check, Drain: c.Drain, DebugAddr: c.DebugAddr, Inspect: c.Inspect, InspectToken: c.InspectToken, Version: version,
	}
	if c.Store == storeMemory {
		o.Data, o.JournalBytes, o.Store = "", 0, memory.New(memory.Options{Retention: rooms.Registry.Retention()})
	}
	return o
}

// byteLimit returns a limit in bytes as an option.
func byteLimit(limit int) int64 {
	if limit == autoBytes {
		return 0 // the default
	}
	return int64(orNone(limit))
}

// orNone converts a limit from flags to server.Options: no limit is 0 as a flag, and a
// negative number as an option.
func orNone[T int | float64](limit T) T {
	if limit == 0 {
		return -1
	}
	return limit
}

// routes returns the handler of the server's own paths, the sessions and the page.
func routes(srv *server.Server, page http.Handler, config Config) http.Handler {
	r := chi.NewRouter()
	r.Handle("/healthz", srv.Health())
	r.Handle("/readyz", srv.Ready())
	if config.Metrics {
		r.Handle("/metrics", srv.Metrics())
	}
	r.Handle(server.TypesPath, srv.Types())
	r.With(srv.CheckOrigin).Handle("/api/session", serveSession(config.BasePath+"/"))
	r.Method(http.MethodOptions, "/api/session", srv.Handler()) // preflights
	r.Handle("/api", srv.Handler())
	r.Handle("/api/*", srv.Handler())
	r.Handle("/*", page)
	return r
}

// newLog makes the configured log.
func newLog(config Config, w io.Writer) *server.LogQueue {
	options := &slog.HandlerOptions{Level: config.LogLevel}
	return server.NewLogQueue(w, func(w io.Writer) slog.Handler {
		if config.LogJSON {
			return slog.NewJSONHandler(w, options)
		}
		return slog.NewTextHandler(w, options)
	})
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := server.Listen(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("-addr: %w", err)
	}
	return l, nil
}

// address returns the server's URL for a browser on this machine.
func address(configured string, got net.Addr) string {
	host, _, err := net.SplitHostPort(configured)
	if err != nil || host == "" || net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	_, port, err := net.SplitHostPort(got.String())
	if err != nil {
		return "http://" + got.String()
	}
	return "http://" + net.JoinHostPort(host, port)
}
