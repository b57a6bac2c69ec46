package runtime

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Node runs the actors of a registry in this process, on one store. All its
// methods may be called at the same time. It is the host.Host of its actors and their
// host.Definitions.
type Node struct {
	defs      definition.Set
	store     store.Store
	committer *committer
	log       *slog.Logger
	check     bool
	maxActors int // 0: any number
	maxQueued int64
	started   time.Time
	stats     stats

	queued atomic.Int64 // bytes that wait in mailboxes

	wait        sync.WaitGroup // the actors' goroutines, and those of wakeConnected
	closing     chan struct{}  // closed by Shutdown
	authPermits chan struct{}  // has an item for each OnAuth that runs

	mu     sync.Mutex // guards the fields below
	actors map[string]*Actor
	closed bool
}

var (
	_ host.Host        = (*Node)(nil)
	_ host.Definitions = (*Node)(nil)
)

// Registry has the definitions of the actors to run: an *actor.Registry.
type Registry interface {
	Definitions() definition.Set
}

// Options are the options of a Node.
type Options struct {
	// Logger gets what clients are not told: panics, unexpected errors, resets
	// [slog.Default()].
	Logger *slog.Logger

	// Check looks for mistakes in actors that cost time to look for: read-only
	// actions that change the state, changes outside of turns. For development
	// and tests [false].
	Check bool

	// MaxActors is how many actors may be in memory; beyond, who asks for another one
	// gets overloaded [0: any number].
	MaxActors int

	// MaxQueuedBytes is how much may wait for turns, calls and connects of all actors;
	// beyond, they fail with overloaded [0: any number].
	MaxQueuedBytes int64
}

var errShutdown = host.Faultf(wire.CodeShutdown, "the server is going away")

// New makes a node. It ends the connections that are stored and do not come
// back within their resume window, counted from now.
func New(r Registry, s store.Store, o Options) *Node {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.MaxQueuedBytes <= 0 {
		o.MaxQueuedBytes = math.MaxInt64
	}
	n := &Node{
		defs: r.Definitions(), store: s, log: o.Logger, check: o.Check,
		maxActors: o.MaxActors, maxQueued: o.MaxQueuedBytes,
		started: time.Now(), closing: make(chan struct{}), authPermits: make(chan struct{}, maxAuths), actors: map[string]*Actor{},
	}
	n.committer = &committer{store: s, stats: &n.stats}
	n.wait.Go(n.endConnected)
	return n
}

// endConnected ends the stored connections that have not come back when their
// resume window is over, of actors that nobody has asked for since the start. When
// a window is over it wakes the actors with longer ones, too: they wait in memory.
func (n *Node) endConnected() {
	for _, window := range n.defs.ResumeWindows() {
		if !n.pause(time.Until(n.started.Add(window))) {
			return
		}
		// What fails now, because the disk does, is tried again until it works.
		for wait := time.Second; !n.wakeConnected(); wait = min(2*wait, time.Minute) {
			if !n.pause(wait) {
				return
			}
		}
	}
}

// pause waits, and reports false if the node closes meanwhile.
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

// wakers is how many actors are loaded at a time to end their connections.
const wakers = 16

// wakeConnected wakes the actors that have connections stored. It reports false
// if some could not be loaded for now.
func (n *Node) wakeConnected() (ok bool) {
	slots := make(chan struct{}, wakers)
	var failed atomic.Bool
	err := n.store.Connected(context.Background(), func(id string) bool {
		select {
		case slots <- struct{}{}:
		case <-n.closing:
			return false
		}
		err := n.post(host.Ref{ID: id}, &expiryEnvelope{func(err *host.Fault) {
			if err != nil && err.Code == wire.CodeUnavailable {
				failed.Store(true)
			}
			<-slots
		}})
		if err != nil {
			<-slots
		}
		return err == nil
	})
	for range wakers {
		slots <- struct{}{} // until all have been answered
	}
	if err != nil {
		n.log.Error("connections that did not come back cannot be ended for now", "error", err)
		return false
	}
	return !failed.Load()
}

// expiryEnvelope wakes an actor, so that it looks after its connections, and tells
// when that is done.
type expiryEnvelope struct{ done func(*host.Fault) }

func (m *expiryEnvelope) deliver(*instance) bool           { m.done(nil); return true }
func (m *expiryEnvelope) size() int                        { return 0 }
func (m *expiryEnvelope) refuse(_ *Actor, err *host.Fault) { m.done(err) }

// Shutdown ends all actors: what is in their mailboxes is handled, OnStop runs,
// and what they changed becomes durable. Connections are not ended; they may come
// back to another node on the same store. ctx limits the waiting. The store stays
// open.
func (n *Node) Shutdown(ctx context.Context) error {
	n.mu.Lock()
	if !n.closed {
		n.closed = true
		close(n.closing)
	}
	actors := make([]*Actor, 0, len(n.actors))
	for _, a := range n.actors {
		actors = append(actors, a)
	}
	n.mu.Unlock()
	for _, a := range actors {
		a.box.postLast(stopEnvelope{})
	}
	done := make(chan struct{})
	go func() { n.wait.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.New("actor: some turns did not end in time")
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
		if len(r.ID) > host.MaxNameBytes {
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

// get returns an actor's presence, and makes one if there is none. It does not
// load it. For a client it makes no more than there may be.
func (n *Node) get(r host.Ref, forClient bool) (*Actor, *host.Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.getLocked(r, forClient)
}

func (n *Node) getLocked(r host.Ref, forClient bool) (*Actor, *host.Fault) {
	if n.closed {
		return nil, errShutdown
	}
	a := n.actors[r.ID]
	if a == nil {
		if forClient && n.maxActors > 0 && len(n.actors) >= n.maxActors {
			return nil, overloadFault("the server has as many actors in memory as it may", n.maxActors, "max-actors")
		}
		a = newActor(n, r)
		n.actors[r.ID] = a
	}
	return a, nil
}

// sender is for whom an envelope is.
type sender uint8

const (
	ofNode sender = iota // it is never refused for want of room
	ofCall
	ofOpen
)

// post puts an envelope of the node's own into an actor's mailbox.
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

// room is how much may wait for an actor.
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
		r.envelopes = math.MaxInt // all that have lost the same server come back at once
	}
	return r
}

// forget forgets an actor that was made for an envelope and has not got it.
func (n *Node) forget(a *Actor) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.actors[a.id] == a && !a.log.Followed() && a.box.unused() {
		delete(n.actors, a.id)
	}
}

// remove forgets an actor that is idle. It reports false if it is needed after
// all.
func (n *Node) remove(a *Actor) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if a.log.Followed() || !a.box.stop() {
		return false
	}
	delete(n.actors, a.id)
	return true
}

// Follow registers a follower of an actor's log until Unfollow, and returns the
// log. It does not load the actor. Errors are of type *host.Fault
// (unknown_actor, bad_key, overloaded, shutdown).
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

// Unfollow ends a Follow with the same arguments.
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

// Open asks for a connection. The answer is an output of the actor's log, which
// the caller follows already. The error, a *host.Fault, is for what keeps the
// request from reaching the actor, as overloaded does.
func (n *Node) Open(r host.Ref, request host.OpenRequest) error {
	return n.deliver(r, &openEnvelope{request}, ofOpen)
}

// Refresh gives a connection new params. It is answered only if they are refused,
// by an output of the actor's log. The error is as in Open.
func (n *Node) Refresh(r host.Ref, request host.RefreshRequest) error {
	return n.deliver(r, &refreshEnvelope{request}, ofOpen)
}

// Subscribe asks whether a connection may subscribe to events. The answer is an
// output of the actor's log. The error is as in Open, or overloaded.
func (n *Node) Subscribe(r host.Ref, request host.SubscribeRequest) error {
	return n.deliver(r, &subscribeEnvelope{request}, ofCall)
}

// Guards reports whether the actors of a definition have a CanSubscribe; without a
// name, whether any have.
func (n *Node) Guards(name string) bool {
	return n.defs.Any(name, func(d *definition.Definition) bool { return d.Hooks["CanSubscribe"] != nil })
}

// Call runs an action for a connection. The answer is an output of the actor's
// log; the error is like that of Open.
func (n *Node) Call(r host.Ref, request host.CallRequest) error {
	return n.deliver(r, &callEnvelope{request}, ofCall)
}

// Ack tells that every call of an attachment's producer up to an id has been
// answered. It does not get to an actor that has too much to do: who is not told
// keeps answers for longer.
func (n *Node) Ack(r host.Ref, attachment host.Attachment, ack uint64) {
	_ = n.deliver(r, &ackEnvelope{attachment, ack}, ofCall)
}

// Detach tells that an attachment's socket is gone. Its connection may come back.
func (n *Node) Detach(r host.Ref, attachment host.Attachment) { n.tell(r, &detachEnvelope{attachment}) }

// Close ends the connection of an attachment.
func (n *Node) Close(r host.Ref, attachment host.Attachment) { n.tell(r, &closeEnvelope{attachment}) }

// tell is post for what needs no answer: a node that is closed has no use for it.
func (n *Node) tell(r host.Ref, m envelope) { _ = n.post(r, m) }

// CallOnce runs an action without a connection and returns its result, nil if it
// returns none. The error is a *host.Fault, or that of ctx, which ends the
// waiting but not the call.
func (n *Node) CallOnce(ctx context.Context, r host.Ref, c host.DirectCall) (json.RawMessage, error) {
	return n.roundTrip(ctx, func(done func(*host.Output, *host.Fault)) error {
		return n.deliver(r, &singleEnvelope{c, done}, ofCall)
	})
}

// Create makes an actor that does not exist yet, with input for OnCreate, and
// returns its id. The error is a *host.Fault (exists), or that of ctx.
// auth is what OnAuth said of who asks.
func (n *Node) Create(ctx context.Context, r host.Ref, input, auth json.RawMessage) (id string, err error) {
	return n.resolve(ctx, r, &createEnvelope{create: true, input: input, auth: auth})
}

// Resolve returns the whole address of an actor that exists. The error is a *host.Fault
// (not_found), or that of ctx.
func (n *Node) Resolve(ctx context.Context, r host.Ref) (host.Ref, error) {
	id, err := n.resolve(ctx, r, &createEnvelope{})
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
	_, err := n.roundTrip(ctx, func(done func(*host.Output, *host.Fault)) error {
		m.done = done
		return n.deliver(r, m, ofCall)
	})
	return r.ID, err
}

// Emits reports whether the actor definition name declares the event.
func (n *Node) Emits(name, event string) bool { return n.defs.Emits(name, event) }

// do runs f as a turn of an actor and waits until it is durable.
func (n *Node) do(ctx context.Context, r host.Ref, f func(*Turn) error) error {
	_, err := n.roundTrip(ctx, func(done func(*host.Output, *host.Fault)) error {
		return n.post(r, &doEnvelope{f, done})
	})
	return err
}

// roundTrip posts an envelope that is answered by calling done once, and waits for that.
func (n *Node) roundTrip(ctx context.Context, post func(done func(*host.Output, *host.Fault)) error) (json.RawMessage, error) {
	type answer struct {
		data json.RawMessage
		err  *host.Fault
	}
	answered := make(chan answer, 1)
	err := post(func(o *host.Output, err *host.Fault) {
		if o == nil {
			answered <- answer{err: err}
			return
		}
		answered <- answer{o.Data, o.Err}
	})
	if err != nil {
		return nil, err
	}
	select {
	case a := <-answered:
		if a.err != nil {
			return nil, a.err
		}
		return a.data, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// randomID returns 128 random bits in base64url.
func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}
