// Command troupe is the target of the benchmark: a room as every peer has it, and
// actors to measure growth with, on Troupe with its guarantees switched on. What
// differs from the product's defaults are the rates, which no peer limits.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	goruntime "runtime"
	"syscall"

	"github.com/google/uuid"

	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
	"github.com/troupe-dev/troupe/backend/wire"
)

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
	var st store.Store = memory.New(memory.Options{Retention: registry.Retention()})
	if data != "" {
		var err error
		if st, err = sqlite.Open(ctx, data, sqlite.Options{Retention: registry.Retention(), Logger: logger}); err != nil {
			return err
		}
	}
	node := runtime.New(registry, st, runtime.Options{Logger: logger})
	limits := wire.DefaultLimits
	limits.Rate, limits.Burst = 1_000_000, 1_000_000
	gw := gateway.New(node, node, gateway.Options{Logger: logger, Limits: limits, OpenRate: 1_000_000})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /memory", memoryInUse)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.Handle("/", gw.Handler())
	server := &http.Server{Addr: addr, Handler: mux}
	go func() {
		<-ctx.Done()
		_ = server.Close() // the harness has what it wants
	}()
	return server.ListenAndServe()
}

// memoryInUse answers with the bytes that live objects and stacks take: what is
// resident depends on when the collector ran.
func memoryInUse(w http.ResponseWriter, _ *http.Request) {
	goruntime.GC()
	goruntime.GC() // what sync.Pools hold goes with the second
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	fmt.Fprint(w, m.HeapAlloc+m.StackInuse)
}
