package gateway

import (
	"context"
	"encoding/json"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
)

var _ Port = (*actor.Node)(nil)

// Port is what a gateway needs of the owner of actors: *actor.Node, or on
// another machine something that speaks to one. No method but Authenticate,
// CallOnce, Create and Resolve waits for anything, so a socket's reader may call them. Messages of
// one attachment keep their order.
type Port interface {
	// Follow returns the log of an actor (here or a copy) and tells f of its new
	// outputs until Unfollow. It does not load the actor. The error is an
	// *host.Fault: unknown_actor or bad_key.
	Follow(ref host.Ref, f host.Follower) (*host.Log, error)
	Unfollow(ref host.Ref, f host.Follower)

	// Open asks for a connection; an OutputOpened or OutputClosed to its
	// attachment answers. The error, an *host.Fault, is for a request that does
	// not reach the actor.
	Open(ref host.Ref, r host.OpenRequest) error

	// Authenticates reports whether the actor definition of that name has an OnAuth;
	// without a name, whether any has.
	Authenticates(name string) bool

	// Authenticate asks the actor's OnAuth who makes a request, and returns what
	// Open, Refresh, CallOnce and Create need of that: nil if it has none. It waits,
	// but not for long.
	Authenticate(ctx context.Context, ref host.Ref, r actor.AuthRequest) (json.RawMessage, error)

	// Guards reports whether the actor definition of that name has a CanSubscribe;
	// without a name, whether any has. For those that have not, Subscribe need not be
	// called, and Open and Refresh need no Subs.
	Guards(name string) bool

	// Subscribe asks whether a connection may subscribe to events; an
	// OutputSubscribed or OutputClosed to its attachment answers. The error is like
	// that of Open.
	Subscribe(ref host.Ref, r host.SubscribeRequest) error

	// Refresh gives a connection new params; an OutputClosed to its attachment
	// answers if they are refused. The error is like that of Open.
	Refresh(ref host.Ref, r host.RefreshRequest) error

	// Call runs an action for a connection; outputs of the log answer. The error
	// is like that of Open.
	Call(ref host.Ref, r host.CallRequest) error

	// Ack says that every call up to ack has been answered.
	Ack(ref host.Ref, attachment, ack uint64)

	// Detach says that the socket is gone; the connection may come back.
	Detach(ref host.Ref, attachment uint64)

	// Close says that the connection is over.
	Close(ref host.Ref, attachment uint64)

	// CallOnce runs an action without a connection. A nil result means that the
	// action returns nothing.
	CallOnce(ctx context.Context, ref host.Ref, c host.SingleCall) (json.RawMessage, error)

	// Create makes an actor; code exists if there is one.
	Create(ctx context.Context, ref host.Ref, input, auth json.RawMessage) (id string, err error)

	// Resolve returns the id of an actor that exists; code not_found otherwise.
	Resolve(ctx context.Context, ref host.Ref) (id string, err error)

	// Emits reports whether the actor definition of that name has the event.
	Emits(name, event string) bool
}
