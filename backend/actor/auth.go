package actor

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/troupe-dev/troupe/backend/runtime"
)

// AuthRequest is the input of OnAuth: the HTTP request of a client that opens a
// connection, or calls an action without one.
type AuthRequest struct {
	Actor  string // the name of the definition
	Key    Key    // of the actor
	Action string // the action to call; empty for a connection, or to create or find the actor

	// Header has the fields of the request, by canonical name. For a WebSocket these are
	// the fields of the request that opened it, without cookies that were set later.
	Header Header

	// RemoteAddr is the client's address, without a port. Behind trusted proxies (the
	// flag -trusted-proxies) it is that of the client before the proxies.
	RemoteAddr string

	// RawParams has the params that the client passed to connect() or refresh(), as
	// JSON; nil if there are none. See Params.
	RawParams json.RawMessage
}

// Params decodes the client's params into the value that into points to. It reports
// false if there are none, or if they do not fit.
func (r *AuthRequest) Params(into any) bool {
	return len(r.RawParams) > 0 && json.Unmarshal(r.RawParams, into) == nil
}

// Header has the fields of an HTTP request, by canonical name ("User-Agent"), as an
// http.Header has.
type Header map[string][]string

// cloneHeader copies a header, which other connections of the same socket share.
func cloneHeader(h map[string][]string) Header {
	own := make(Header, len(h))
	for name, values := range h {
		own[name] = slices.Clone(values)
	}
	return own
}

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

// Auth returns the result of OnAuth for a connection (of is a *Conn), or for the
// client whose request this turn handles (of is a *Context or a *ConnectContext), with
// or without a connection. T must be the type that OnAuth returns; another one ends the
// turn with an error.
//
// Auth returns T's zero value in a turn without a client (a timer, OnStart), and for a
// connection that has not been resumed since the server restarted. So let the zero value
// mean "no identity", and keep what you need in the connection's state. Each call decodes
// the value again.
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
		panic(fmt.Errorf("decode the OnAuth result of %s: %w", def.Type, err))
	}
	return v
}
