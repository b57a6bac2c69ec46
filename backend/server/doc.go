// Package server is Troupe as a library: it serves the actors of a registry, alone or
// as part of an HTTP server of yours.
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
// Run ends when ctx does, after everything that clients have been told is stored.
//
// # In a server of yours
//
// With routes of your own, but the server's limits, proxies and shutdown:
//
//	mux := http.NewServeMux()
//	mux.Handle("/api/", srv.Handler())
//	mux.Handle("GET /healthz", srv.Health())
//	mux.Handle("/", http.FileServer(http.Dir("public")))
//	return srv.Serve(ctx, listener, mux)
//
// Or in an http.Server and a router that you have already:
//
//	router.Handle("/api/*", srv.Handler()) // chi
//	…
//	err := srv.Close(ctx) // then httpServer.Shutdown(ctx)
//
// # What is where
//
// options.go has the options and their defaults, server.go starts, serves and shuts
// down, health.go and metrics.go answer operators, connections.go and body.go
// limit what clients do before and during a request, log.go limits the log.
//
// Actors are written with package actor. Command typegen
// (backend/typegen/cmd/typegen) writes the types of their clients. The sample's
// server, backend/app, shows how options become flags.
package server
