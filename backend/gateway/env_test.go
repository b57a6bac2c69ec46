package gateway_test

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
	"github.com/troupe-dev/troupe/backend/wire"
)

// maxLag is how far behind the copies of logs may be.
const maxLag = 40 * time.Millisecond

var seedFlag = flag.Uint64("gateway.seed", 0, "the seed of chance: of what lags, is lost and is cut; 0: another one each time")

// env is a gateway with rooms behind it.
type env struct {
	t               testing.TB
	lagging         bool
	falling         bool   // with lagging: the copies skip outputs
	remote          bool   // with lagging: the actors are on another node
	lose            int    // with remote: one message between the nodes in lose is lost
	seed            uint64 // of chance
	away            bool   // posts and polls come to another node than their sockets
	over            string // how clients come: over a WebSocket (""), a stream or polls
	options         actor.Options
	gateOpt         gateway.Options
	others          []*actor.Definition // besides the room
	unchecked       bool                // not in check mode, which tells clients causes
	store           store.Store
	dir             string // of a store on disk
	wrap            func(host.Host) host.Host
	wrapDefinitions func(host.Definitions) host.Definitions

	node   *runtime.Node
	copies *laggingHost     // nil if the gateway is on the node itself
	nodes  *twoNodes        // nil if it is, or if there are copies
	other  *gateway.Gateway // of another node; nil without away
	host   host.Host
	g      *gateway.Gateway
	h      http.Handler
	logs   *logBuffer

	clients []*client
}

// setup changes an env before it starts.
type setup func(*env)

func roomOptions(o actor.Options) setup          { return func(e *env) { e.options = o } }
func gatewayOptions(o gateway.Options) setup     { return func(e *env) { e.gateOpt = o } }
func otherActor(d *actor.Definition) setup       { return func(e *env) { e.others = append(e.others, d) } }
func unchecked(e *env)                           { e.unchecked = true }
func wrapHost(f func(host.Host) host.Host) setup { return func(e *env) { e.wrap = f } }

// run runs a test in a synctest bubble, on the real host, on one with a lagging copy of
// the logs, on one whose copies also fall behind, and on one whose store is on disk, if the test does not bring its own.
// Everything that the test starts must end with it: the bubble checks that.
func run(t *testing.T, test func(t *testing.T, e *env), with ...setup) {
	kinds := map[string]setup{
		"host":         func(*env) {},
		"two nodes":    func(e *env) { e.lagging, e.remote = true, true },
		"lagging host": func(e *env) { e.lagging = true },
		"falling host": func(e *env) { e.lagging, e.falling = true, true },
	}
	if testing.Short() {
		delete(kinds, "lagging host") // two nodes lag, too
		delete(kinds, "falling host")
	}
	var own env
	for _, w := range with {
		w(&own)
	}
	if own.store == nil {
		kinds["host, store on disk"] = func(e *env) { e.dir = e.t.TempDir() }
	}
	for name, kind := range kinds {
		runKind(t, name, test, append(with, kind))
	}
}

// runOver is run over WebSockets, and on the real host over streams and polls.
func runOver(t *testing.T, test func(t *testing.T, e *env), with ...setup) {
	run(t, test, with...)
	runHTTP(t, test, with...)
}

// runHTTP is run over streams and polls, on the real host, and with posts and polls that come to
// another node.
func runHTTP(t *testing.T, test func(t *testing.T, e *env), with ...setup) {
	for _, over := range []string{overStream, overPolls} {
		runKind(t, over, test, append(with, func(e *env) { e.over = over }))
		if !testing.Short() {
			runKind(t, over+", from another node", test, append(with, func(e *env) { e.over, e.away = over, true }))
		}
	}
}

// runRaw is run for tests that make posts and polls themselves; these also come to another node.
func runRaw(t *testing.T, test func(t *testing.T, e *env), with ...setup) {
	run(t, test, with...)
	runKind(t, "from another node", test, append(with, func(e *env) { e.away = true }))
}

func runKind(t *testing.T, name string, test func(t *testing.T, e *env), with []setup) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := newEnv(t, with...)
			defer func() {
				e.stop()
				if t.Failed() {
					t.Logf("the server's log:\n%s", e.logs)
				}
			}()
			test(t, e)
		})
	})
}

func newEnv(t testing.TB, with ...setup) *env {
	e := &env{t: t, logs: &logBuffer{}, seed: *seedFlag}
	if e.seed == 0 {
		e.seed = rand.Uint64()
	}
	if test, ok := t.(*testing.T); ok { // benchmarks need none, and a fuzz target may not log so
		test.Logf("-gateway.seed=%d", e.seed)
	}
	for _, w := range with {
		w(e)
	}
	if e.store == nil && e.dir == "" {
		e.store = memory.New(memory.Options{})
	}
	e.start()
	return e
}

// chance returns a source of chance for what has a name, which depends on the seed alone.
func (e *env) chance(name string) *rand.Rand { return chanceOf(e.seed, name) }

func chanceOf(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// upTo is a time below most.
func upTo(chance *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(chance.Int64N(int64(most)))
}

// openStore opens the store on disk, if that is where it is.
func (e *env) openStore(logger *slog.Logger) {
	if e.dir == "" {
		return
	}
	s, err := sqlite.Open(context.Background(), e.dir, sqlite.Options{Logger: logger})
	if err != nil {
		e.t.Fatal(err)
	}
	e.store = s
}

func (e *env) start() {
	logger := slog.New(slog.NewTextHandler(e.logs, nil))
	e.openStore(logger)
	options := e.options
	if e.lagging {
		options.LogBytes = 64 << 20 // the copies are as small as the test wants, what they are made of is not
	}
	actors := []actor.RegistryOption{defineRoom(options)}
	for _, d := range e.others {
		actors = append(actors, d)
	}
	e.node = runtime.New(actor.NewRegistry(actors...), e.store, runtime.Options{Logger: logger, Check: !e.unchecked && !isBenchmark(e.t)})
	e.host = e.node
	switch {
	case e.remote:
		nodes, err := newTwoNodes(e.node, logger, cmp.Or(e.options.LogBytes, 1<<20), e.lose, e.chance("bus"))
		if err != nil {
			e.t.Fatal(err)
		}
		e.nodes, e.host = nodes, nodes.gateway
	case e.lagging:
		e.copies = newLaggingHost(e.t, e.node, e.store, maxLag, cmp.Or(e.options.LogBytes, 1<<20), e.seed)
		e.copies.skips = e.falling
		e.host = e.copies
	}
	if e.wrap != nil {
		e.host = e.wrap(e.host)
	}
	e.gateOpt.Logger = logger
	var definitions host.Definitions = e.node
	if e.wrapDefinitions != nil {
		definitions = e.wrapDefinitions(definitions)
	}
	if e.away {
		e.startAway(logger, definitions)
		return
	}
	e.g = gateway.New(e.host, definitions, e.gateOpt)
	e.h = e.g.Handler()
}

// settle waits until everything that is under way has happened.
func (e *env) settle() {
	time.Sleep(10 * maxLag)
	for e.copies != nil && e.copies.behind() {
		time.Sleep(maxLag)
	}
	for e.nodes != nil && e.nodes.behind() {
		time.Sleep(maxLag)
	}
	synctest.Wait()
}

// dial opens a socket and takes its hello.
func (e *env) dial() *client {
	e.t.Helper()
	return e.dialOver(e.over)
}

func (e *env) dialOver(over string) *client {
	e.t.Helper()
	var c *client
	if over == "" {
		c = dialPipe(e.t, e.h)
	} else {
		c = dialHTTP(e.t, e.h, over)
	}
	e.clients = append(e.clients, c)
	c.await("hello", func(got []wire.ServerMessage) bool { return len(got) > 0 })
	c.expect("hello")
	return c
}

// stop shuts everything down, as an app does.
func (e *env) stop() {
	for _, c := range e.clients {
		c.pause(false)
	}
	if e.over == overPolls {
		time.Sleep(30 * time.Second) // who was cut off between two polls is noticed only then
	}
	e.g.Quiesce()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := e.node.Shutdown(ctx); err != nil {
		e.t.Error(err)
	}
	if err := e.g.Close(ctx); err != nil {
		e.t.Error(err)
	}
	if e.other != nil {
		if err := e.other.Close(ctx); err != nil {
			e.t.Error(err)
		}
	}
	for _, c := range e.clients {
		c.cut()
	}
	e.clients = nil
	if e.nodes != nil {
		e.nodes.stop()
	}
	if e.dir != "" {
		if err := e.store.Close(); err != nil {
			e.t.Error(err)
		}
	}
}

// restart is a new server on the same store.
func (e *env) restart() {
	e.stop()
	e.start()
}

// logBuffer is a log that tests may read.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

// smallStore keeps little of the log.
func smallStore(e *env) { e.store = memory.New(memory.Options{MaxBytes: 100 << 10}) }

func isBenchmark(t testing.TB) bool {
	_, is := t.(*testing.B)
	return is
}
