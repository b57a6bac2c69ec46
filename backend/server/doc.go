// Package server is Troupe as a library: it serves the actors of a registry, on its own or
// within your HTTP server.
//
// # A server of its own
//
//	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
//	defer stop()
//	srv, err := server.New(registry, server.Options{Data: "data"})
//	if err != nil {
//		return err
//	}
//	return srv.Run(ctx, ":8080")
//
// Run returns when ctx ends, after everything that clients have received is stored.
//
// # In your server
//
// With your own routes, and the server's limits, proxies and shutdown:
//
//	mux := http.NewServeMux()
//	mux.Handle("/api/", srv.Handler())
//	mux.Handle("GET /healthz", srv.Health())
//	mux.Handle("/", http.FileServer(http.Dir("public")))
//	return srv.Serve(ctx, listener, mux)
//
// Or in an http.Server and a router that you already have:
//
//	router.Handle("/api/*", srv.Handler()) // chi
//	…
//	err := srv.Close(ctx) // then httpServer.Shutdown(ctx)
//
// # Files
//
// options.go has the options and their defaults; server.go starts, serves and shuts
// down; health.go and metrics.go have the handlers for operators; connections.go and
// body.go limit connections and slow requests; memory.go finds the container's limit;
// log.go and logqueue.go keep the log from filling the disk and from blocking;
// orphans.go names stored actors that no definition has; check.go tries whether all can be
// loaded.
//
// Actors are written with package actor. Command typegen
// (backend/typegen/cmd/typegen) writes the types of their clients. The sample's
// server, backend/app, shows how options become flags.
package server
