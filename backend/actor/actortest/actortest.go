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
// can restart (Restart); see the example.
//
// Everything goes the way that it goes in production, through the same log and
// gate, on the memory store.
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
	"sync"
	"testing"
	"testing/synctest"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// Node is a node under test.
type Node struct {
	T testing.TB

	registry *actor.Registry
	store    *memory.Store
	node     *actor.Node
	conns    []*Conn
}

// Run runs f in a bubble of virtual time (see testing/synctest): time.Sleep
// takes no time there, and resume windows, timers and time-outs pass as fast as
// they can. What the node logs is in the test's log.
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
	n.node = actor.NewNode(n.registry, n.store, actor.NodeOptions{Logger: slog.New(testHandler{n.T}), Check: true})
}

func (n *Node) stop() {
	if err := n.node.Shutdown(context.Background()); err != nil {
		n.T.Error(err)
	}
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

// Actor returns an actor, which need not exist. Each string is a component of
// its key.
func (n *Node) Actor(name string, key ...string) *Actor {
	return &Actor{node: n, ref: actor.Ref{Name: name, Key: key}}
}

// Actor is an actor under test.
type Actor struct {
	node *Node
	ref  actor.Ref
	asker
}

// asker is who asks an actor for something.
type asker struct {
	header actor.Header
	auth   json.RawMessage // not nil: in place of what OnAuth would say
}

// As returns the actor as it is for somebody of whom OnAuth has said auth: OnAuth
// does not run for the connections and calls that are made with it.
func (a *Actor) As(auth any) *Actor {
	as := *a
	as.auth = encode(a.node.T, auth)
	return &as
}

// WithHeader returns the actor as it is for somebody whose HTTP requests have a
// field, which is for OnAuth to see: WithHeader("Cookie", "session=…").
func (a *Actor) WithHeader(name, value string) *Actor {
	with := *a
	with.header = maps.Clone(a.header)
	if with.header == nil {
		with.header = actor.Header{}
	}
	with.header[name] = append(slices.Clone(with.header[name]), value)
	return &with
}

// authenticate asks OnAuth, if there is one, who the asker is.
func (n *Node) authenticate(r actor.Ref, a asker, action string, params json.RawMessage) (json.RawMessage, error) {
	if a.auth != nil {
		return a.auth, nil
	}
	return n.node.Authenticate(context.Background(), r, actor.AuthRequest{Action: action, Header: a.header, RemoteAddr: "192.0.2.1", RawParams: params})
}

// Connect makes a connection. params are what a client passes to connect(); nil
// for none. The test fails if the actor refuses.
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
		actor: a, asker: a.asker, id: fmt.Sprintf("conn-%d", len(a.node.conns)+1), params: raw,
		caller: fmt.Sprintf("caller-%d", len(a.node.conns)+1), answers: map[uint64]*actor.Output{}, woken: make(chan struct{}, 1),
	}
	a.node.conns = append(a.node.conns, c)
	if err := c.attach(); err != nil {
		return nil, err
	}
	return c, nil
}

// Fail calls an action without a connection that is to fail, and returns the
// error. The test fails if it succeeds.
func (a *Actor) Fail(action string, args ...any) *actor.Error {
	a.node.T.Helper()
	return mustFail(a.node.T, action, func() error { _, err := a.call(action, args); return err })
}

func (a *Actor) call(action string, args []any) (json.RawMessage, error) {
	auth, err := a.node.authenticate(a.ref, a.asker, action, nil)
	if err != nil {
		return nil, err
	}
	return a.node.node.CallOnce(context.Background(), a.ref, actor.SingleCall{Create: true, Action: action, Args: encodeAll(a.node.T, args), Auth: auth})
}

func (a *Actor) tb() testing.TB { return a.node.T }

// Caller is what Call takes: a *Conn, or an *Actor for calls without a
// connection.
type Caller interface {
	call(action string, args []any) (json.RawMessage, error)
	tb() testing.TB
}

// Call calls an action and returns its result. The test fails if the action
// does, or if the result is no T; for an action without a result T is any.
func Call[T any](c Caller, action string, args ...any) T {
	c.tb().Helper()
	raw, err := c.call(action, args)
	if err != nil {
		c.tb().Fatalf("%s: %v", action, err)
	}
	var v T
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &v); err != nil {
			c.tb().Fatalf("%s: its result %s is no %T: %v", action, raw, v, err)
		}
	}
	return v
}

// Conn is a connection that collects what it receives. It subscribes to all
// events.
type Conn struct {
	actor  *Actor
	asker  // changed by the test's goroutine alone
	id     string
	caller string
	params json.RawMessage

	woken chan struct{} // something new was read

	mu         sync.Mutex // guards the fields below: whoever publishes reads, too
	attachment uint64
	online     bool
	log        *actor.Log
	identity   string
	cursor     actor.Pos
	seq        uint64 // number of the last entry seen
	num        uint32
	calls      uint64

	opened  *actor.OpenedInfo
	lost    string // why something was lost before opened; empty if nothing was
	closed  *actor.Error
	events  []*actor.Output
	answers map[uint64]*actor.Output

	answered []*actor.Output // to Subscribe
}

// Published implements actor.Follower.
func (c *Conn) Published() {
	c.read()
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

func (c *Conn) tb() testing.TB { return c.actor.node.T }

// attach opens the connection, for the first time or again.
func (c *Conn) attach() error {
	c.tb().Helper()
	if err := c.ask(); err != nil {
		return err
	}
	for {
		c.read()
		c.mu.Lock()
		opened, closed := c.opened, c.closed
		c.mu.Unlock()
		if opened != nil {
			return nil
		}
		if closed != nil {
			return closed
		}
		<-c.woken
	}
}

func (c *Conn) ask() error {
	auth, err := c.actor.node.authenticate(c.actor.ref, c.asker, "", c.params)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	node := c.actor.node.node
	log, err := node.Follow(c.actor.ref, c)
	if err != nil {
		return err
	}
	resume := c.identity != ""
	c.log, c.cursor, c.attachment = log, log.Visible(), actor.NextAttachment()
	c.opened, c.closed, c.online = nil, nil, true
	if err := node.Open(c.actor.ref, actor.OpenRequest{
		Attachment: c.attachment, Create: true, Conn: c.id, Caller: c.caller, Params: c.params, Auth: auth,
		Resume: resume, Log: c.identity, Seq: c.seq,
	}); err != nil {
		c.detachedLocked()
		return err
	}
	return nil
}

// detached forgets the log.
func (c *Conn) detached() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.detachedLocked()
}

func (c *Conn) detachedLocked() {
	if !c.online {
		return
	}
	c.online = false
	c.actor.node.node.Unfollow(c.actor.ref, c)
}

// read takes what is new in the log.
func (c *Conn) read() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.online {
		outputs, next, ok := c.log.Read(c.cursor, nil, 64)
		if !ok {
			c.tb().Errorf("connection %s fell behind what the log keeps in memory", c.id)
			return
		}
		if next == c.cursor {
			return
		}
		c.cursor = next
		for _, o := range outputs {
			c.take(o)
		}
	}
}

func (c *Conn) take(o *actor.Output) {
	if c.opened != nil && o.Numbered {
		if o.Seq <= c.seq {
			return // it was among what was missed
		}
		c.seq = o.Seq
	}
	switch o.Kind {
	case actor.OutputOpened:
		if o.To == c.attachment {
			c.start(o)
		}
	case actor.OutputClosed:
		if o.To == c.attachment {
			c.closed = o.Err
			c.detachedLocked()
		}
	case actor.OutputSubscribed:
		if o.To == c.attachment {
			c.answered = append(c.answered, o)
		}
	case actor.OutputEvent:
		if c.opened != nil && o.Target.Includes(c.num) {
			c.events = append(c.events, o)
		}
	default:
		if o.To == c.attachment || o.Numbered && c.opened != nil && o.Target.Includes(c.num) {
			c.answers[o.Call] = o
		}
	}
}

// start takes the answer of an open, and what was missed.
func (c *Conn) start(o *actor.Output) {
	info := o.Opened
	c.opened, c.identity, c.num, c.seq, c.lost = info, info.Log, info.Num, info.Start, info.Reason
	missed, err := c.log.Stored(context.Background(), info.Start, 1<<20, 1<<30)
	if err != nil {
		c.tb().Errorf("read what connection %s missed: %v", c.id, err)
	}
	if o.Seq > info.Start && (len(missed) == 0 || missed[0].Seq != info.Start+1) {
		c.seq, c.lost = o.Seq, "overflow" // never a partial replay (G4)
		return
	}
	for _, o := range missed {
		c.take(o)
	}
}

func (c *Conn) call(action string, args []any) (json.RawMessage, error) {
	c.tb().Helper()
	c.mu.Lock()
	attachment, online := c.attachment, c.online
	c.calls++
	id := c.calls
	c.mu.Unlock()
	if !online {
		return nil, errors.New("the connection has no socket")
	}
	if err := c.actor.node.node.Call(c.actor.ref, actor.CallRequest{
		Attachment: attachment, Conn: c.id, ID: id, Action: action, Args: encodeAll(c.tb(), args),
	}); err != nil {
		return nil, err
	}
	for {
		c.read()
		c.mu.Lock()
		a, closed := c.answers[id], c.closed
		delete(c.answers, id)
		c.mu.Unlock()
		switch {
		case a != nil && a.Err != nil:
			return nil, a.Err
		case a != nil:
			return a.Data, nil
		case closed != nil:
			return nil, closed
		}
		<-c.woken
	}
}

// Fail calls an action that is to fail, and returns the error. The test fails
// if it succeeds.
func (c *Conn) Fail(action string, args ...any) *actor.Error {
	c.tb().Helper()
	return mustFail(c.tb(), action, func() error { _, err := c.call(action, args); return err })
}

// Drop takes the connection's socket away. The connection may come back with
// Resume.
func (c *Conn) Drop() {
	c.settle()
	c.detached()
	c.actor.node.node.Detach(c.actor.ref, c.attachment)
	synctest.Wait()
}

// Resume gives the connection a socket again; what it missed is among its
// events then, or see Recovered. It reports whether it is still the same
// connection: if not, its resume window was over, and it has joined anew. The
// test fails if the actor refuses.
func (c *Conn) Resume() (same bool) {
	c.tb().Helper()
	if err := c.TryResume(); err != nil {
		c.tb().Fatalf("resume: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened.Resumed
}

// TryResume is Resume for connections that may be refused. The error is an
// *actor.Error.
func (c *Conn) TryResume() error {
	c.tb().Helper()
	c.detached()
	return c.attach()
}

// As makes the connection that of somebody of whom OnAuth has said auth, when it is
// resumed or refreshed next. It returns c.
func (c *Conn) As(auth any) *Conn {
	c.auth = encode(c.tb(), auth)
	return c
}

// Refresh passes new params, as the client's refresh() does: OnAuth (see As),
// OnBeforeConnect and OnRefresh run. See Closed for what comes of it if one of them
// refuses.
func (c *Conn) Refresh(params any) {
	c.tb().Helper()
	c.settle()
	c.params = encode(c.tb(), params)
	node := c.actor.node
	auth, err := node.authenticate(c.actor.ref, c.asker, "", c.params)
	var refused *actor.Error
	switch {
	case errors.As(err, &refused):
		c.mu.Lock()
		c.closed = refused
		c.mu.Unlock()
		c.detached()
		node.node.Detach(c.actor.ref, c.attachment)
	case err == nil:
		err = node.node.Refresh(c.actor.ref, actor.RefreshRequest{Attachment: c.attachment, Params: c.params, Auth: auth})
	}
	if err != nil && refused == nil {
		c.tb().Fatalf("refresh: %v", err)
	}
	c.settle()
}

// Subscribe asks the actor's CanSubscribe, as the client's on() does, whether the
// connection may have an event; the error is why not. It does not change what the
// connection receives here, which is everything.
func (c *Conn) Subscribe(event string) error {
	c.tb().Helper()
	c.settle()
	node := c.actor.node.node
	if !node.Guards(c.actor.ref.Name) {
		c.tb().Fatalf("%s has no CanSubscribe", c.actor.ref.Name)
	}
	c.mu.Lock()
	c.answered = nil
	c.mu.Unlock()
	if err := node.Subscribe(c.actor.ref, actor.SubscribeRequest{Attachment: c.attachment, ID: 1, Events: []string{event}}); err != nil {
		return err
	}
	c.settle()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.answered) == 0 {
		c.tb().Fatalf("the connection is over")
	}
	for _, r := range c.answered[0].Opened.Refused {
		return r.Err
	}
	return nil
}

// Recovered reports whether the connection has received all that was meant for
// it when it was last resumed (or connected). If not, what it missed is lost, as
// its client is told by the event reconnected, and reason says why: expired (its
// resume window was over), restart (the log is another one) or overflow (the log
// kept less than what was missed).
func (c *Conn) Recovered() (ok bool, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost == "", c.lost
}

// Close ends the connection, as its client's dispose() does.
func (c *Conn) Close() {
	c.settle()
	c.actor.node.node.Close(c.actor.ref, c.attachment)
	c.detached()
	synctest.Wait()
}

// Closed returns the code with which the actor has ended the connection.
func (c *Conn) Closed() (code string, closed bool) {
	c.settle()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed == nil {
		return "", false
	}
	return c.closed.Code, true
}

// Clear forgets the events received so far.
func (c *Conn) Clear() {
	c.settle()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = nil
}

// settle waits until the actor has nothing more to do, and reads.
func (c *Conn) settle() {
	synctest.Wait()
	c.read()
}

// Events returns the events of type E that the connection has received and
// not forgotten (Clear), in order.
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
			c.tb().Fatalf("event %s: %s is no %T: %v", name, o.Data, e, err)
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
	var e *actor.Error
	if !errors.As(err, &e) {
		t.Fatalf("%s: %v", action, err)
	}
	return e
}

func encode(t testing.TB, v any) json.RawMessage {
	t.Helper()
	if v == nil {
		return nil
	}
	b, err := actor.Encode(v)
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
