// Command nethttp serves the counter beside routes of its own, with the server's
// limits and shutdown.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/troupe-dev/troupe/backend/server"

	"example.com/app/counter"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	srv, err := server.New(counter.Registry, server.Options{Data: "data"})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", srv.Handler())
	mux.Handle("GET /healthz", srv.Health())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s\n", listener.Addr())
	if err := srv.Serve(ctx, listener, mux); err != nil {
		log.Fatal(err)
	}
}
