package actor

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/troupe-dev/troupe/backend/runtime"
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
	identity() (*runtime.Turn, json.RawMessage)
}) T {
	t, raw := of.identity()
	var v T
	def := t.Definition()
	switch m := def.Auth; {
	case m == nil:
		panic(fmt.Errorf("actor.Auth[%s]: %s has no OnAuth", reflect.TypeFor[T](), def.Type))
	case m.Result != reflect.TypeFor[T]():
		panic(fmt.Errorf("actor.Auth[%s]: OnAuth of %s returns %s", reflect.TypeFor[T](), def.Type, m.Result))
	case len(raw) == 0:
		return v
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		panic(fmt.Errorf("decode what OnAuth of %s has returned: %w", def.Type, err))
	}
	return v
}
