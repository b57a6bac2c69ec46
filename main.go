// Troupe is a server for realtime apps: actors in Go, with a JavaScript client,
// React hooks and a sample UI, in one binary. Run it with -h for its flags.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/troupe-dev/troupe/backend/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal shuts down; a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	if err := app.Run(ctx, os.Args[1:], os.Environ(), ui, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "troupe:", err)
		os.Exit(1)
	}
}
