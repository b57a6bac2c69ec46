// Command auth has a sign-in with a session cookie, and actors that let in only the
// user they belong to.
package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/server"
)

//go:embed index.html
var page embed.FS

// client is where npm has put @troupe/client, as modules that browsers load.
const client = "node_modules/@troupe/client/dist"

var registry = actor.NewRegistry(actor.Define[Notes]("notes", actor.Emits[Listed](), actor.Emits[Added]()))

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, "localhost:8080", os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run serves on addr until ctx ends.
func run(ctx context.Context, addr string, stdout io.Writer) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	srv, err := server.New(registry, server.Options{Data: "data/auth"})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	fmt.Fprintf(stdout, "http://%s\n", l.Addr())
	return srv.Serve(ctx, l, routes(srv))
}

func routes(srv *server.Server) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", srv.Handler())
	mux.HandleFunc("GET /session", whoAmI)
	// Pages of other origins must not sign visitors in or out.
	mux.Handle("POST /sign-in", srv.CheckOrigin(http.HandlerFunc(signIn)))
	mux.Handle("POST /sign-out", srv.CheckOrigin(http.HandlerFunc(signOut)))
	mux.Handle("/lib/", http.StripPrefix("/lib/", http.FileServer(http.Dir(client))))
	mux.Handle("/", http.FileServerFS(page))
	return mux
}
