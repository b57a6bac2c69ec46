// Package actortest runs actors in a test: without network, with connections
// that collect what they receive, in virtual time.
//
//	func TestGreeting(t *testing.T) {
//		actortest.Run(t, rooms.Registry, func(n *actortest.Node) {
//			ada := n.Actor("chatRoom", "general").Connect(nil)
//			actortest.Call[rooms.Message](ada, "sendMessage", "ada", "hello")
//			got := actortest.Events[rooms.MessageReceived](ada)
//			…
//		})
//	}
//
// A connection can lose its socket (Drop) and come back (Resume), and the server
// can restart (Restart) or crash (Crash); see the example. time.Sleep lets messages and timers
// become due; Scheduled returns what an actor has scheduled.
//
// Tests use the same runtime, log and gate as production, on the memory store.
package actortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"

	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
)

// Node is a node under test.
type Node struct {
	T testing.TB

	registry *actor.Registry
	store    *memory.Store
	life     *life // of the node
	node     *runtime.Node
	crashed  []*runtime.Node // earlier ones, which may have running turns
	conns    []*Conn
}

// Run runs f in a bubble of virtual time (see testing/synctest): time.Sleep, resume windows,
// timers and time-outs take no real time there. The node logs to the test's log.
func Run(t *testing.T, r *actor.Registry, f func(*Node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := &Node{T: t, registry: r, store: memory.New(memory.Options{Retention: r.Retention()})}
		n.start()
		defer n.stop()
		f(n)
	})
}

func (n *Node) start() {
	n.life = &life{Store: n.store}
	n.node = runtime.New(n.registry, n.life, runtime.Options{Logger: slog.New(testHandler{n.T}), Check: true})
}

func (n *Node) stop() {
	for _, node := range append(n.crashed, n.node) {
		if err := node.Shutdown(context.Background()); err != nil {
			n.T.Error(err)
		}
	}
	n.crashed = nil
}

// Restart ends the node and starts another one on the same store, as a restart
// of the server does: connections are kept, without their sockets.
func (n *Node) Restart() {
	n.T.Helper()
	n.stop()
	for _, c := range n.conns {
		c.detached()
	}
	n.start()
}

// Crash ends the node as the end of its process would, and starts another one on the same
// store. Of a turn that has not ended nothing is left, no OnStop runs, timers are gone, and
// actors are loaded from the store when they are next used, or when a message is due. A call
// that has no answer returns an error.
func (n *Node) Crash() {
	n.T.Helper()
	n.life.over.Store(true)
	runtime.Kill(n.node)
	n.crashed = append(n.crashed, n.node)
	for _, c := range n.conns {
		c.detached()
		c.wake()
	}
	synctest.Wait() // actors without a running turn are gone
	n.start()
}

// life is the store as a node sees it until it crashes: a turn that is running then goes
// on, but without effect.
type life struct {
	*memory.Store
	over atomic.Bool
}

// Commit implements store.Store.
func (l *life) Commit(ctx context.Context, group []*store.Commit) []error {
	if !l.over.Load() {
		return l.Store.Commit(ctx, group)
	}
	errs := make([]error, len(group))
	for i := range errs {
		errs[i] = store.ErrConflict
	}
	return errs
}

// Deploy is Restart with another registry, as a new binary has it: for tests of
// actor.Version, and of a roll-back.
func (n *Node) Deploy(r *actor.Registry) {
	n.T.Helper()
	n.registry = r
	n.Restart()
}

// Actor returns an actor, which need not exist. Each string is a component of
// its key.
func (n *Node) Actor(name string, key ...string) *Actor {
	return &Actor{node: n, ref: host.Ref{Name: name, Key: append(host.Key{}, key...)}}
}

// Actor is an actor under test.
type Actor struct {
	node *Node
	ref  host.Ref
	identity
}

// identity is the client of a connection or call, as OnAuth sees it.
type identity struct {
	header actor.Header
	who    *host.Identity // if not nil, used in place of OnAuth's result
}

// As returns the actor for a client with the OnAuth result auth. OnAuth does not run for its
// connections and calls.
func (a *Actor) As(auth any) *Actor {
	as := *a
	as.who = identityOf(a.node.T, auth)
	return &as
}

// WithHeader returns the actor for a client whose HTTP requests have a field, for OnAuth:
// WithHeader("Cookie", "session=…").
func (a *Actor) WithHeader(name, value string) *Actor {
	with := *a
	with.header = maps.Clone(a.header)
	if with.header == nil {
		with.header = actor.Header{}
	}
	with.header[name] = append(slices.Clone(with.header[name]), value)
	return &with
}

// identityOf returns the identity of a client whose OnAuth returns auth; nil, for that of
// OnAuth itself, if auth is nil.
func identityOf(t testing.TB, auth any) *host.Identity {
	t.Helper()
	if auth == nil {
		return nil
	}
	who, err := runtime.IdentityOf(auth)
	if err != nil {
		t.Fatalf("the identity of %v: %v", auth, err)
	}
	return &who
}

// authenticate runs OnAuth, if there is one.
func (n *Node) authenticate(r host.Ref, a identity, action string, params json.RawMessage) (host.Identity, error) {
	if a.who != nil {
		return *a.who, nil
	}
	return n.node.Authenticate(context.Background(), r, host.AuthRequest{Action: action, Header: a.header, RemoteAddr: "192.0.2.1", Params: params})
}

// Connect makes a connection. params are a client's params for connect(), nil for none. The
// test fails if the actor refuses.
func (a *Actor) Connect(params any) *Conn {
	a.node.T.Helper()
	c, err := a.TryConnect(params)
	if err != nil {
		a.node.T.Fatalf("connect to %s %v: %v", a.ref.Name, a.ref.Key, err)
	}
	return c
}

// TryConnect is Connect for connections that may be refused. The error is an
// *actor.Error.
func (a *Actor) TryConnect(params any) (*Conn, error) {
	a.node.T.Helper()
	raw := encode(a.node.T, params)
	c := &Conn{
		actor: a, identity: a.identity, id: fmt.Sprintf("conn-%d", len(a.node.conns)+1), params: raw,
		producer: fmt.Sprintf("producer-%d", len(a.node.conns)+1), answers: map[uint64]*host.Output{}, woken: make(chan struct{}, 1),
	}
	a.node.conns = append(a.node.conns, c)
	if err := c.attach(); err != nil {
		return nil, authorError(err)
	}
	return c, nil
}

// Fail calls an action without a connection and returns its error. The test fails if the
// action succeeds.
func (a *Actor) Fail(action string, args ...any) *actor.Error {
	a.node.T.Helper()
	return mustFail(a.node.T, action, func() error { _, err := a.call(action, args); return err })
}

func (a *Actor) call(action string, args []any) (json.RawMessage, error) {
	who, err := a.node.authenticate(a.ref, a.identity, action, nil)
	if err != nil {
		return nil, err
	}
	return a.node.node.CallOnce(context.Background(), a.ref, host.DirectCall{Create: true, Action: action, Args: encodeAll(a.node.T, args), Identity: who})
}

func (a *Actor) tb() testing.TB { return a.node.T }

// Caller is the target of Call: a *Conn, or an *Actor for calls without a connection.
type Caller interface {
	call(action string, args []any) (json.RawMessage, error)
	tb() testing.TB
}

// Call calls an action and returns its result. The test fails if the action fails, or if the
// result is not a T. For an action without a result use T any.
func Call[T any](c Caller, action string, args ...any) T {
	c.tb().Helper()
	raw, err := c.call(action, args)
	if err != nil {
		c.tb().Fatalf("%s: %v", action, err)
	}
	var v T
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &v); err != nil {
			c.tb().Fatalf("%s: its result %s is not a %T: %v", action, raw, v, err)
		}
	}
	return v
}

// Events returns the events of type E that the connection has received since the start or
// the last Clear, in order.
func Events[E any](c *Conn) []E {
	c.tb().Helper()
	c.settle()
	name := actor.WireName(reflect.TypeFor[E]().Name())
	c.mu.Lock()
	defer c.mu.Unlock()
	var events []E
	for _, o := range c.events {
		if o.Event != name {
			continue
		}
		var e E
		if err := json.Unmarshal(o.Data, &e); err != nil {
			c.tb().Fatalf("event %s: %s is not a %T: %v", name, o.Data, e, err)
		}
		events = append(events, e)
	}
	return events
}

func mustFail(t testing.TB, action string, f func() error) *actor.Error {
	t.Helper()
	err := f()
	if err == nil {
		t.Fatalf("%s succeeded, want it to fail", action)
	}
	e, ok := authorError(err).(*actor.Error)
	if !ok {
		t.Fatalf("%s: %v", action, err)
	}
	return e
}

// authorError converts an error of the node for an author: a fault becomes an
// *actor.Error.
func authorError(err error) error {
	var f *host.Fault
	if !errors.As(err, &f) {
		return err
	}
	e := &actor.Error{Code: f.Code, Message: f.Message}
	if f.Metadata != nil {
		e.Metadata = f.Metadata
	}
	return e
}

func encode(t testing.TB, v any) json.RawMessage {
	t.Helper()
	if v == nil {
		return nil
	}
	b, err := jsonshape.Encode(v)
	if err != nil {
		t.Fatalf("encode %v: %v", v, err)
	}
	return b
}

func encodeAll(t testing.TB, args []any) []json.RawMessage {
	t.Helper()
	raw := make([]json.RawMessage, len(args))
	for i, a := range args {
		if raw[i] = encode(t, a); raw[i] == nil {
			raw[i] = json.RawMessage("null")
		}
	}
	return raw
}

// testHandler sends the node's log to the test's.
type testHandler struct{ t testing.TB }

func (h testHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h testHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h testHandler) WithGroup(string) slog.Handler            { return h }

func (h testHandler) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		return true
	})
	h.t.Log(line)
	return nil
}
