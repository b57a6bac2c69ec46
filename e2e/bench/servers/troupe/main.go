// Command troupe is the benchmark's Troupe server: the room that every peer has, and
// actors for the growth scenarios, with all guarantees switched on. Only the rate limits
// differ from the defaults, as no peer has any.
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
		_ = server.Close() // the harness is done
	}()
	return server.ListenAndServe()
}

// memoryInUse serves the bytes of live objects and stacks. Resident memory would depend
// on when the collector ran.
func memoryInUse(w http.ResponseWriter, _ *http.Request) {
	goruntime.GC()
	goruntime.GC() // the second one clears sync.Pools
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	fmt.Fprint(w, m.HeapAlloc+m.StackInuse)
}
