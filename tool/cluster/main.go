// Cluster runs several nodes on this machine, and a proxy in front of them that sends each
// request to another node: to see what nodes do when you kill one, and to try your actors on
// several nodes. Run it in the project's directory with "make cluster". It is not part of the
// released binary.
//
//	main.go      flags, keys, what is said
//	node.go      a node: starts, pauses and ends its process, asks it how it is
//	terminal.go  single keys from a terminal
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/troupe-dev/troupe/tool/roundrobin"
)

// options say what to run.
type options struct {
	addr   string // where the proxy listens; nodes listen on the ports after it
	nodes  int
	routes string // where the first node listens for the others; they listen on the ports after it
	data   string // directory with one directory for each node
	binary string
	args   []string // more flags for each node
	env    []string // more variables for each node
}

func main() {
	var o options
	flag.StringVar(&o.addr, "addr", "localhost:8080", "where the proxy listens; nodes listen on the ports after it. Port 0 takes free ones")
	flag.IntVar(&o.nodes, "nodes", 3, "number of nodes, 1 to 9")
	flag.StringVar(&o.routes, "routes", "127.0.0.1:6222", "where the first node listens for the others; they listen on the ports after it")
	flag.StringVar(&o.data, "data", "data/cluster", "directory of the nodes' data")
	flag.StringVar(&o.binary, "binary", "bin/troupe", "what to run")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "Usage: cluster [flags] [-- flags of the nodes]\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	o.args = flag.Args()

	keys := make(chan byte)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		for range signals {
			keys <- quitKey
		}
	}()
	out, restore := terminal(os.Stdin, os.Stdout)
	go readKeys(os.Stdin, keys)
	err := run(o, keys, out)
	restore()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

const (
	quitKey      = 'q'
	stopKey      = 's'
	terminateKey = 't'
)

const help = "keys: 1-%d kill a node or start it; s, then its number: stop it (SIGSTOP) or let it continue; t, then its number: end it (SIGTERM); q: quit"

// cluster is the nodes that run.
type cluster struct {
	nodes []*node
	said  string // of the nodes, most recently

	mu  sync.Mutex
	out io.Writer
}

// say prints a line with the time.
func (c *cluster) say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.out, time.Now().Format("15:04:05.000 ")+format+"\n", args...)
}

// run runs nodes until the key q is pressed. It returns once none runs any more.
func run(o options, keys <-chan byte, out io.Writer) error {
	c := &cluster{out: out}
	if err := c.prepare(o); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("the address %s is in use: stop the other server, or choose another one with make cluster ADDR=localhost:9000", o.addr)
	} else if err != nil {
		return err
	}
	proxy := &http.Server{
		Handler: roundrobin.New(c.targets), ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: log.New(io.Discard, "", 0), // of sockets whose node has ended
	}
	failed := make(chan error, 1)
	go func() {
		if err := proxy.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	ended := make(chan *node)
	for _, n := range c.nodes {
		if err = n.start(ended); err != nil {
			break
		}
	}
	if err == nil {
		c.say("the app is at http://%s: each request goes to another node", listener.Addr())
		c.say(help, len(c.nodes))
		err = c.loop(keys, ended, failed)
	}
	c.stop(keys, ended)
	return errors.Join(err, proxy.Close())
}

// prepare makes the nodes.
func (c *cluster) prepare(o options) error {
	if o.nodes < 1 || o.nodes > 9 {
		return fmt.Errorf("want 1 to 9 nodes, got %d", o.nodes)
	}
	var peers, addrs []string
	for i := range o.nodes {
		peer, err := after(o.routes, i)
		if err != nil {
			return err
		}
		addr, err := after(o.addr, i+1)
		if err != nil {
			return err
		}
		peers, addrs = append(peers, peer), append(addrs, addr)
	}
	env := append(os.Environ(), "TROUPE_CLUSTER_SECRET="+rand.Text())
	for i := range o.nodes {
		name := fmt.Sprint("n", i+1)
		n := &node{name: name, say: c.say, binary: o.binary, env: append(env, o.env...)}
		n.args = append([]string{
			"-addr", addrs[i], "-data", filepath.Join(o.data, name), "-log", "warn", "-metrics",
			"-cluster", "embedded", "-node", name, "-cluster-listen", peers[i], "-cluster-peers", strings.Join(peers, ","),
		}, o.args...)
		c.nodes = append(c.nodes, n)
	}
	return nil
}

// after returns an address whose port is n higher. Port 0 remains.
func after(address string, n int) (string, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return "", err
	}
	if port != 0 {
		port += n
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}

// targets returns the addresses of nodes that are ready. If none is, those of all that listen.
func (c *cluster) targets() []string {
	var ready, listening []string
	for _, n := range c.nodes {
		s := n.status()
		if s.ready {
			ready = append(ready, s.addr)
		}
		if s.addr != "" {
			listening = append(listening, s.addr)
		}
	}
	if ready == nil {
		return listening
	}
	return ready
}

// loop does what keys ask for, and says how the nodes are, until the key q is pressed or the proxy fails.
func (c *cluster) loop(keys <-chan byte, ended chan *node, failed <-chan error) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	changed := make(chan struct{}, 1)
	for _, n := range c.nodes {
		go n.watch(ctx, changed)
	}
	var before byte // s or t, which a number follows
	for {
		select {
		case err := <-failed:
			return err
		case n := <-ended:
			n.ended()
			c.sayNodes()
		case <-changed:
			c.sayNodes()
		case key := <-keys:
			switch i := int(key) - '1'; {
			case key == quitKey:
				return nil
			case key == stopKey || key == terminateKey:
				before = key
				c.say("which node?")
				continue
			case i >= 0 && i < len(c.nodes):
				c.act(c.nodes[i], before, ended)
				c.sayNodes()
			case key > ' ':
				c.say(help, len(c.nodes))
			}
			before = 0
		}
	}
}

// act does to a node what a key asks for.
func (c *cluster) act(n *node, key byte, ended chan *node) {
	var err error
	switch s := n.status(); {
	case !s.running && key == 0:
		c.say("%s: start", n.name)
		err = n.start(ended)
	case !s.running:
		c.say("%s does not run: press its number alone to start it", n.name)
	case key == stopKey && s.paused:
		c.say("%s: continue", n.name)
		err = n.pause(false)
	case key == stopKey:
		c.say("%s: stop", n.name)
		err = n.pause(true)
	case key == terminateKey:
		c.say("%s: end", n.name)
		err = n.terminate()
	default:
		c.say("%s: kill", n.name)
		err = n.kill()
	}
	if err != nil {
		c.say("%s: %v", n.name, err)
	}
}

// sayNodes says how the nodes are, if that has changed.
func (c *cluster) sayNodes() {
	var all []string
	for _, n := range c.nodes {
		all = append(all, n.status().String(n.name))
	}
	if now := strings.Join(all, "   "); now != c.said {
		c.said = now
		c.say("%s", now)
	}
}

// stop ends all nodes, and waits for them: 20 s, or until q is pressed again, then it kills them.
func (c *cluster) stop(keys <-chan byte, ended <-chan *node) {
	running := 0
	for _, n := range c.nodes {
		if n.status().running {
			running++
			_ = n.pause(false) // where that is not supported, none is paused
			_ = n.terminate()  // an error means that it has ended
		}
	}
	patience := time.After(20 * time.Second) // an end takes 10 s at most
	for running > 0 {
		select {
		case n := <-ended:
			n.ended()
			running--
			continue
		case key := <-keys:
			if key != quitKey {
				continue
			}
		case <-patience:
		}
		for _, n := range c.nodes {
			_ = n.kill() // an error means that it has ended
		}
	}
	c.say("all nodes have ended")
}
