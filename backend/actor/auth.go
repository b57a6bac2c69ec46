package actor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/wire"
)

// AuthRequest is what OnAuth decides by: the HTTP request of somebody who asks for
// a connection, or calls an action without one. Nothing in it is to be changed.
type AuthRequest struct {
	Actor  string // the name of the definition
	Key    Key    // of the actor
	Action string // that is to be called; empty if there is none: for a connection, or to make or find the actor

	// Header has the fields of the request, by canonical name. A WebSocket has
	// those with which it was opened, for as long as it lives: a cookie that was set
	// since is not among them.
	Header Header

	// RemoteAddr is the client's address, without a port; behind proxies that are
	// trusted (the flag -trusted-proxies) that of the client in front of them.
	RemoteAddr string

	// RawParams is what the client passed to connect(), or for a refresh, as JSON;
	// nil if that was nothing. See Params.
	RawParams json.RawMessage
}

// Params reads what the client passed to connect() into the value that into points
// to. It reports false if there is nothing or it does not fit.
func (r *AuthRequest) Params(into any) bool {
	return len(r.RawParams) > 0 && json.Unmarshal(r.RawParams, into) == nil
}

// Header has the fields of an HTTP request, by canonical name ("User-Agent"), as an
// http.Header has.
type Header map[string][]string

// Get returns the first value of a field, "" if there is none. The name may be
// written in any case.
func (h Header) Get(name string) string {
	for n, values := range h {
		if strings.EqualFold(n, name) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// Cookie returns the value of the first cookie of a name, "" if there is none.
func (h Header) Cookie(name string) string {
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			if n, value, ok := strings.Cut(strings.TrimSpace(pair), "="); ok && n == name {
				return strings.Trim(value, `"`)
			}
		}
	}
	return ""
}

// Auth returns what OnAuth has said of somebody: of a connection (of is a *Conn),
// or of whoever has asked for what is done in this turn (of is a *Context or a
// *ConnectContext), with or without a connection. T is the type that OnAuth
// returns; another one ends the turn.
//
// It is T's zero value where nobody has asked (a timer, OnStart), and for a
// connection that is not back since a restart of the server: so that should mean
// nobody. What is needed of a connection also then belongs into its state. It is
// decoded anew each time.
func Auth[T any](of interface {
	asker() (*turn, json.RawMessage)
}) T {
	t, raw := of.asker()
	var v T
	switch m := t.in.def.auth; {
	case m == nil:
		panic(fmt.Errorf("actor.Auth[%s]: %s has no OnAuth", reflect.TypeFor[T](), t.in.def.typ))
	case m.result != reflect.TypeFor[T]():
		panic(fmt.Errorf("actor.Auth[%s]: OnAuth of %s returns %s", reflect.TypeFor[T](), t.in.def.typ, m.result))
	case len(raw) == 0:
		return v
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		panic(fmt.Errorf("decode what OnAuth of %s has returned: %w", t.in.def.typ, err))
	}
	return v
}

func (t *turn) asker() (*turn, json.RawMessage) {
	t.use()
	_, auth := t.passed(t.conn)
	return t, auth
}

func (c *Conn[S]) asker() (*turn, json.RawMessage) {
	c.turn.use()
	_, auth := c.turn.passed(c.conn)
	return c.turn, auth
}

const authSignature = "OnAuth(ctx context.Context, r *actor.AuthRequest) (A, error)"

// setAuth takes a method as the definition's OnAuth.
func (d *Definition) setAuth(m *method) {
	want := []reflect.Type{reflect.TypeFor[context.Context](), reflect.TypeFor[*AuthRequest]()}
	if m.context != nil || len(m.args) != 2 || m.args[0] != want[0] || m.args[1] != want[1] || m.result == nil || !m.hasError {
		d.panicf("method OnAuth is a hook, but its signature is not that of one: want %s", authSignature)
	}
	if k := m.result.Kind(); k == reflect.Chan || k == reflect.Func || k == reflect.UnsafePointer || k == reflect.Interface {
		d.panicf("method OnAuth returns a %s: want a type that can be written as JSON and read again", m.result)
	}
	d.auth = m
}

// Authenticates reports whether the actors of a definition have an OnAuth; without
// a name, whether any have.
func (n *Node) Authenticates(name string) bool {
	return n.registry.some(name, func(d *Definition) bool { return d.auth != nil })
}

// Authenticate asks the OnAuth of an actor, which is named by its name and key, who
// makes a request, and returns what it says as JSON; nil if the actor has none. It takes
// at most the ConnectTimeout of the definition, also if OnAuth does not return. The error
// is a *host.Fault, or that of ctx.
func (n *Node) Authenticate(ctx context.Context, r host.Ref, q host.AuthRequest) (json.RawMessage, error) {
	d := n.registry.defs[r.Name]
	if d == nil || d.auth == nil {
		return nil, nil // that there is no such actor is said by whoever needs it
	}
	request := &AuthRequest{
		Actor: r.Name, Key: Key(r.Key), Action: q.Action,
		Header: q.Header, RemoteAddr: q.RemoteAddr, RawParams: q.Params,
	}
	hooked, cancel := context.WithTimeout(ctx, d.options.ConnectTimeout)
	defer cancel()
	raw, err := n.runAuth(hooked, d, request)
	if err == nil || ctx.Err() != nil {
		return raw, err
	}
	if errors.Is(err, context.DeadlineExceeded) && hooked.Err() != nil {
		return nil, overTime("OnAuth", d.options.ConnectTimeout, "actor.Options.ConnectTimeout")
	}
	if code, message, metadata, ok := known(err); ok {
		f := &host.Fault{Code: code, Message: message}
		if metadata != nil {
			f.Metadata, _ = json.Marshal(metadata) // what cannot be encoded is left out
		}
		return nil, f
	}
	attrs := []any{"actor", r.Name, "key", r.Key.String(), "error", err}
	var p *panicError
	if errors.As(err, &p) {
		attrs = append(attrs, "stack", string(p.stack))
	}
	n.log.Error("OnAuth failed", attrs...)
	return nil, host.Faultf(wire.CodeInternal, "the request could not be authenticated; the server's log has the cause")
}

// runAuth runs an OnAuth, on a zero value. It returns when that does, or ctx ends.
// One that does not return keeps its place among those that may run.
func (n *Node) runAuth(ctx context.Context, d *Definition, q *AuthRequest) (json.RawMessage, error) {
	select {
	case n.asking <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	type answer struct {
		raw json.RawMessage
		err error
	}
	answered := make(chan answer, 1)
	run := func() {
		defer func() { <-n.asking }()
		var a answer
		_, a.err = protect(func() (any, error) {
			out := d.auth.fn.Call([]reflect.Value{reflect.New(d.typ), reflect.ValueOf(ctx), reflect.ValueOf(q)})
			if err, _ := out[1].Interface().(error); err != nil {
				return nil, err
			}
			var err error
			if a.raw, err = jsonshape.Encode(out[0].Interface()); err == nil && len(a.raw) > maxAuthBytes {
				err = fmt.Errorf("its result has %d bytes of JSON, and is kept with each connection: want at most %d", len(a.raw), maxAuthBytes)
			}
			return nil, err
		})
		answered <- a
	}
	n.mu.Lock()
	closed := n.closed
	if !closed {
		n.wait.Go(run)
	}
	n.mu.Unlock()
	if closed {
		<-n.asking
		return nil, errShutdown
	}
	select {
	case a := <-answered:
		if a.err != nil {
			return nil, a.err
		}
		return a.raw, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
