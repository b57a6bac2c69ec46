package actor

import (
	"context"
	"encoding/json"
	"iter"
	"reflect"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/runtime"
)

// NoState is the connection state of actors whose connections have none.
type NoState struct{}

// Context is the parameter of an action or a hook, for the length of its turn. S is the type
// of the actor's connection states. It is a context.Context that ends with the turn or at
// the turn's deadline.
//
// Use a Context only on the goroutine that runs the turn. To change the actor from your own
// goroutine, use Self().Do. After the turn only Self and the methods of context.Context may
// be used. The others panic in a later turn, which fails it; in your own goroutine they do
// nothing, and the log names the mistake.
type Context[S any] struct{ turn *runtime.Turn }

func (c *Context[S]) bind(t *runtime.Turn)                       { c.turn = t }
func (c *Context[S]) connState() reflect.Type                    { return reflect.TypeFor[S]() }
func (c *Context[S]) identity() (*runtime.Turn, json.RawMessage) { return c.turn, c.turn.Auth() }

// Key returns a copy of the actor's key.
func (c *Context[S]) Key() Key { return Key(slices.Clone(c.turn.Key())) }

// Name returns the name of the actor's definition.
func (c *Context[S]) Name() string { return c.turn.Definition().Name }

// ActorID returns the actor's id, which follows from its name and key. It is no secret:
// anybody who knows or guesses these can compute it.
func (c *Context[S]) ActorID() string { return c.turn.ActorID() }

// Now returns the time at which the turn began.
func (c *Context[S]) Now() time.Time { return c.turn.Now() }

// Broadcast sends an event to all connections that subscribe to it, once the
// turn has succeeded and is durable. The event is encoded at once. Emitting a
// type that the definition does not declare fails the turn.
func (c *Context[S]) Broadcast(event any, options ...EmitOption) {
	if c.turn.Use() {
		c.turn.Emit(event, nil, emission(options))
	}
}

// Conn returns the connection that called. Without one (an action called over
// HTTP) it ends the turn with connection_required.
func (c *Context[S]) Conn() *Conn[S] { return &Conn[S]{c.turn, c.turn.Conn()} }

// HasConn reports whether a connection called.
func (c *Context[S]) HasConn() bool { return c.turn.HasConn() }

// Conns returns the actor's connections in the order in which they joined, including those
// without a socket, which their clients may resume (see Conn.Online).
func (c *Context[S]) Conns() iter.Seq[*Conn[S]] { return conns[S](c.turn) }

func conns[S any](t *runtime.Turn) iter.Seq[*Conn[S]] {
	t.Use()
	return func(yield func(*Conn[S]) bool) {
		var h handles[S]
		for _, conn := range t.Conns() {
			if !yield(h.of(t, conn)) {
				return
			}
		}
	}
}

// After runs f as a turn after d, if this turn succeeds and the actor is still awake then.
// stop prevents it; it may be called from any goroutine.
func (c *Context[S]) After(d time.Duration, f func(*Context[S]) error) (stop func()) {
	return c.turn.AddTimer(d, false, inTurn(f))
}

// Every runs f as a turn each d, the first time after d, until stop is called
// or the actor leaves memory; start it in OnStart. A tick is skipped while the previous
// one still waits. d must be positive.
func (c *Context[S]) Every(d time.Duration, f func(*Context[S]) error) (stop func()) {
	if c.turn.Use() && d <= 0 {
		panic("actor: Every needs a positive interval")
	}
	return c.turn.AddTimer(d, true, inTurn(f))
}

// Destroy ends the actor's life, if the turn succeeds: its state, tables, connections and log
// are gone at once, and no hook runs, neither OnDisconnect nor OnStop. The clients of its
// connections hear destroyed, also those that are away, when they come back. The result
// of this turn still reaches its client, and its events reach clients that are connected. The
// next open of the actor, or call over HTTP, begins a new life, with OnCreate. An
// actor that was never stored leaves nothing behind. A read-only action fails with read_only.
func (c *Context[S]) Destroy() { c.turn.Destroy() }

// Self returns the actor for use outside its turns.
func (c *Context[S]) Self() *Self[S] { return &Self[S]{c.turn.Actor()} }

// Deadline implements context.Context: when the turn has to end.
func (c *Context[S]) Deadline() (time.Time, bool) { return c.turn.Deadline() }

// Done implements context.Context: it is closed when the turn ends, or at its
// deadline.
func (c *Context[S]) Done() <-chan struct{} { return c.turn.Done() }

// Err implements context.Context.
func (c *Context[S]) Err() error { return c.turn.Err() }

// Value implements context.Context. It has no values of yours.
func (c *Context[S]) Value(key any) any { return c.turn.Value(key) }

func inTurn[S any](f func(*Context[S]) error) func(*runtime.Turn) error {
	return func(t *runtime.Turn) error { return f(&Context[S]{t}) }
}

// Self is an actor for use outside its turns. It may be used from any goroutine while the
// server runs.
type Self[S any] struct{ actor *runtime.Actor }

// Do runs f as a turn of the actor and returns when its changes are durable. The error is
// f's, or that of the turn; ctx ends the wait, but not the turn. If the store does not say
// within 30 s whether it has the changes, the code is maybe_ran.
//
// Inside a turn, of any actor, Do returns an error at once: actors that wait for each other
// would stand still. There, call it in a goroutine.
func (s *Self[S]) Do(ctx context.Context, f func(*Context[S]) error) error {
	return authorError(s.actor.Do(ctx, inTurn(f)))
}

// ConnectContext is the parameter of OnBeforeConnect and CreateConnState, which run before
// there is a connection. Like a Context, use it only in its turn.
type ConnectContext struct{ turn *runtime.Turn }

func (c *ConnectContext) bind(t *runtime.Turn)                       { c.turn = t }
func (c *ConnectContext) identity() (*runtime.Turn, json.RawMessage) { return c.turn, c.turn.Auth() }

// Name returns the name of the actor's definition.
func (c *ConnectContext) Name() string { return c.turn.Definition().Name }

// Conns returns the actor's connections, as Context.Conns does. A connection that is new is
// not among them yet, so that a hook can refuse it if a room is full. The states are those
// of the actor's connection state type.
func (c *ConnectContext) Conns() iter.Seq[*Conn[any]] { return conns[any](c.turn) }

// ConnID returns the id that the connection has or will have.
func (c *ConnectContext) ConnID() string { return c.turn.ConnID() }

// Resuming reports whether the connection already exists: its client resumes or refreshes
// it.
func (c *ConnectContext) Resuming() bool { return c.turn.Resuming() }

// Key returns a copy of the actor's key.
func (c *ConnectContext) Key() Key { return Key(slices.Clone(c.turn.Key())) }

// ActorID returns the actor's id, which follows from its name and key.
func (c *ConnectContext) ActorID() string { return c.turn.ActorID() }

// Now returns the time at which the turn began.
func (c *ConnectContext) Now() time.Time { return c.turn.Now() }

// Broadcast sends an event to all connections that subscribe to it, as
// Context.Broadcast does.
func (c *ConnectContext) Broadcast(event any, options ...EmitOption) {
	if c.turn.Use() {
		c.turn.Emit(event, nil, emission(options))
	}
}

// Deadline implements context.Context: when the turn has to end.
func (c *ConnectContext) Deadline() (time.Time, bool) { return c.turn.Deadline() }

// Done implements context.Context: it is closed when the turn ends, or at its
// deadline.
func (c *ConnectContext) Done() <-chan struct{} { return c.turn.Done() }

// Err implements context.Context.
func (c *ConnectContext) Err() error { return c.turn.Err() }

// Value implements context.Context. It has no values of yours.
func (c *ConnectContext) Value(key any) any { return c.turn.Value(key) }
