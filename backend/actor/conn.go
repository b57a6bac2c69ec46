package actor

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/runtime"
)

// Conn is a connection of the actor during one turn. Like the turn's Context, it must not
// be kept after the turn.
type Conn[S any] struct {
	turn *runtime.Turn
	conn *runtime.Conn
}

// handles makes Conns in batches.
type handles[S any] struct {
	free []Conn[S]
	size int
}

func (h *handles[S]) of(t *runtime.Turn, c *runtime.Conn) *Conn[S] {
	if len(h.free) == 0 {
		h.size = min(2*h.size+1, 63) // small at first: many loops end early
		h.free = make([]Conn[S], h.size)
	}
	handle := &h.free[0]
	h.free = h.free[1:]
	handle.turn, handle.conn = t, c
	return handle
}

// ID returns the connection's id: stable while it lives, also across restarts
// of the server.
func (c *Conn[S]) ID() string {
	if !c.turn.Use() {
		return ""
	}
	return c.conn.ID()
}

// State returns the connection's state. Changing what it returns changes
// nothing; use SetState.
func (c *Conn[S]) State() S {
	var s S
	if !c.turn.Use() {
		return s
	}
	value, raw := c.turn.ConnState(c.conn)
	def := c.turn.Definition()
	copier := def.ConnCopier
	if reflect.TypeFor[S]() != def.ConnType { // a Conn[any] of a ConnectContext
		own, err := copier.Copy(value)
		if err != nil {
			panic(fmt.Errorf("copy the state of connection %s: %w", c.conn.ID(), err))
		}
		return own.(S)
	}
	if !copier.FromJSON() {
		return detached(copier, value.(S))
	}
	if len(raw) == 0 {
		return s // it could not be decoded: OnDisconnect sees the zero value
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		panic(fmt.Errorf("decode the state of connection %s: %w", c.conn.ID(), err))
	}
	return s
}

// SetState changes the connection's state, if the turn succeeds. A state that
// cannot be encoded as JSON fails the turn.
func (c *Conn[S]) SetState(state S) {
	if !c.turn.Use() {
		return
	}
	def := c.turn.Definition()
	if t := reflect.TypeOf(state); t != def.ConnType && reflect.TypeFor[S]() != def.ConnType {
		c.turn.Fail(fmt.Errorf("the state of a connection of %s is a %s, not a %v", def.Type, def.ConnType, t))
		return
	}
	raw, err := jsonshape.Marshal(state)
	if err != nil {
		c.turn.Fail(fmt.Errorf("encode the state of connection %s: %w", c.conn.ID(), err))
		return
	}
	own := any(state)
	if !def.ConnCopier.FromJSON() {
		if own, err = def.ConnCopier.Copy(own); err != nil {
			c.turn.Fail(fmt.Errorf("copy the state of connection %s: %w", c.conn.ID(), err))
			return
		}
	}
	c.turn.SetConnState(c.conn, own, raw)
}

// Send sends an event to this connection, whether it subscribes to it or not,
// once the turn has succeeded and is durable. The same event sent to several
// connections in a row is kept and encoded for the wire once.
func (c *Conn[S]) Send(event any, options ...EmitOption) {
	if c.turn.Use() {
		c.turn.Emit(event, c.conn, emission(options))
	}
}

// Disconnect ends the connection, if the turn succeeds. Its client gets the reason and does
// not reconnect; events sent to it before still arrive.
func (c *Conn[S]) Disconnect(reason string) {
	if c.turn.Use() {
		c.turn.Disconnect(c.conn, reason)
	}
}

// Online reports whether the connection has a socket. Without one it stays a connection
// until its resume window ends, and events sent to it wait.
func (c *Conn[S]) Online() bool {
	return c.turn.Use() && c.conn.Online()
}

// Params decodes the client's params into the value that into points to. It reports false
// if they do not fit or if there are none: the client passed none, or has not resumed the
// connection since the server restarted.
func (c *Conn[S]) Params(into any) bool {
	params := c.turn.ParamsOf(c.conn)
	return len(params) > 0 && json.Unmarshal(params, into) == nil
}

func (c *Conn[S]) identity() (*runtime.Turn, json.RawMessage) { return c.turn, c.turn.AuthOf(c.conn) }
