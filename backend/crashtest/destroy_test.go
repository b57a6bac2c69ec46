package crashtest

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/cluster"
	troupe "github.com/troupe-dev/troupe/backend/server"
	"github.com/troupe-dev/troupe/backend/wire"
)

// vault has the calls of its life: its end returns them.
type vault struct {
	Marks []string `json:"marks"`
}

// Mark notes a call.
func (v *vault) Mark(_ *actor.Context[actor.NoState], what string) { v.Marks = append(v.Marks, what) }

// End destroys the vault, and returns what it had.
func (v *vault) End(c *actor.Context[actor.NoState], what string) []string {
	c.Destroy()
	return append(v.Marks, what)
}

// serveVaults is the environment variable that makes the test's binary a server of vaults.
const serveVaults = "TROUPE_CRASHTEST_VAULTS"

// registries are what the test's binary serves, by the environment variable that asks for it.
var registries = map[string]*actor.Registry{
	serveVaults: actor.NewRegistry(actor.Define[vault]("vault")),
	servePurses: purses,
}

// serveActors is a process that tests kill: a server of their actors that knows the flags
// of the real binary that they use.
func serveActors(registry *actor.Registry) error {
	flags := map[string]*string{}
	for _, name := range []string{"addr", "data", "log", "node", "cluster", "cluster-secret", "cluster-listen", "cluster-peers"} {
		flags[name] = flag.String(name, "", "")
	}
	lease := flag.Duration("cluster-lease", 0, "")
	flag.Parse()
	o := troupe.Options{Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	if *flags["cluster"] == "" {
		o.Data = *flags["data"]
	} else {
		c, err := cluster.New(cluster.Options{Node: *flags["node"], Replicas: 3, Lease: *lease, Logger: o.Logger, Embed: &cluster.EmbedOptions{
			Dir: *flags["data"], Listen: *flags["cluster-listen"], Peers: strings.Split(*flags["cluster-peers"], ","), Secret: *flags["cluster-secret"], Voter: true,
		}})
		if err != nil {
			return err
		}
		go func() {
			<-c.Ended()
			fmt.Fprintln(os.Stderr, c.Err())
			os.Exit(1)
		}()
		o.Cluster = c
	}
	srv, err := troupe.New(registry, o)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", *flags["addr"])
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	fmt.Println("http://" + l.Addr().String()) // from now on it is stopped
	go func() {
		<-stop
		if srv.Close(context.Background()) == nil {
			os.Exit(0)
		}
		os.Exit(1)
	}()
	mux := http.NewServeMux()
	mux.Handle("/", srv.Handler())
	mux.Handle("/readyz", srv.Ready())
	return http.Serve(l, mux)
}

// vaultClient is a client of one vault, as clientjs is one: it repeats the calls without an
// answer when it comes back, and settles them by h when it hears of the end.
type vaultClient struct {
	name           string
	server         *server
	secret, caller string

	mu         sync.Mutex
	ws         *websocket.Conn
	live       bool
	log        string
	seq        uint64
	calls      uint64
	pending    []*vaultCall
	settled    []*vaultCall
	ends, lost int // how often it heard of an end, and how often without h
	faults     []string
}

type vaultCall struct {
	id           uint64
	action, what string
	log          string // of the life that it was sent to
	ran          bool
	marks        []string // the result of End
}

func (c *vaultClient) run(ctx context.Context, r *rand.Rand) {
	for ctx.Err() == nil {
		c.session(ctx)
		away := time.Duration(r.IntN(30)) * time.Millisecond
		if r.IntN(8) == 0 {
			away = time.Duration(r.IntN(600)) * time.Millisecond
		}
		select {
		case <-time.After(away):
		case <-ctx.Done():
		}
	}
}

// session is the life of one socket.
func (c *vaultClient) session(ctx context.Context) {
	dialing, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(dialing, "ws://"+c.server.address()+"/api/socket?v=1", nil)
	if err != nil {
		return
	}
	defer ws.CloseNow()
	ws.SetReadLimit(-1)
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ws, c.live = nil, false
	}()
	for first := true; ; first = false {
		_, frame, err := ws.Read(ctx)
		if err != nil {
			return
		}
		c.mu.Lock()
		if first {
			c.ws = ws
			c.send(wire.ClientMessage{
				Type: wire.TypeOpen, Channel: 1, Actor: "vault", Key: json.RawMessage(`["v"]`), Secret: c.secret, Caller: c.caller,
				Log: c.log, Seq: c.seq, Ack: c.answered(),
			})
		}
		again := c.receive(frame)
		c.mu.Unlock()
		if !again {
			return
		}
	}
}

func (c *vaultClient) answered() uint64 {
	if len(c.pending) > 0 {
		return c.pending[0].id - 1
	}
	return c.calls
}

// send writes a message. The reader finds a broken link. Hold mu.
func (c *vaultClient) send(m wire.ClientMessage) {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = c.ws.Write(ctx, websocket.MessageText, b)
}

func (c *vaultClient) sendCall(call *vaultCall) {
	call.log = c.log
	arg, _ := json.Marshal(call.what)
	c.send(wire.ClientMessage{Type: wire.TypeCall, Channel: 1, ID: call.id, Action: call.action, Args: []json.RawMessage{arg}, Ack: c.answered()})
}

func (c *vaultClient) call(action string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	const maxPending = 30 // the server refuses more than 64
	if len(c.pending) >= maxPending && action != "end" {
		return
	}
	c.calls++
	call := &vaultCall{id: c.calls, action: action, what: fmt.Sprint(c.name, "/", c.calls)}
	c.pending = append(c.pending, call)
	if c.live {
		c.sendCall(call)
	}
}

// receive handles a frame. It reports false if the channel has ended. Hold mu.
func (c *vaultClient) receive(frame []byte) bool {
	var messages []wire.ServerMessage
	if frame[0] != '[' {
		frame = append(append([]byte{'['}, frame...), ']')
	}
	if err := json.Unmarshal(frame, &messages); err != nil {
		c.faults = append(c.faults, err.Error())
		return false
	}
	for _, m := range messages {
		c.seq = max(c.seq, m.Seq)
		switch m.Type {
		case wire.TypeBeat:
			c.send(wire.ClientMessage{Type: wire.TypeBeat})
		case wire.TypeOpened:
			if c.log != "" && m.Log != c.log {
				c.faults = append(c.faults, fmt.Sprintf("came into life %s, and has not heard of the end of %s", m.Log, c.log))
			}
			c.log = m.Log
		case wire.TypeAt:
			if !c.live {
				c.live = true
				for _, call := range c.pending {
					c.sendCall(call)
				}
			}
		case wire.TypeReply:
			c.settle(m.ID, true, m.Data)
		case wire.TypeFail:
			c.settle(m.ID, m.Code == wire.CodeRan, nil)
			if m.Code != wire.CodeRan && m.Code != wire.CodeUnavailable {
				c.faults = append(c.faults, "a call failed: "+m.Code)
			}
		case wire.TypeClosed:
			if m.Code == wire.CodeDestroyed {
				c.end(m)
			} else if !m.Reconnect {
				c.faults = append(c.faults, "closed: "+m.Code)
			}
			return false
		}
	}
	return true
}

// end settles the calls without an answer. The next open begins a new life, or finds one.
func (c *vaultClient) end(m wire.ServerMessage) {
	c.ends++
	if m.Highest == nil {
		c.lost++
		c.faults = append(c.faults, "an end without h")
		return
	}
	for len(c.pending) > 0 {
		c.settle(c.pending[0].id, c.pending[0].id <= *m.Highest, nil)
	}
	c.log, c.seq = "", 0
}

func (c *vaultClient) settle(id uint64, ran bool, result json.RawMessage) {
	for i, call := range c.pending {
		if call.id != id {
			continue
		}
		call.ran = ran
		if call.action == "end" && result != nil {
			if err := json.Unmarshal(result, &call.marks); err != nil {
				c.faults = append(c.faults, err.Error())
			}
		}
		c.pending = slices.Delete(c.pending, i, i+1)
		c.settled = append(c.settled, call)
		return
	}
}

// TestG5_DestroyAndCrashes kills a server whose actor is destroyed again and again under
// load, before and after its commits. Every call runs at most once, in the life to which its
// client belonged, and each client hears of each end and what became of its calls.
func TestG5_DestroyAndCrashes(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64() | 1
	}
	t.Logf("to repeat its choices: -crash.seed=%d", seed)
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := newServerOf(t, binary)
	s.env = []string{serveVaults + "=1"}
	s.start()
	ctx, cancel := context.WithCancel(t.Context())
	var running, load sync.WaitGroup
	defer running.Wait()
	defer cancel()
	var clients []*vaultClient
	done := make(chan struct{})
	for i := range 8 {
		c := &vaultClient{name: fmt.Sprint("client", i), server: s, secret: random128(), caller: random128()}
		clients = append(clients, c)
		running.Go(func() { c.run(ctx, rand.New(rand.NewPCG(seed, uint64(i)))) })
		r := rand.New(rand.NewPCG(seed, uint64(100+i)))
		load.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(time.Duration(r.IntN(30)) * time.Millisecond):
				}
				action := "mark"
				if r.IntN(30) == 0 {
					action = "end"
				}
				c.call(action)
			}
		})
	}
	r := rand.New(rand.NewPCG(seed, 200))
	for range *roundsFlag * 3 {
		time.Sleep(time.Duration(r.IntN(400)) * time.Millisecond)
		s.kill()
		s.start()
	}
	close(done)
	load.Wait()
	clients[0].call("end") // the marks of the last life
	for deadline := time.Now().Add(settling); ; time.Sleep(20 * time.Millisecond) {
		left := 0
		for _, c := range clients {
			c.mu.Lock()
			left += len(c.pending)
			c.mu.Unlock()
		}
		if left == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d calls have no outcome", left)
		}
	}
	checkVault(t, clients)
}

func checkVault(t *testing.T, clients []*vaultClient) {
	t.Helper()
	marks := map[string][]string{} // of the lives whose end has told
	calls, ends, lives := 0, 0, map[string]bool{}
	for _, c := range clients {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, f := range c.faults {
			t.Errorf("%s: %s", c.name, f)
		}
		for _, call := range c.settled {
			if lives[call.log] = true; call.marks == nil {
				continue
			}
			if marks[call.log] != nil {
				t.Errorf("life %s was ended twice", call.log)
			}
			marks[call.log] = call.marks
		}
		calls, ends = calls+len(c.settled), ends+c.ends
	}
	count := map[string]int{} // in all lives
	for _, all := range marks {
		for _, what := range all {
			count[what]++
		}
	}
	for _, c := range clients {
		for _, call := range c.settled {
			of, told := marks[call.log]
			here := 0
			for _, what := range of {
				if what == call.what {
					here++
				}
			}
			if !call.ran && count[call.what] > 0 || call.ran && told && here != 1 || count[call.what] > here {
				t.Errorf("call %s to life %s: its client heard ran %t; it is in it %d times, in all lives %d times", call.what, call.log, call.ran, here, count[call.what])
			}
		}
	}
	t.Logf("%d calls in %d lives, %d of them told; %d times a client heard of an end", calls, len(lives), len(marks), ends)
	if ends == 0 || len(marks) < 2 {
		t.Error("the actor was hardly destroyed")
	}
}
