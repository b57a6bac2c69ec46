package gateway_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/cluster"
	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/wire"
)

// twoNodes are a node that owns all actors, and one with the gateway, which reaches them over a
// link.
type twoNodes struct {
	bus            *delayedBus
	owner, gateway *cluster.Port
}

// Slots of the two.
const (
	ownerSlot   = 1
	gatewaySlot = 2
)

// self is a cluster.Placement in which one node owns everything.
type self uint32

func (s self) Owner(int) (uint32, uint32)                 { return ownerSlot, uint32(s) }
func (s self) Await(ctx context.Context, _ int, _ uint32) { <-ctx.Done() }
func (s self) Version() uint64                            { return 1 }
func (s self) Alive(uint32) bool                          { return true }

// remotely is the actors of a node, for other nodes.
type remotely struct{ host.Host }

func (remotely) DetachNode(uint32)   {}
func (remotely) Moment() host.Moment { return host.Moment{} }
func (remotely) Joined() host.Moment { return host.Moment{} }
func (remotely) Disconnect(context.Context, string, string, []host.Moment) error {
	return nil
}

func newTwoNodes(node *runtime.Node, log *slog.Logger, copyBytes, lose int, chance *rand.Rand) (*twoNodes, error) {
	bus := &delayedBus{lag: maxLag, lose: lose, chance: chance, began: time.Now(), subs: map[string]func([]byte){}, last: map[string]time.Time{}}
	n := &twoNodes{bus: bus}
	o := cluster.PortOptions{Logger: log, CopyBytes: copyBytes}
	n.owner = cluster.NewPort(remotely{node}, runtime.CourierOf(node), self(ownerSlot), o)
	n.gateway = cluster.NewPort(remotely{}, nil, self(gatewaySlot), o)
	if err := n.owner.Join(bus, ownerSlot); err != nil {
		return nil, err
	}
	return n, n.gateway.Join(bus, gatewaySlot)
}

// behind reports whether something is under way.
func (n *twoNodes) behind() bool { return n.owner.Unacked()+n.gateway.Unacked() > 0 }

func (n *twoNodes) stop() {
	n.gateway.Leave()
	n.owner.Leave()
	n.bus.wait.Wait()
}

// delayedBus is a link.Bus that delays messages, and after half a second loses one in lose.
type delayedBus struct {
	lag   time.Duration // at most
	lose  int
	began time.Time

	mu     sync.Mutex
	chance *rand.Rand
	subs   map[string]func([]byte)
	last   map[string]time.Time
	wait   sync.WaitGroup
}

func (b *delayedBus) Subscribe(subject string, f func([]byte)) (func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subs[subject] = f
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs, subject)
	}, nil
}

func (b *delayedBus) Publish(subject string, data []byte) error {
	data = slices.Clone(data)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lose > 0 && b.chance.IntN(b.lose) == 0 && time.Since(b.began) > time.Second/2 {
		return nil
	}
	at := time.Now().Add(upTo(b.chance, b.lag))
	if !at.After(b.last[subject]) {
		at = b.last[subject].Add(1)
	}
	b.last[subject] = at
	b.wait.Add(1)
	time.AfterFunc(time.Until(at), func() {
		defer b.wait.Done()
		b.mu.Lock()
		f := b.subs[subject]
		b.mu.Unlock()
		if f != nil {
			f(data)
		}
	})
	return nil
}

// TestG3_ALinkThatLoses is TestG3_RandomCuts while the link between the nodes loses messages.
func TestG3_ALinkThatLoses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, func(e *env) { e.lagging, e.remote, e.lose = true, true, 20 },
			gatewayOptions(gateway.Options{Limits: wire.Limits{Rate: 1e6, Burst: 1e6}}))
		defer e.stop()
		randomCuts(t, e, 60)
	})
}

// startAway starts a gateway where the actors are, and one on another node, to which all posts
// and polls go that name a socket.
func (e *env) startAway(log *slog.Logger, definitions host.Definitions) {
	nodes, err := newTwoNodes(e.node, log, 1<<20, 0, e.chance("bus"))
	if err != nil {
		e.t.Fatal(err)
	}
	nodes.bus.lag = time.Millisecond
	e.nodes = nodes
	options := e.gateOpt
	options.Forward = nodes.gateway
	e.other = gateway.New(nodes.gateway, definitions, options)
	options.Forward = nodes.owner
	e.g = gateway.New(e.host, definitions, options)
	nodes.owner.ServeSockets(e.g)
	here, there := e.g.Handler(), e.other.Handler()
	e.h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && (r.URL.Path == "/api/stream" || r.URL.Path == "/api/poll") {
			body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
			if err != nil {
				return // the client has gone
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			if bytes.Contains(body, []byte(`"socket":"1.`)) {
				there.ServeHTTP(w, r)
				return
			}
		}
		here.ServeHTTP(w, r)
	})
}
