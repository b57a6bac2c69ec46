package app

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/troupe-dev/troupe/backend/server"
)

// outputTimeout is how long the process waits for a standard output or error that is not
// read, when it starts and when it ends.
const outputTimeout = time.Second

// Main runs the server with the arguments, environment, outputs and signals of the
// process, and returns the exit status. SIGINT, SIGTERM and SIGHUP shut it down; a second
// SIGINT or SIGTERM ends the process at once. The default logger of slog becomes the
// server's.
func Main(ui fs.FS) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as it is below nohup
		stop = append(stop, syscall.SIGHUP)
	}
	received := make(chan os.Signal, 1)
	signal.Notify(received, stop...)
	go func() {
		<-received
		// Not SIGHUP: a terminal that closes may send it twice.
		signal.Reset(os.Interrupt, syscall.SIGTERM)
		cancel()
	}()
	serving := func(logger *slog.Logger) {
		// An output whose reader is gone must not end the server: writes fail instead.
		signal.Ignore(syscall.SIGPIPE)
		slog.SetDefault(logger)
		limitMemory(logger, server.MemoryLimit())
	}
	if err := run(ctx, os.Args[1:], os.Environ(), ui, os.Stdout, os.Stderr, serving); err != nil {
		_ = writeSoon(os.Stderr, fmt.Sprintln("troupe:", err)) // nobody else could be told
		return 1
	}
	return 0
}

// limitMemory makes Go's garbage collector keep to the memory limit of the container,
// unless GOMEMLIMIT is set.
func limitMemory(logger *slog.Logger, container int64) {
	switch own := debug.SetMemoryLimit(-1); {
	case container <= 0:
	case os.Getenv("GOMEMLIMIT") != "":
		logger.Info("memory is limited", "container", container, "GOMEMLIMIT", own)
	default:
		limit := goMemory(container)
		debug.SetMemoryLimit(limit)
		logger.Info("memory is limited, so GOMEMLIMIT and -max-buffers follow unless they are set", "container", container, "GOMEMLIMIT", limit)
	}
}

// goMemory returns how much of a container's memory is for Go's heap: not a tenth or
// 64 MiB, which are for SQLite and the kernel's part.
func goMemory(container int64) int64 {
	return max(container-max(container/10, 64<<20), container/2)
}

// writeSoon writes a text, but does not wait longer than outputTimeout.
func writeSoon(w io.Writer, text string) error {
	written := make(chan error, 1)
	go func() {
		_, err := io.WriteString(w, text)
		written <- err
	}()
	select {
	case err := <-written:
		return err
	case <-time.After(outputTimeout):
		return fmt.Errorf("nobody reads it: gave up after %v", outputTimeout)
	}
}
