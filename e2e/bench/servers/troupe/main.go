// Command troupe is the target of the benchmark: a room as every peer has it, on
// Troupe with its guarantees switched on. What differs from the product's defaults
// is the rate limit, which no peer has.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/google/uuid"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Message is what is said in a room, about 150 bytes of JSON.
type Message struct {
	ID        string `json:"id"`
	UserID    string `json:"userId"`
	Text      string `json:"text"`
	Timestamp int64  `json:"timestamp"`
}

// MessageReceived is its event.
type MessageReceived Message

// Room keeps the last 100 messages.
type Room struct {
	Messages actor.List[Message] `json:"messages"`
}

// SendMessage is the job of the benchmark.
func (r *Room) SendMessage(c *actor.Context[actor.NoState], userID, text string) Message {
	m := Message{ID: uuid.NewString(), UserID: userID, Text: text, Timestamp: c.Now().UnixMilli()}
	if r.Messages.Len() == 100 {
		r.Messages.Delete(0, 1)
	}
	r.Messages.Append(m)
	c.Broadcast(MessageReceived(m))
	return m
}

func main() {
	uuid.EnableRandPool()
	addr := flag.String("addr", "127.0.0.1:7020", "address")
	data := flag.String("data", "", "directory of the SQLite store; empty: the memory store")
	flag.Parse()
	if err := run(*addr, *data); err != nil {
		fmt.Fprintln(os.Stderr, "troupe:", err)
		os.Exit(1)
	}
}

func run(addr, data string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	registry := actor.NewRegistry(actor.Define[Room]("room", actor.Emits[MessageReceived]()))
	var st store.Store = memory.New(memory.Options{Retention: registry.Retention()})
	if data != "" {
		var err error
		if st, err = sqlite.Open(ctx, data, sqlite.Options{Retention: registry.Retention(), Logger: logger}); err != nil {
			return err
		}
	}
	node := actor.NewNode(registry, st, actor.NodeOptions{Logger: logger})
	limits := wire.DefaultLimits
	limits.Rate, limits.Burst = 1_000_000, 1_000_000
	gw := gateway.New(node, gateway.Options{Logger: logger, Limits: limits})
	server := &http.Server{Addr: addr, Handler: gw.Handler()}
	go func() {
		<-ctx.Done()
		_ = server.Close() // the harness has what it wants
	}()
	return server.ListenAndServe()
}
