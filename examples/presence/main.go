// Command presence shows who is in a room: connections, their states, and what happens
// when they come and go.
package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/server"
)

//go:generate go run github.com/troupe-dev/troupe/backend/typegen/cmd/typegen -o web/registry.gen.ts

// Registry is what the server serves, and what the types in web are generated from.
var Registry = actor.NewRegistry(actor.Define[Room]("room", actor.Emits[PeopleChanged]()))

//go:embed public
var public embed.FS

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, "localhost:8080", os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run serves on addr until ctx ends.
func run(ctx context.Context, addr string, stdout io.Writer) error {
	page, err := fs.Sub(public, "public")
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	srv, err := server.New(Registry, server.Options{Data: "data/presence"})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", srv.Handler())
	mux.Handle("/", http.FileServerFS(page))
	fmt.Fprintf(stdout, "http://%s\n", l.Addr())
	return srv.Serve(ctx, l, mux)
}
