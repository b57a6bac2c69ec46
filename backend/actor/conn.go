package actor

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Conn is a connection of the actor, as one turn sees it: like the turn's
// Context, it is not to be kept.
type Conn[S any] struct {
	turn *turn
	conn *conn
}

// handles makes a Conn for each of many connections, some at a time.
type handles[S any] struct {
	free []Conn[S]
	size int
}

func (h *handles[S]) of(t *turn, c *conn) *Conn[S] {
	if len(h.free) == 0 {
		h.size = min(2*h.size+1, 63) // the first ones alone: many loops end there
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
	c.turn.use()
	return c.conn.id
}

// State returns the connection's state. Changing what it returns changes
// nothing; use SetState.
func (c *Conn[S]) State() S {
	c.turn.use()
	value, raw := c.conn.value, c.conn.raw
	if s, ok := c.turn.states[c.conn]; ok {
		value, raw = s.value, s.raw
	}
	if c.turn.in.def.ConnPlain {
		return value.(S)
	}
	var s S
	if err := json.Unmarshal(raw, &s); err != nil {
		panic(fmt.Errorf("decode the state of connection %s: %w", c.conn.id, err))
	}
	return s
}

// SetState changes the connection's state, if the turn succeeds. A state that
// cannot be encoded as JSON fails the turn.
func (c *Conn[S]) SetState(state S) {
	c.turn.use()
	raw, err := json.Marshal(state)
	if err != nil {
		c.turn.fail(fmt.Errorf("encode the state of connection %s: %w", c.conn.id, err))
		return
	}
	c.turn.setState(c.conn, state, raw)
}

// Send sends an event to this connection, whether it subscribes to it or not,
// once the turn has succeeded and is durable. The same event sent to several
// connections in a row is kept and encoded for the wire once.
func (c *Conn[S]) Send(event any, options ...EmitOption) {
	c.turn.use()
	c.turn.emit(event, c.conn, options)
}

// Disconnect ends the connection, if the turn succeeds. Its client is told the
// reason and does not reconnect; events sent to it before still arrive.
func (c *Conn[S]) Disconnect(reason string) {
	c.turn.use()
	if limit := c.turn.in.def.Options.MaxMessage; len(reason) > limit {
		c.turn.fail(tooLarge("the reason to disconnect", len(reason), limit))
		return
	}
	c.turn.disconnect(c.conn, host.Faultf(wire.CodeDisconnected, "%s", reason))
}

// Online reports whether the connection has a socket. Without one it is still a
// connection until its resume window ends, and what is sent to it waits.
func (c *Conn[S]) Online() bool {
	c.turn.use()
	return c.conn.online
}

// Params reads what the client passed to connect() into the value that into
// points to. It reports false if there is nothing (the client passed none, or
// is not back since a restart of the server) or it does not fit.
func (c *Conn[S]) Params(into any) bool {
	c.turn.use()
	params, _ := c.turn.passed(c.conn)
	return len(params) > 0 && json.Unmarshal(params, into) == nil
}

// conn is the runtime's record of a connection. It belongs to its instance's
// goroutine, and changes only when a turn is applied.
type conn struct {
	num   uint32
	alone [1]uint32 // num: the target of what is for this connection alone, never changed
	id    string
	start uint64 // head of the log before it joined
	value any    // its state, of the definition's connType
	raw   []byte // the same as JSON
	attached
}

// attached is what is known of a connection's client, and not stored.
type attached struct {
	attachment host.Attachment // the newest one; zero if not attached since the actor was loaded
	online     bool
	dropped    time.Time // when it was last not online
	params     json.RawMessage
	auth       json.RawMessage
	caller     string

	// Where its client wanted to go on when it joined, of another connection's
	// time: it asks the same again if it missed the answer.
	askedLog string
	askedSeq uint64

	over bool // its end was begun and the hook did not return: it ends without it
}

type connState struct {
	value any
	raw   []byte
}

func (c *conn) record() store.Conn {
	return store.Conn{Num: c.num, ID: c.id, Start: c.start, State: c.raw}
}

// setState records a changed connection state in the turn.
func (t *turn) setState(c *conn, value any, raw []byte) {
	if t.readOnly {
		t.fail(host.Faultf(wire.CodeReadOnly, "%s is read-only (it has a value receiver) and cannot set a connection's state", t.what))
		return
	}
	if t.states == nil {
		t.states = map[*conn]connState{}
	}
	t.states[c] = connState{value, raw}
}

// disconnect records the end of a connection in the turn.
func (t *turn) disconnect(c *conn, why *host.Fault) {
	if t.readOnly {
		t.fail(host.Faultf(wire.CodeReadOnly, "%s is read-only (it has a value receiver) and cannot disconnect", t.what))
		return
	}
	if slices.Contains(t.ended, c) {
		return
	}
	t.ended = append(t.ended, c)
	if !c.attachment.IsZero() {
		t.closes = append(t.closes, &host.Output{Kind: host.OutputClosed, To: c.attachment, Err: why})
	}
}
