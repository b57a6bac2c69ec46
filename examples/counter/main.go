// Command counter is a whole Troupe app: one actor, one page, one binary.
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

// Counter is an actor: its exported fields are its state, its methods its actions.
type Counter struct {
	Value int `json:"value"`
}

// Changed is an event: clients listen to "changed".
type Changed Counter

// Add adds n, tells everyone who is connected, and returns the new value.
func (r *Counter) Add(c *actor.Context[actor.NoState], n int) int {
	r.Value += n
	c.Broadcast(Changed(*r))
	return r.Value
}

// OnConnect is a hook: it sends a new connection what there is to show.
func (r *Counter) OnConnect(c *actor.Context[actor.NoState]) {
	c.Conn().Send(Changed(*r))
}

var registry = actor.NewRegistry(actor.Define[Counter]("counter", actor.Emits[Changed]()))

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
	srv, err := server.New(registry, server.Options{Data: "data/counter"})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", srv.Handler())
	mux.Handle("/lib/", http.StripPrefix("/lib/", http.FileServer(http.Dir(client))))
	mux.Handle("/", http.FileServerFS(page))
	fmt.Fprintf(stdout, "http://%s\n", l.Addr())
	return srv.Serve(ctx, l, mux)
}
