package runtime

import (
	"context"
	"errors"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
)

// Authenticates implements host.Definitions.
func (n *Node) Authenticates(name string) bool {
	return n.defs.Any(name, func(d *definition.Definition) bool { return d.Auth != nil })
}

// Authenticate runs OnAuth for a request to the actor with r's name and key, and returns
// its result; the zero Identity if the actor has no OnAuth. It returns within the
// definition's ConnectTimeout, even if OnAuth does not. The error is a *host.Fault, or that
// of ctx.
func (n *Node) Authenticate(ctx context.Context, r host.Ref, q host.AuthRequest) (who host.Identity, err error) {
	d := n.defs[r.Name]
	if d == nil || d.Auth == nil {
		return who, nil // the request itself reports an unknown actor
	}
	if jsonshape.Depth(q.Params) > jsonshape.MaxDepth {
		return who, definition.TooDeepFault("params")
	}
	asked := n.disconnected.moment()
	hooked, cancel := context.WithTimeout(ctx, d.Options.ConnectTimeout)
	defer cancel()
	who, err = n.runAuth(hooked, d, r, q)
	who.Asked = asked
	if err == nil || ctx.Err() != nil {
		return who, err
	}
	if errors.Is(err, context.DeadlineExceeded) && hooked.Err() != nil {
		return who, timeLimitFault("OnAuth", d.Options.ConnectTimeout, "actor.Options.ConnectTimeout")
	}
	if code, message, metadata, ok := known(d, err); ok {
		f := &host.Fault{Code: code, Message: message}
		if metadata != nil {
			f.Metadata, _ = jsonshape.Marshal(metadata) // metadata that cannot be encoded is left out
		}
		return who, f
	}
	err = notNil(err)
	attrs := []any{"actor", r.Name, "key", r.Key.String(), "error", err}
	var p *panicError
	if errors.As(err, &p) {
		attrs = append(attrs, "stack", string(p.stack))
	}
	n.log.Error("OnAuth failed", attrs...)
	return who, n.internalFault("OnAuth", err)
}

// runAuth runs OnAuth on a zero value and returns when it does, or when ctx ends. An
// OnAuth that does not return keeps its permit.
func (n *Node) runAuth(ctx context.Context, d *definition.Definition, r host.Ref, q host.AuthRequest) (who host.Identity, err error) {
	permit := make(chan struct{})
	cancel := n.authPermits.Acquire(d.Name, q.From, func() { close(permit) })
	select {
	case <-permit:
	case <-ctx.Done():
		if !cancel() {
			n.authPermits.Release(d.Name)
		}
		return who, ctx.Err()
	}
	type answer struct {
		who host.Identity
		err error
	}
	answered := make(chan answer, 1)
	run := func() {
		defer n.authPermits.Release(d.Name)
		var a answer
		_, a.err = protect(func() (any, error) {
			result, err := d.Authenticate(ctx, r, q)
			if err != nil {
				return nil, err
			}
			a.who, err = IdentityOf(result)
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
		n.authPermits.Release(d.Name)
		return who, errShutdown
	}
	select {
	case a := <-answered:
		if a.err != nil {
			return who, a.err
		}
		return a.who, nil
	case <-ctx.Done():
		return who, ctx.Err()
	}
}
