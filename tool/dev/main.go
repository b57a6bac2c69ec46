// Dev is the development server: it serves the app at one address and rebuilds it
// when you save a file. Run it in the project's directory with "make dev". It is not
// part of the released binary.
//
//	.tsx .ts .css   esbuild builds them in memory; the page reloads; CSS is
//	                swapped in place
//	.go .templ      generated, compiled, and the server is replaced. The page
//	                stays, and its connections resume: the address is dev's own,
//	                and requests wait meanwhile
//
// Errors appear in the terminal and on the page; the last good build keeps running.
//
//	watch.go    which files were saved
//	page.go     the app, built by esbuild, and its type checks
//	server.go   the server: generate, build, replace
//	proxy.go    the address: files of the app, or a proxy to the server
//	inspector.go  the way to the server's inspector
//	overlay.go  the state that pages get; client.js listens to it
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
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/troupe-dev/troupe/backend/forwarded"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "where to listen; port 0 takes a free one")
	hosts := flag.String("hosts", "", "names by which other machines reach dev; it always answers for localhost, IP addresses and the name in -addr")
	data := flag.String("data", "data/dev", "directory of the server's data")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "Usage: dev [flags] [-- flags of the server]\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	args := append([]string{"-addr", "127.0.0.1:0", "-data", *data, "-check", "-log", "warn"}, flag.Args()...)
	if err := run(ctx, ".", *addr, *hosts, args, say); err != nil {
		fmt.Fprintln(os.Stderr, "dev:", err)
		os.Exit(1)
	}
}

// hostsOf returns the names of dev: that in its address, and those in a list.
func hostsOf(addr, list string) (forwarded.Hosts, error) {
	if name, _, err := net.SplitHostPort(addr); err == nil && net.ParseIP(name) == nil {
		list += "," + name
	}
	return forwarded.ParseHosts(list)
}

// say prints a line with the time.
func say(format string, args ...any) {
	fmt.Printf(time.Now().Format("15:04:05.000 ")+format+"\n", args...)
}

// run serves the project in the directory root at addr until ctx ends. hosts are more names
// of dev, args are the server's.
func run(ctx context.Context, root, addr, hosts string, args []string, say func(string, ...any)) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	names, err := hostsOf(addr, hosts)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		args = append([]string{"-hosts", strings.Join(names, ",")}, args...)
	}
	inspector, err := newInspector()
	if err != nil {
		return err
	}
	args = append(inspector.flags(), args...)
	work, err := os.MkdirTemp("", "dev-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	overlay := newOverlay(say)
	page, err := newPage(root, overlay)
	if err != nil {
		return err
	}
	defer page.close()
	files, err := newWatcher(root)
	if err != nil {
		return err
	}
	defer files.close()
	server, err := newServer(root, work, args, overlay, page.catchUp)
	if err != nil {
		return err
	}
	page.server = server
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("the address %s is in use: stop the other server, or choose another one with make dev ADDR=localhost:8081", addr)
	} else if err != nil {
		return err
	}
	// Event streams and sockets end with ctx: nothing else ends them.
	proxy := &http.Server{
		Handler:           names.Handler(newProxy(overlay, page, server, inspector), "start dev with -hosts"),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { server.run(ctx) })
	running.Go(func() { page.run(ctx) })
	running.Go(func() {
		if err := proxy.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			say("serve: %v", err)
			cancel()
		}
	})
	say("the app is at http://%s (Ctrl-C ends it)", listener.Addr())
	say("its inspector is at http://%s%s", listener.Addr(), inspector.link())
	for {
		changed := files.next(ctx)
		if ctx.Err() != nil {
			break
		}
		building := server.saved(changed)
		page.saved(changed, building)
	}
	err = proxy.Close()
	running.Wait()
	say("ended")
	return err
}
