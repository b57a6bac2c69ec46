package app

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
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
	}
	if err := run(ctx, os.Args[1:], os.Environ(), ui, os.Stdout, os.Stderr, serving); err != nil {
		_ = writeSoon(os.Stderr, fmt.Sprintln("troupe:", err)) // nobody else could be told
		return 1
	}
	return 0
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
