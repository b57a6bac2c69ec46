// Command backend serves the actors of the Next.js app beside it.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/server"
)

//go:generate go run github.com/troupe-dev/troupe/backend/typegen/cmd/typegen -o ../app/registry.gen.ts

// Registry is what the server serves, and what the types of the app are generated from.
var Registry = actor.NewRegistry(actor.Define[Likes]("likes", actor.Emits[Liked]()))

// Likes counts how many people like a post, which is the key: likes ["hello"].
type Likes struct {
	Count int `json:"count"`
}

// Liked is an event with the new count.
type Liked Likes

// Like counts one more.
func (l *Likes) Like(c *actor.Context[actor.NoState]) int {
	l.Count++
	c.Broadcast(Liked(*l))
	return l.Count
}

// Total returns the count.
func (l Likes) Total(*actor.Context[actor.NoState]) int { return l.Count }

func main() {
	addr := flag.String("addr", "localhost:8080", "where to listen")
	origin := flag.String("origin", "http://localhost:3000", "where Next.js serves the page")
	data := flag.String("data", "data/nextjs", "the directory of the data")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, server.Options{Data: *data, AllowOrigins: []string{*origin}}); err != nil {
		log.Fatal(err)
	}
}

// run serves on addr until ctx ends.
func run(ctx context.Context, addr string, options server.Options) error {
	srv, err := server.New(Registry, options)
	if err != nil {
		return err
	}
	return srv.Run(ctx, addr)
}
