package actor

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// NoState is the connection state of actors whose connections need none.
type NoState struct{}

// Context is what an action or a hook is given for the length of its turn. S
// is the type of the actor's connection states. It is a context.Context that
// ends with the turn or at the turn's deadline.
//
// A Context belongs to its turn: it is for the goroutine that runs the turn, and
// after the turn its methods panic, except those of context.Context. To change
// the actor from a goroutine of your own, use Self().Do.
type Context[S any] struct{ *turn }

func (c *Context[S]) bind(t *turn)            { c.turn = t }
func (c *Context[S]) connState() reflect.Type { return reflect.TypeFor[S]() }

// Conn returns the connection that called. Without one (an action called over
// HTTP) it ends the turn with connection_required.
func (c *Context[S]) Conn() *Conn[S] {
	c.use()
	if c.turn.conn == nil {
		panic(turnError{host.Faultf(wire.CodeConnectionRequired, "%s needs a connection", c.turn.what)})
	}
	return &Conn[S]{c.turn, c.turn.conn}
}

// HasConn reports whether a connection called.
func (c *Context[S]) HasConn() bool {
	c.use()
	return c.turn.conn != nil
}

// Conns returns the actor's connections in the order in which they joined,
// also those whose socket is gone and who may come back (see Conn.Online).
func (c *Context[S]) Conns() iter.Seq[*Conn[S]] {
	c.use()
	return func(yield func(*Conn[S]) bool) {
		var h handles[S]
		for _, conn := range c.turn.conns() {
			if !yield(h.of(c.turn, conn)) {
				return
			}
		}
	}
}

// After runs f as a turn once d has passed, if this turn succeeds and the actor
// is still awake then. stop prevents it; it may be called from anywhere.
func (c *Context[S]) After(d time.Duration, f func(*Context[S]) error) (stop func()) {
	return c.turn.schedule(d, false, c.inTurn(f))
}

// Every runs f as a turn each d, the first time after d, until stop is called
// or the actor leaves memory; start it in OnStart. A tick that comes while the
// last one is still waiting is left out. d must be positive.
func (c *Context[S]) Every(d time.Duration, f func(*Context[S]) error) (stop func()) {
	if d <= 0 {
		panic("actor: Every needs a positive interval")
	}
	return c.turn.schedule(d, true, c.inTurn(f))
}

// Self returns a way into the actor from outside a turn.
func (c *Context[S]) Self() *Self[S] {
	c.use()
	return &Self[S]{c.turn.in.actor}
}

func (*Context[S]) inTurn(f func(*Context[S]) error) func(*turn) error {
	return func(t *turn) error { return f(&Context[S]{t}) }
}

// Self is an actor seen from outside its turns. It may be used from any
// goroutine for as long as the node runs.
type Self[S any] struct{ actor *actor }

// Do runs f as a turn of the actor and returns when what it changed is
// durable. The error is f's, or that of the turn; ctx ends the waiting, but not
// the turn. Do must not be called inside a turn of the same actor, which would
// wait for itself: it returns an error then.
func (s *Self[S]) Do(ctx context.Context, f func(*Context[S]) error) error {
	if in, _ := ctx.Value(turnKey{}).(*turn); in != nil && in.in.actor.id == s.actor.id && in.Err() == nil {
		return errors.New("actor: Self().Do inside a turn of the same actor would wait for itself")
	}
	return authorError(s.actor.node.do(ctx, s.actor.ref(), func(t *turn) error { return f(&Context[S]{t}) }))
}

// ConnectContext is what OnBeforeConnect and CreateConnState are given: there
// is no connection yet.
type ConnectContext struct{ *turn }

func (c *ConnectContext) bind(t *turn) { c.turn = t }

// ConnID returns the id that the connection has or will have.
func (c *ConnectContext) ConnID() string {
	c.use()
	return c.turn.opening.Conn
}

// Resuming reports whether the connection exists and comes back.
func (c *ConnectContext) Resuming() bool {
	c.use()
	return c.turn.resuming
}

// The methods of all contexts.

// Key returns the actor's key. The caller must not change it.
func (t *turn) Key() Key {
	t.use()
	return Key(t.in.actor.key)
}

// ActorID returns the actor's id, which follows from its name and key.
func (t *turn) ActorID() string {
	t.use()
	return t.in.actor.id
}

// Now returns the time at which the turn began.
func (t *turn) Now() time.Time {
	t.use()
	return t.now
}

// Broadcast sends an event to all connections that subscribe to it, once the
// turn has succeeded and is durable. The event is encoded at once. Emitting a
// type that the definition does not declare fails the turn.
func (t *turn) Broadcast(event any, options ...EmitOption) {
	t.use()
	t.emit(event, nil, options)
}

// Deadline implements context.Context.
func (t *turn) Deadline() (time.Time, bool) { return t.deadline, true }

// Done implements context.Context.
func (t *turn) Done() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done == nil {
		t.done = make(chan struct{})
		if t.err != nil {
			close(t.done)
		}
	}
	return t.done
}

// Err implements context.Context.
func (t *turn) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

type turnKey struct{}

// Value implements context.Context.
func (t *turn) Value(key any) any {
	if key == (turnKey{}) {
		return t
	}
	return nil
}

// finish ends the context with err. Only the first call counts.
func (t *turn) finish(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		return
	}
	t.err = err
	if t.done != nil {
		close(t.done)
	}
}

// use panics if the turn is over: the caller kept a context or a connection.
func (t *turn) use() {
	if t.dead.Load() {
		panic("actor: a Context or Conn was used after its turn; from outside a turn use c.Self().Do(ctx, func(c) error), or c.After and c.Every")
	}
}

// conns returns the connections as this turn sees them.
func (t *turn) conns() []*conn {
	t.use()
	conns := t.in.conns
	if len(t.ended) > 0 {
		conns = slices.DeleteFunc(slices.Clone(conns), func(c *conn) bool { return slices.Contains(t.ended, c) })
	}
	if t.joining != nil && !slices.Contains(t.ended, t.joining) {
		conns = append(slices.Clip(conns), t.joining)
	}
	return conns
}
