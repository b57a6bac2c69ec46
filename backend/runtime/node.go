package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/fair"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Node runs the actors of a registry in this process, on one store. It is their host.Host
// and host.Definitions. All its methods may be called at the same time.
type Node struct {
	defs      definition.Set
	store     store.Store
	committer *committer
	log       *slog.Logger
	check     bool
	maxActors int // 0: any number
	maxQueued int64
	started   time.Time
	now       func() time.Time // the clock by which messages are due; without a monotonic reading
	stats     stats

	disconnected disconnected
	ownerKey     ownerKey
	newActor     func(from string) error // may be nil

	unknownFields unknownFields
	newerVersions newerVersions

	memory  memory
	queued  atomic.Int64 // bytes that wait in mailboxes
	answers atomic.Int64 // bytes of kept answers, of all actors

	tableCache tableCache
	waker      *waker
	parked     parkedMessages
	doubts     doubts

	courier  host.Courier
	attempts atomic.Uint64 // of deliveries

	wait        sync.WaitGroup // of the actors' goroutines, and of endConnected and OnAuth
	killed      atomic.Bool    // see Kill
	closing     chan struct{}  // closed by Shutdown
	authPermits *fair.Queue    // of running OnAuth, by definition and address

	partitions Partitions

	mu      sync.Mutex // guards the fields below
	actors  map[string]*Actor
	closed  bool
	watched map[string]*turnRing // of the actors whose turns an Inspector watches, by id
}

var (
	_ host.Host        = (*Node)(nil)
	_ host.Definitions = (*Node)(nil)
)

// Registry has the definitions of the actors to run. *actor.Registry implements it.
type Registry interface {
	Definitions() definition.Set
}

// Options are the options of a Node.
type Options struct {
	// Logger gets what clients do not see: panics, unexpected errors, resets
	// [slog.Default()].
	Logger *slog.Logger

	// Check finds mistakes in actors that are costly to find: read-only actions that
	// change the state, changes outside of turns, guards of one door only. For development
	// and tests [false].
	Check bool

	// MaxActors is how many actors may be in memory; beyond, requests for another one
	// fail with overloaded [0: no limit].
	MaxActors int

	// MaxActorBytes is how many bytes the states, as JSON, and the logs of the actors in
	// memory may have. Shortly before, idle actors leave memory early; beyond, requests for
	// actors that are not in memory fail with overloaded [0: no limit].
	MaxActorBytes int64

	// NewActor, if not nil, is called before an actor is made for an Open or a CallOnce of a
	// client, with its From. An error refuses it: a *host.Fault [nil: clients may make any
	// number].
	NewActor func(from string) error

	// MaxQueuedBytes is how many bytes of calls and connects of all actors may wait for
	// turns; beyond, they fail with overloaded [0: no limit].
	MaxQueuedBytes int64

	// TableCacheBytes is how many bytes of items of tables, of all actors, are kept in memory
	// [64 MiB].
	TableCacheBytes int64

	// Owns returns since when the node owns a partition of actors (store.Partition). It must not
	// block. Requests for actors that it does not own fail with moved; see PartitionsOf
	// [nil: it owns all].
	Owns func(part int) (since time.Time, ok bool)

	// Courier carries messages from the node's actors to others [CourierOf the node].
	Courier host.Courier

	now func() time.Time // the clock by which messages are due; of tests
}

var errShutdown = host.Faultf(wire.CodeShutdown, "the server is shutting down")

// New makes a node. It ends the stored connections that are not resumed within their
// resume window, counted from now.
func New(r Registry, s store.Store, o Options) *Node {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.MaxQueuedBytes <= 0 {
		o.MaxQueuedBytes = math.MaxInt64
	}
	if o.now == nil {
		// Without the monotonic reading: it would go on when the clock is set, but what is stored
		// is by the clock.
		o.now = func() time.Time { return time.Now().Round(0) }
	}
	if o.TableCacheBytes <= 0 {
		o.TableCacheBytes = 64 << 20
	}
	n := &Node{
		tableCache: tableCache{limit: o.TableCacheBytes}, disconnected: disconnected{process: rand.Uint64()},

		defs: r.Definitions(), stats: stats{turns: newTurnTimes(r.Definitions())}, store: s, log: o.Logger, check: o.Check, newActor: o.NewActor,
		maxActors: o.MaxActors, memory: newMemory(o.MaxActorBytes), maxQueued: o.MaxQueuedBytes,
		started: time.Now(), now: o.now, closing: make(chan struct{}), authPermits: fair.New(maxAuths), actors: map[string]*Actor{},
	}
	n.attempts.Store(uint64(n.started.UnixMicro())) // unlike those of a node before it
	if n.courier = o.Courier; n.courier == nil {
		n.courier = CourierOf(n)
	}
	if n.check {
		n.warnOfOpenDoors()
	}
	n.committer = newCommitter(s, &n.stats)
	n.waker = newWaker(n)
	if s, ok := s.(interface{ Unclean() bool }); ok && o.Owns == nil {
		n.doubts.unclean = s.Unclean()
	}
	n.partitions = Partitions{n: n, owns: o.Owns, loads: make(chan struct{}, wakers)}
	if o.Owns == nil {
		n.wait.Go(func() { n.partitions.endConnected(store.AllPartitions, n.started) })
	}
	n.wait.Go(n.waker.run)
	n.parked.again = make(chan struct{}, 1)
	n.wait.Go(func() { n.parked.run(n) })
	return n
}

// pause waits for d. It reports false if the node shuts down meanwhile.
func (n *Node) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-n.closing:
		return false
	case <-t.C:
		return true
	}
}

// Shutdown ends all actors: they handle their mailboxes, OnStop runs, and their changes
// become durable. Connections are not ended; clients may resume them on another node with
// the same store. ctx limits the waiting. The store stays open.
func (n *Node) Shutdown(ctx context.Context) error {
	n.mu.Lock()
	if !n.closed {
		n.closed = true
		close(n.closing)
	}
	n.mu.Unlock()
	for _, a := range n.awake() {
		a.box.postLast(stopEnvelope{why: errShutdown})
	}
	done := make(chan struct{})
	go func() { n.wait.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.New("runtime: some turns did not end before the shutdown's deadline")
	}
}

func (n *Node) isClosed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.closed
}

// address checks a ref and fills in the actor's id.
func (n *Node) address(r host.Ref) (host.Ref, *host.Fault) {
	if r.ID != "" {
		if !host.IsActorID(r.ID) {
			return r, host.Faultf(wire.CodeNotFound, "there is no actor with this id")
		}
		return r, nil
	}
	if n.defs[r.Name] == nil {
		return r, host.Faultf(wire.CodeUnknownActor, "there is no actor named %q", r.Name)
	}
	if err := r.Key.Check(); err != nil {
		return r, err
	}
	r.ID = host.ActorID(r.Name, r.Key)
	return r, nil
}

// get returns an actor, made if necessary; it does not load it. For a client it makes no
// more than MaxActors.
func (n *Node) get(r host.Ref, forClient bool) (*Actor, *host.Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.getLocked(r, forClient)
}

func (n *Node) getLocked(r host.Ref, forClient bool) (*Actor, *host.Fault) {
	if n.closed {
		return nil, errShutdown
	}
	since, owned := n.partitions.since(r.ID)
	if !owned {
		return nil, errMoved
	}
	a := n.actors[r.ID]
	if a == nil {
		if forClient && n.maxActors > 0 && len(n.actors) >= n.maxActors {
			return nil, overloadFault("actor limit reached", n.maxActors, "max-actors")
		}
		if forClient && n.memory.isFull() {
			n.relieve()
			return nil, overloadFault("memory limit of actors reached", int(n.memory.max), "max-actor-bytes")
		}
		a = newActor(n, r, since)
		n.actors[r.ID] = a
	}
	a.learn(r)
	return a, nil
}

// sender is the origin of an envelope.
type sender uint8

const (
	ofNode sender = iota // never refused for lack of room
	ofCall
	ofOpen
)

// post puts an envelope of the node itself into an actor's mailbox.
func (n *Node) post(r host.Ref, m envelope) error { return n.deliver(r, m, ofNode) }

// deliver puts an envelope into an actor's mailbox, if there is room for it.
func (n *Node) deliver(r host.Ref, m envelope, from sender) error {
	r, err := n.address(r)
	if err != nil {
		return err
	}
	for {
		a, err := n.get(r, from != ofNode)
		if err != nil {
			return err
		}
		switch posted, full := a.box.offer(m, n.room(a, from)); {
		case posted:
			return nil
		case full != nil:
			n.forget(a)
			return full
		}
	}
}

// room returns how much may wait for an actor.
func (n *Node) room(a *Actor, from sender) room {
	if from == ofNode {
		return unlimited
	}
	o := &definition.Defaults
	if d := n.defs[a.ref().Name]; d != nil {
		o = &d.Options
	}
	r := room{o.MaxMailbox, o.MaxMailboxBytes, n.maxQueued}
	if from == ofOpen {
		r.envelopes = math.MaxInt // after a restart all clients reconnect at once
	}
	return r
}

// forget drops an actor that was made for an envelope which it refused.
func (n *Node) forget(a *Actor) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.actors[a.id] == a && !a.log.Followed() && a.box.unused() {
		delete(n.actors, a.id)
	}
}

// remove drops an idle actor. It reports false if the actor is in use again.
func (n *Node) remove(a *Actor) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if a.log.Followed() || !a.box.stop() {
		return false
	}
	if n.actors[a.id] == a {
		delete(n.actors, a.id)
	}
	return true
}

// Follow implements host.Host.
func (n *Node) Follow(r host.Ref, f host.Follower) (*host.Log, error) {
	r, err := n.address(r)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	a, err := n.getLocked(r, true)
	if err != nil {
		return nil, err
	}
	a.log.Follow(f)
	return a.log.Log(), nil
}

// Unfollow implements host.Host.
func (n *Node) Unfollow(r host.Ref, f host.Follower) {
	r, err := n.address(r)
	if err != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.actors[r.ID]
	if a != nil && a.log.Unfollow(f) && a.box.unused() {
		delete(n.actors, a.id)
	}
}

// Open implements host.Host.
func (n *Node) Open(r host.Ref, request host.OpenRequest) error {
	return n.deliver(r, &openEnvelope{request}, ofOpen)
}

// Refresh implements host.Host.
func (n *Node) Refresh(r host.Ref, request host.RefreshRequest) error {
	return n.deliver(r, &refreshEnvelope{request}, ofOpen)
}

// Subscribe implements host.Host.
func (n *Node) Subscribe(r host.Ref, request host.SubscribeRequest) error {
	return n.deliver(r, &subscribeEnvelope{request}, ofCall)
}

// Guards implements host.Definitions.
func (n *Node) Guards(name string) bool {
	return n.defs.Any(name, func(d *definition.Definition) bool { return d.Guards() })
}

// Call implements host.Host.
func (n *Node) Call(r host.Ref, request host.CallRequest) error {
	return n.deliver(r, &callEnvelope{request}, ofCall)
}

// Ack implements host.Host. An overloaded actor does not get it, and keeps answers for
// longer.
func (n *Node) Ack(r host.Ref, attachment host.Attachment, ack uint64) {
	_ = n.deliver(r, &ackEnvelope{attachment, ack}, ofCall)
}

// Detach implements host.Host.
func (n *Node) Detach(r host.Ref, attachment host.Attachment) { n.tell(r, &detachEnvelope{attachment}) }

// Close implements host.Host.
func (n *Node) Close(r host.Ref, attachment host.Attachment) { n.tell(r, &closeEnvelope{attachment}) }

// tell is post for envelopes without an answer. A closed node drops them.
func (n *Node) tell(r host.Ref, m envelope) { _ = n.post(r, m) }

// CallOnce implements host.Host.
func (n *Node) CallOnce(ctx context.Context, r host.Ref, c host.DirectCall) (json.RawMessage, error) {
	return roundTrip(ctx, func(w *waiter) error {
		return n.deliver(r, &directEnvelope{c, w}, ofCall)
	})
}

// Create implements host.Host.
func (n *Node) Create(ctx context.Context, r host.Ref, input json.RawMessage, who host.Identity) (id string, err error) {
	return n.resolve(ctx, r, &createEnvelope{create: true, input: input, who: who})
}

// Resolve implements host.Host.
func (n *Node) Resolve(ctx context.Context, r host.Ref) (host.Ref, error) {
	return n.find(ctx, r, &createEnvelope{unguarded: true})
}

// Find implements host.Host.
func (n *Node) Find(ctx context.Context, r host.Ref, who host.Identity) (host.Ref, error) {
	return n.find(ctx, r, &createEnvelope{who: who})
}

func (n *Node) find(ctx context.Context, r host.Ref, m *createEnvelope) (host.Ref, error) {
	id, err := n.resolve(ctx, r, m)
	if err != nil || r.Name != "" {
		return host.Ref{Name: r.Name, Key: r.Key, ID: id}, err
	}
	a, fault := n.get(host.Ref{ID: id}, true)
	if fault != nil {
		return host.Ref{}, fault
	}
	return a.ref(), nil
}

func (n *Node) resolve(ctx context.Context, r host.Ref, m *createEnvelope) (string, error) {
	r, bad := n.address(r)
	if bad != nil {
		return "", bad
	}
	_, err := roundTrip(ctx, func(w *waiter) error {
		m.waiter = w
		return n.deliver(r, m, ofCall)
	})
	return r.ID, err
}

// Emits implements host.Definitions.
func (n *Node) Emits(name, event string) bool { return n.defs.Emits(name, event) }

// do runs f as a turn of an actor and waits until it is durable.
func (n *Node) do(ctx context.Context, r host.Ref, f func(*Turn) error) error {
	_, err := roundTrip(ctx, func(w *waiter) error {
		return n.post(r, &doEnvelope{f, w})
	})
	return err
}

// maxCause is how many characters of an unexpected error a client gets in check mode; the
// log has all of it.
const maxCause = 4_000

// internalFault is what a client gets for an unexpected error: its text in check mode only.
func (n *Node) internalFault(what string, err error) *host.Fault {
	if n.check {
		return host.Faultf(wire.CodeInternal, "internal error in %s: %.*s", what, maxCause, err)
	}
	return host.Faultf(wire.CodeInternal, "internal error in %s; see the server log", what)
}
