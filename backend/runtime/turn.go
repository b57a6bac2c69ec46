package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"runtime/debug"
	"sync/atomic"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/store"
)

// Turn is one run of an action or a hook: a transaction on its instance. It collects its
// changes other than those of the state struct until it is applied, so that a failed or
// abandoned turn leaves no trace (G7).
type Turn struct {
	span
	in       *instance
	readOnly bool
	bounded  bool           // MaxState applies: the turn is no hook
	conn     *Conn          // the connection that called, or nil
	message  *store.Message // that the turn handles, or nil
	from     *host.Ref      // whose message it is; nil if it is the actor's own

	opening  *host.OpenRequest // of a turn that connects or refreshes; of a call without a connection, only its Identity
	access   *Access           // in OnAccess; else nil: each turn would have its 72 bytes
	resuming bool
	joining  *Conn // the connection that this turn adds
	ending   *Conn // the connection whose end is the purpose of this turn

	out     outbox
	states  map[*Conn]connState
	ended   []*Conn        // connections that this turn ends
	closes  []*host.Output // the outputs for their clients, after all others
	timers  []*timer
	failure error // the first error recorded by Fail

	destroyed bool // the turn ends the actor's life

	dead     atomic.Bool // the turn is over
	reported atomic.Bool // its use after that is in the log
}

// paramsAndAuth returns the params and the OnAuth result of a connection's client.
func (t *Turn) paramsAndAuth(c *Conn) (params, auth json.RawMessage) {
	if t.opening != nil && (c == nil || c.id == t.opening.Conn) {
		return t.opening.Params, t.opening.Identity.Auth // not accepted yet
	}
	if c == nil {
		return nil, nil
	}
	return c.params, c.who.Auth
}

// setIdentity sets whose turn it is, of a turn without a connection.
func (t *Turn) setIdentity(who host.Identity) {
	if who.Auth != nil {
		t.opening = &host.OpenRequest{Identity: who}
	}
}

// turnError is the panic value with which a method of a context ends its turn.
type turnError struct{ err *host.Fault }

// end closes the turn's context and the watch over it. It reports false if the instance
// was abandoned meanwhile; then its goroutine must not change anything.
func (t *Turn) end() bool {
	mine := t.in.watchdog.unwatch(t)
	t.dead.Store(true)
	t.finish(context.Canceled)
	return mine
}

// savepoint marks what a turn has collected so far, to undo a hook that runs inside it.
type savepoint struct {
	outputs, ended, closes, timers, edits, messages int
	states                                          map[*Conn]connState
	destroyed                                       bool
}

func (t *Turn) savepoint() savepoint {
	return savepoint{
		len(t.out.outputs), len(t.ended), len(t.closes), len(t.timers), t.in.tables.savepoint(), t.in.messages.savepoint(),
		maps.Clone(t.states), t.destroyed,
	}
}

func (t *Turn) rollback(s savepoint) {
	t.out.outputs, t.ended, t.closes, t.timers = t.out.outputs[:s.outputs], t.ended[:s.ended], t.closes[:s.closes], t.timers[:s.timers]
	t.states, t.failure, t.destroyed = s.states, nil, s.destroyed
	t.in.tables.rollback(s.edits)
	t.in.messages.rollback(s.messages)
}

// run calls f as a part of the turn. Its error is f's, the first one recorded by Fail, a
// panic, or the turn's timeout.
func (t *Turn) run(f func() (any, error)) (result any, err error) {
	result, err = protect(f)
	switch {
	case err != nil:
	case t.failure != nil:
		err = t.failure
	case t.Err() != nil:
		err = t.Err()
	case t.readOnly && t.in.actor.node.check && !t.in.state.same():
		err = fmt.Errorf("%s is read-only (it has a value receiver) but changed the state: give it a pointer receiver", t.what)
	}
	if errors.Is(err, context.DeadlineExceeded) && errors.Is(t.Err(), context.DeadlineExceeded) {
		err = t.timeoutFault(t.what)
	}
	return result, err
}

// timeoutFault returns the fault of a turn that took too long.
func (t *Turn) timeoutFault(what string) *host.Fault {
	limit, option := t.deadline.Sub(t.now), "actor.Options.ActionTimeout"
	if o := &t.in.def.Options; limit == o.ConnectTimeout && limit != o.ActionTimeout {
		option = "actor.Options.ConnectTimeout"
	}
	return timeLimitFault(what, limit, option)
}

// protect calls f and turns a panic into an error with its stack.
func protect(f func() (any, error)) (result any, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case turnError:
			err = r.err
		default:
			err = &panicError{value: r, stack: debug.Stack()}
		}
	}()
	return f()
}

// panicError is a panic of user code.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// logger returns a logger that names the actor, the turn and its connection. It is for the
// turn's goroutine.
func (t *Turn) logger() *slog.Logger {
	log := t.in.actor.logger().With("turn", t.label())
	switch {
	case t.conn != nil:
		return log.With("conn", t.conn.id)
	case t.opening != nil:
		return log.With("conn", t.opening.Conn)
	}
	return log
}

// public returns the fault that a client gets for an error. It logs errors whose text
// clients must not see. It encodes metadata immediately, because that may be part of a
// state that changes.
func (t *Turn) public(err error) *host.Fault {
	if code, message, metadata, ok := known(t.in.def, err); ok {
		limit := t.in.def.Options.MaxMessage
		if size := len(code) + len(message); size > limit {
			return tooLargeFault("the error of "+t.what, size, limit)
		}
		if metadata == nil {
			return &host.Fault{Code: code, Message: message}
		}
		var raw json.RawMessage
		_, err = protect(func() (_ any, err error) {
			raw, err = jsonshape.Marshal(metadata)
			return nil, err
		})
		if err == nil && len(raw) > limit {
			return tooLargeFault("the metadata of "+code, len(raw), limit)
		}
		if err == nil && jsonshape.Depth(raw) > jsonshape.MaxDepth {
			return definition.TooDeepFault("the metadata of " + code)
		}
		if err == nil {
			return &host.Fault{Code: code, Message: message, Metadata: raw}
		}
		err = fmt.Errorf("encode the metadata of %s: %w", code, err)
	}
	err = notNil(err)
	attrs := []any{"error", err}
	var p *panicError
	if errors.As(err, &p) {
		attrs = append(attrs, "stack", string(p.stack))
	}
	t.logger().Error("turn failed", attrs...)
	return t.in.actor.node.internalFault(t.what, err)
}

// notNil explains an error that is a nil pointer in an interface: its text would be
// "<nil>".
func notNil(err error) error {
	if v := reflect.ValueOf(err); v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Errorf("a nil %T was returned as an error, which makes the error not nil: return nil itself", err)
	}
	return err
}

// hook runs an optional hook inside the turn. If it fails, so does the turn.
func (t *Turn) hook(name string) error {
	h := t.in.def.Hooks[name]
	if h == nil {
		return nil
	}
	_, err := t.run(func() (any, error) { return h.Call(t.in.state.value, t, nil) })
	return err
}

// hookApart runs an optional hook about a connection inside the turn. If the hook fails,
// only its own changes are undone. before and after are the JSON of the state's scalar
// fields before and after it.
func (t *Turn) hookApart(name string, c *Conn, before []byte) (after []byte) {
	if t.in.def.Hooks[name] == nil {
		return before
	}
	what, conn, readOnly := t.what, t.conn, t.readOnly
	t.setLabel(name)
	t.conn, t.readOnly = c, false
	s, changes := t.savepoint(), t.in.state.changes()
	t.out.seal()
	err := t.hook(name)
	if err == nil {
		after, err = t.in.state.encode()
	}
	if err == nil {
		err = t.in.state.checkDepth(after)
	}
	if err != nil {
		_ = t.public(err) // for its log line
		t.rollback(s)
		t.in.tables.apart(func() { t.in.state.undoTo(before, changes) }) // OnRestore must not change them
		after = before
	}
	t.setLabel(what)
	t.conn, t.readOnly = conn, readOnly
	return after
}

// outcome is the result of a turn before it is applied.
type outcome struct {
	result  json.RawMessage
	err     *host.Fault // nil if the turn succeeded
	cause   error       // of err, with what clients do not see
	scalars []byte      // the JSON of the state's scalar fields after it
	changed bool        // the state differs from the last one
	items   bool        // tables have changed
}

// execute runs the body of the turn and its OnDisconnect hooks, undoes the turn if it
// failed, and ends it. ok is false if the instance was abandoned meanwhile.
func (t *Turn) execute(body func() (any, error)) (o outcome, ok bool) {
	in := t.in
	if in.actor.node.check && !in.state.same() {
		in.actor.logger().Error("the state changed outside a turn; use c.Self().Do from other goroutines")
		in.state.undo()
	}
	in.state.allow(!t.readOnly)
	in.tables.begin(t)
	result, err := t.run(body)
	scalars := in.state.base
	if err == nil && len(t.ended) > 0 && !t.readOnly && t.ending == nil && !t.destroyed {
		scalars, err = in.state.encode() // a state that cannot be encoded fails the action, not the hook
		if err == nil {
			err = in.state.checkSize(scalars, t.bounded) // here, because what the hooks add passes
		}
	}
	if err == nil {
		for i := 0; i < len(t.ended) && !t.destroyed; i++ { // a hook may end more
			if c := t.ended[i]; !c.over {
				scalars = t.hookApart("OnDisconnect", c, scalars)
			}
		}
		o.result, err = t.encodeResult(result)
	}
	o.scalars = in.state.base
	if err == nil && !t.readOnly && !t.destroyed {
		if o.scalars, err = in.state.encode(); err == nil {
			o.items = in.tables.changed()
			if o.changed = in.state.changed(o.scalars); o.changed {
				err = in.state.checkSize(o.scalars, t.bounded && len(t.ended) == 0)
			}
			if err == nil && o.changed {
				err = in.state.checkDepth(o.scalars)
			}
			if err == nil && o.changed && in.actor.node.check {
				err = in.state.checkRoundTrip(o.scalars)
			}
		}
	}
	if err != nil {
		o = outcome{err: t.public(err), cause: err, scalars: in.state.base}
		t.rollback(savepoint{})
		if !t.readOnly || in.actor.node.check {
			in.tables.apart(in.state.undo) // likewise
		}
	}
	in.state.allow(false)
	in.tables.end()
	if !t.end() {
		return o, false
	}
	in.actor.node.stats.turn(t, o.err)
	return o, true
}

// encodeResult returns the JSON of an action's result, nil if there is none.
func (t *Turn) encodeResult(result any) (json.RawMessage, error) {
	if result == nil {
		return nil, nil
	}
	var b []byte
	_, err := protect(func() (_ any, err error) {
		b, err = jsonshape.Encode(result)
		return nil, err
	})
	if err != nil {
		return nil, fmt.Errorf("encode the result of %s: %w", t.what, err)
	}
	if err := t.checkSent(result, b); err != nil {
		return nil, fmt.Errorf("the result of %s: %w", t.what, err)
	}
	if jsonshape.TooDeep(reflect.TypeOf(result), b) {
		return nil, definition.TooDeepFault("the result of " + t.what)
	}
	if limit := t.in.def.Options.MaxMessage; len(b) > limit {
		return nil, tooLargeFault("the result of "+t.what, len(b), limit)
	}
	return b, nil
}

// checkSent finds, in check mode, strings in events and results that are not among the
// values of their union, and integers that are other numbers in JavaScript.
func (t *Turn) checkSent(v any, data []byte) error {
	if !t.in.actor.node.check {
		return nil
	}
	if s, ok := t.in.def.Sent[reflect.TypeOf(v)]; ok {
		if err := s.Check(data); err != nil {
			return err
		}
	}
	return jsonshape.CheckNumbers(data)
}
