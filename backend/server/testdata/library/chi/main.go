// Command chi serves the counter below a path of a router and an http.Server that
// know nothing of it.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-chi/chi/v5"

	"github.com/troupe-dev/troupe/backend/server"

	"example.com/app/counter"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	srv, err := server.New(counter.Registry, server.Options{Data: "data", BasePath: "/live"})
	if err != nil {
		log.Fatal(err)
	}
	router := chi.NewRouter()
	router.Handle("/live/api/*", srv.Handler())
	router.Method(http.MethodGet, "/live/healthz", srv.Health())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s/live\n", listener.Addr())
	own := &http.Server{Handler: router}
	go own.Serve(listener)
	<-ctx.Done()
	if err := errors.Join(srv.Close(context.Background()), own.Shutdown(context.Background())); err != nil {
		log.Fatal(err)
	}
}
