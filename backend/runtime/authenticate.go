package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Authenticates reports whether the actors of a definition have an OnAuth; without
// a name, whether any have.
func (n *Node) Authenticates(name string) bool {
	return n.defs.Any(name, func(d *definition.Definition) bool { return d.Auth != nil })
}

// Authenticate asks the OnAuth of an actor, which is named by its name and key, who
// makes a request, and returns what it says as JSON; nil if the actor has none. It takes
// at most the ConnectTimeout of the definition, also if OnAuth does not return. The error
// is a *host.Fault, or that of ctx.
func (n *Node) Authenticate(ctx context.Context, r host.Ref, q host.AuthRequest) (json.RawMessage, error) {
	d := n.defs[r.Name]
	if d == nil || d.Auth == nil {
		return nil, nil // that there is no such actor is said by whoever needs it
	}
	hooked, cancel := context.WithTimeout(ctx, d.Options.ConnectTimeout)
	defer cancel()
	raw, err := n.runAuth(hooked, d, r, q)
	if err == nil || ctx.Err() != nil {
		return raw, err
	}
	if errors.Is(err, context.DeadlineExceeded) && hooked.Err() != nil {
		return nil, timeLimitFault("OnAuth", d.Options.ConnectTimeout, "actor.Options.ConnectTimeout")
	}
	if code, message, metadata, ok := known(d, err); ok {
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
func (n *Node) runAuth(ctx context.Context, d *definition.Definition, r host.Ref, q host.AuthRequest) (json.RawMessage, error) {
	select {
	case n.authPermits <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	type answer struct {
		raw json.RawMessage
		err error
	}
	answered := make(chan answer, 1)
	run := func() {
		defer func() { <-n.authPermits }()
		var a answer
		_, a.err = protect(func() (any, error) {
			result, err := d.Authenticate(ctx, r, q)
			if err != nil {
				return nil, err
			}
			if a.raw, err = jsonshape.Encode(result); err == nil && len(a.raw) > maxAuthBytes {
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
		<-n.authPermits
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
