// Dev is the server one develops with: it serves the app at one address, and
// what is saved is there a moment later. Run it in the project's directory, with
// "make dev". Nothing of it is in the released binary.
//
//	.tsx .ts .css   built by esbuild, in memory; the page loads itself anew,
//	                or only its style
//	.go .templ      generated, compiled, and the server replaced. The page
//	                stays, and its connections resume: the address is the dev
//	                server's, and what is asked meanwhile waits
//
// What does not compile is said in the terminal and in the page, and what ran
// before goes on.
//
//	watch.go    which files were saved
//	page.go     the app, by esbuild, and what the type checker says about it
//	server.go   the server: generate, build, replace
//	proxy.go    the address: files of the app, or a proxy to the server
//	overlay.go  what the page is told; client.js, which listens
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "where to listen; port 0 takes a free one")
	data := flag.String("data", "data/dev", "where the server keeps its data")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "Usage: dev [flags] [-- flags of the server]\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends this at once
	args := append([]string{"-addr", "127.0.0.1:0", "-data", *data, "-check", "-log", "warn"}, flag.Args()...)
	if err := run(ctx, ".", *addr, args, say); err != nil {
		fmt.Fprintln(os.Stderr, "dev:", err)
		os.Exit(1)
	}
}

// say tells what happened, in the terminal.
func say(format string, args ...any) {
	fmt.Printf(time.Now().Format("15:04:05.000 ")+format+"\n", args...)
}

// run serves the project in the directory root at addr until ctx ends. args are
// those of the server.
func run(ctx context.Context, root, addr string, args []string, say func(string, ...any)) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "dev-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	board := newBoard(say)
	page, err := newPage(root, board)
	if err != nil {
		return err
	}
	defer page.close()
	files, err := newWatcher(root)
	if err != nil {
		return err
	}
	defer files.close()
	server, err := newServer(root, work, args, board, page.catchUp)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("the address %s is in use: stop the other server, or choose another one with make dev ADDR=localhost:8081", addr)
	} else if err != nil {
		return err
	}
	// Streams of events and sockets have no end of their own: they end with ctx.
	front := &http.Server{
		Handler:           newFront(board, page, server),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { server.run(ctx) })
	running.Go(func() { page.run(ctx) })
	running.Go(func() {
		if err := front.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			say("serve: %v", err)
			cancel()
		}
	})
	say("the app is at http://%s (Ctrl-C ends it)", listener.Addr())
	for {
		changed := files.next(ctx)
		if ctx.Err() != nil {
			break
		}
		building := server.saved(changed)
		page.saved(changed, building)
	}
	err = front.Close()
	running.Wait()
	say("ended")
	return err
}
