package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"runtime/debug"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Package actor builds its Context on these methods. All but those of context.Context
// are for the turn's goroutine; see Use for what they do when the turn is over.

// Definition returns the definition of the turn's actor.
func (t *Turn) Definition() *definition.Definition { return t.in.def }

// Key returns the actor's key. The caller must not change it.
func (t *Turn) Key() host.Key {
	t.Use()
	return t.in.actor.ref().Key
}

// ActorID returns the actor's id, which follows from its name and key.
func (t *Turn) ActorID() string {
	t.Use()
	return t.in.actor.id
}

// Actor returns the actor, which may be used outside the turn.
func (t *Turn) Actor() *Actor { return t.in.actor }

// Now returns the time at which the turn began.
func (t *Turn) Now() time.Time {
	t.Use()
	return t.now
}

// Conn returns the connection that called. Without one it ends the turn with
// connection_required.
func (t *Turn) Conn() *Conn {
	if !t.Use() {
		return nil
	}
	if t.conn == nil {
		panic(turnError{host.Faultf(wire.CodeConnectionRequired, "%s needs a connection", t.what)})
	}
	return t.conn
}

// HasConn reports whether a connection called.
func (t *Turn) HasConn() bool {
	return t.Use() && t.conn != nil
}

// ConnID returns, in a turn that connects, the id that the connection has or will
// have.
func (t *Turn) ConnID() string {
	if !t.Use() {
		return ""
	}
	return t.opening.Conn
}

// Resuming reports, in a turn that connects, whether the connection already exists.
func (t *Turn) Resuming() bool {
	return t.Use() && t.resuming
}

// Auth returns the OnAuth result of the turn's client, nil if there is none.
func (t *Turn) Auth() json.RawMessage { return t.AuthOf(t.conn) }

// AuthOf returns the OnAuth result of a connection's client.
func (t *Turn) AuthOf(c *Conn) json.RawMessage {
	if !t.Use() {
		return nil
	}
	_, auth := t.paramsAndAuth(c)
	return auth
}

// ParamsOf returns the params of a connection's client, nil if they are unknown.
func (t *Turn) ParamsOf(c *Conn) json.RawMessage {
	if !t.Use() {
		return nil
	}
	params, _ := t.paramsAndAuth(c)
	return params
}

// Fail makes the turn fail when it returns. The first failure counts.
func (t *Turn) Fail(err error) {
	if t.failure == nil {
		t.failure = err
	}
}

// Do runs f as a turn of the actor and returns when its changes are durable. The error is
// f's, or that of the turn as a *host.Fault. ctx ends the wait, but not the turn. Inside
// a turn, of any actor, Do returns an error at once: two actors that wait for each other
// would both stand still.
func (a *Actor) Do(ctx context.Context, f func(*Turn) error) error {
	if t, _ := ctx.Value(turnKey{}).(*Turn); t != nil && t.Err() == nil || inExecute() {
		return errDoInTurn
	}
	return a.node.do(ctx, a.ref(), f)
}

var errDoInTurn = errors.New("Self().Do cannot wait inside a turn: change this actor directly or with c.After(0, func(c) error), " +
	"and another one in a goroutine: go other.Do(context.Background(), func(c) error)")

type turnKey struct{}

// Value implements context.Context.
func (t *Turn) Value(key any) any {
	if key == (turnKey{}) {
		return t
	}
	return nil
}

// Use reports whether the turn still runs. If it does not, a Context or Conn outlived it:
// in a turn Use panics, which fails that turn; in a goroutine of the author a panic would
// end the process, so Use logs the mistake, and the caller does nothing.
func (t *Turn) Use() bool {
	if !t.dead.Load() {
		return true
	}
	const remedy = "a Context or Conn was used after its turn; from outside a turn use c.Self().Do(ctx, func(c) error), or c.After and c.Every"
	if InTurn() {
		panic(remedy)
	}
	if t.reported.CompareAndSwap(false, true) {
		t.in.actor.logger().Error(remedy, "turn", t.label(), "stack", string(debug.Stack()))
	}
	return false
}

// Conns returns the connections, including the turn's own changes.
func (t *Turn) Conns() []*Conn {
	if !t.Use() {
		return nil
	}
	conns := t.in.conns.all
	if len(t.ended) > 0 {
		conns = slices.DeleteFunc(slices.Clone(conns), func(c *Conn) bool { return slices.Contains(t.ended, c) })
	}
	if t.joining != nil && !slices.Contains(t.ended, t.joining) {
		conns = append(slices.Clip(conns), t.joining)
	}
	return conns
}

// AddTimer adds a timer to the turn; it starts when the turn has succeeded.
func (t *Turn) AddTimer(d time.Duration, every bool, run func(*Turn) error) (stop func()) {
	if !t.Use() {
		return func() {}
	}
	if t.readOnly {
		t.Fail(host.Faultf(wire.CodeReadOnly, "%s is read-only (it has a value receiver) and cannot start a timer", t.what))
		return func() {}
	}
	tm := &timer{interval: d, every: every, run: run}
	t.timers = append(t.timers, tm)
	return tm.stop
}

// Messages returns the messages of the turn's actor.
func (t *Turn) Messages() Messages { return Messages{t} }

// Destroy ends the actor's life when the turn succeeds: its state, tables, connections and
// log are gone then, and no hook runs. What is left is a tombstone, by which clients of
// this life learn of the end, and their calls are not run again.
func (t *Turn) Destroy() {
	if !t.Use() {
		return
	}
	if t.readOnly {
		t.Fail(host.Faultf(wire.CodeReadOnly, "%s is read-only (it has a value receiver) and cannot destroy the actor", t.what))
		return
	}
	t.destroyed = true
}
