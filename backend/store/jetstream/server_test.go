package jetstream

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/troupe-dev/troupe/backend/internal/loopback"
)

// childEnv makes the test binary a nats-server, with the options that it has as JSON.
const childEnv = "TROUPE_TEST_NATS"

func TestMain(m *testing.M) {
	if config := os.Getenv(childEnv); config != "" {
		if err := runChild(config); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	stopServers()
	os.Exit(code)
}

// child is a nats-server in a process of its own.
type child struct {
	Name   string
	Dir    string
	Route  string   // its address
	Routes []string // all
	Client int      // its port; 0: any
}

// runChild runs until standard input ends: when the process that started it ends, too.
func runChild(config string) error {
	var c child
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(c.Route)
	if err != nil {
		return err
	}
	route, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	o := &server.Options{
		ServerName: c.Name, Host: host, Port: -1, NoSigs: true, JetStream: true, StoreDir: c.Dir, SyncAlways: true,
		MaxPayload: 8 << 20, Routes: server.RoutesFromStr("nats://" + strings.Join(c.Routes, ",nats://")),
		Cluster: server.ClusterOpts{Name: "troupe", Host: host, Port: route},
	}
	if c.Client != 0 {
		o.Port = c.Client
	}
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	go s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		return errors.New("the server does not start")
	}
	fmt.Println(s.ClientURL())
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	return nil
}

// process is a running child.
type process struct {
	child
	url   string
	cmd   *exec.Cmd
	stdin io.Closer
}

func (c child) start() (*process, error) {
	config, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{child: c, cmd: exec.Command(exe)}
	p.cmd.Env = append(os.Environ(), childEnv+"="+string(config))
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the server %s did not start: %w", c.Name, err), p.stop())
	}
	p.url = strings.TrimSpace(line)
	return p, nil
}

func (p *process) stop() error {
	_ = p.stdin.Close()
	return p.cmd.Wait()
}

// servers are three servers in processes of their own, or one in this process.
var servers struct {
	mu    sync.Mutex
	dirs  []string
	three []*process
	one   *server.Server
}

func stopServers() {
	for _, p := range servers.three {
		_ = p.stop()
	}
	if servers.one != nil {
		servers.one.Shutdown()
	}
	for _, dir := range servers.dirs {
		_ = os.RemoveAll(dir)
	}
}

func serverDir() (string, error) {
	dir, err := os.MkdirTemp("", "troupe-nats")
	servers.dirs = append(servers.dirs, dir)
	return dir, err
}

// startThree starts a cluster of three processes.
func startThree() ([]*process, error) {
	var routes []string
	for range 3 {
		route, err := loopback.Address()
		if err != nil {
			return nil, err
		}
		routes = append(routes, route)
	}
	all := make([]*process, 3)
	errs := make([]error, 3)
	var wg sync.WaitGroup
	for i := range all {
		dir, err := serverDir()
		if err != nil {
			return nil, err
		}
		wg.Go(func() {
			all[i], errs[i] = child{Name: fmt.Sprint("n", i), Dir: dir, Route: routes[i], Routes: routes}.start()
		})
	}
	wg.Wait()
	return all, errors.Join(errs...)
}

// a backend is where the tests' stores are.
type backend struct {
	url      string
	options  []nats.Option
	replicas int
}

var spaces atomic.Int64

// oneServer returns a server in this process.
func oneServer(t testing.TB) backend {
	t.Helper()
	servers.mu.Lock()
	defer servers.mu.Unlock()
	if servers.one == nil {
		dir, err := serverDir()
		if err != nil {
			t.Fatal(err)
		}
		s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, JetStream: true, StoreDir: dir, MaxPayload: 8 << 20})
		if err != nil {
			t.Fatal(err)
		}
		go s.Start()
		if !s.ReadyForConnections(30 * time.Second) {
			t.Fatal("the server does not start")
		}
		servers.one = s
	}
	return backend{options: []nats.Option{nats.InProcessServer(servers.one)}, replicas: 1}
}

// threeServers returns a cluster of three processes.
func threeServers(t testing.TB) backend {
	t.Helper()
	servers.mu.Lock()
	defer servers.mu.Unlock()
	if servers.three == nil {
		three, err := startThree()
		if err != nil {
			t.Fatal(err)
		}
		servers.three = three
	}
	return backend{url: urlsOf(servers.three), replicas: 3}
}

func urlsOf(all []*process) string {
	var urls []string
	for _, p := range all {
		urls = append(urls, p.url)
	}
	return strings.Join(urls, ",")
}

// place is where the incarnations of one cluster keep their actors.
type place struct {
	backend
	Options
}

// newPlace returns a place for some stores.
func (b backend) newPlace(o Options) place {
	o.Space = fmt.Sprint("x", spaces.Add(1))
	o.Replicas = b.replicas
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second // elections take some seconds, and the machine may be busy
	}
	return place{b, o}
}

// connect connects to the place.
func (p place) connect(t testing.TB) *nats.Conn {
	t.Helper()
	nc, err := Connect(p.url, p.options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// open opens a store that owns nothing yet.
func (p place) open(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.Context(), p.connect(t), p.Options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.crash)
	return s
}

// takeOver opens a store that owns everything.
func (p place) takeOver(t testing.TB) *Store {
	t.Helper()
	s := p.open(t)
	if err := s.TakeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// remove deletes the streams of a place.
func (p place) remove(t testing.TB) {
	nc, err := Connect(p.url, p.options...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c, err := newClient(nc, p.Options.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{c.journal, c.state, c.items, c.table} {
		ctx, cancel := context.WithTimeout(context.Background(), tryTime)
		_ = c.js.DeleteStream(ctx, name)
		cancel()
	}
}

// crash ends a store as a killed process does: without another message.
func (s *Store) crash() {
	s.closing.Do(func() {
		close(s.done)
		s.nc.Close() // first: what the keeper is saving would be tried again, for long if its stream is gone
		s.workers.Wait()
	})
}
