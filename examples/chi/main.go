// Command chi embeds Troupe in a server that has a router, middleware and routes of its
// own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/server"
)

// Poll counts votes. Each key is a poll of its own: poll ["lunch"].
type Poll struct {
	Votes map[string]int `json:"votes"`
}

// Voted is an event with the votes so far.
type Voted Poll

// Vote votes for one choice.
func (p *Poll) Vote(c *actor.Context[actor.NoState], choice string) (map[string]int, error) {
	if choice == "" || len(choice) > 100 || len(p.Votes) >= 100 && p.Votes[choice] == 0 {
		return nil, actor.Errorf("bad_choice", "a poll has up to 100 choices of 1 to 100 bytes")
	}
	if p.Votes == nil {
		p.Votes = map[string]int{}
	}
	p.Votes[choice]++
	c.Broadcast(Voted(*p))
	return p.Votes, nil
}

var registry = actor.NewRegistry(actor.Define[Poll]("poll", actor.Emits[Voted]()))

// routes is a router with three lines for Troupe.
func routes(srv *server.Server) http.Handler {
	r := chi.NewRouter()
	r.Use(middleware.RequestID, middleware.Logger, middleware.Recoverer)

	r.Handle("/api/*", srv.Handler())
	r.Method(http.MethodGet, "/healthz", srv.Health())
	r.Method(http.MethodGet, "/readyz", srv.Ready())

	r.Route("/v1", func(r chi.Router) {
		// Not for /api: its sockets and streams stay open.
		r.Use(middleware.Timeout(10 * time.Second))
		r.Get("/hello/{name}", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "Hello, %s!\n", chi.URLParam(r, "name"))
		})
	})
	return r
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, "localhost:8080", os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run serves on addr until ctx ends, and returns when everything is stored and closed.
func run(ctx context.Context, addr string, stdout io.Writer) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	srv, err := server.New(registry, server.Options{Data: "data/chi"})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	httpServer := &http.Server{Handler: routes(srv), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- httpServer.Serve(l) }()
	fmt.Fprintf(stdout, "http://%s\n", l.Addr())

	select {
	case err = <-served: // not before Shutdown, unless something is wrong
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	// First Troupe, which closes its sockets: Shutdown waits for requests only.
	return errors.Join(err, srv.Close(end), httpServer.Shutdown(end))
}
