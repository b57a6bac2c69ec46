package host

import (
	"context"
	"encoding/json"
)

// Host is the owner of actors, as gateways see it: *runtime.Node, or a client of one on
// another machine.
//
// All methods may be called at the same time. Only CallOnce, Create and Resolve wait for
// the actor, until their context ends. The others enqueue a request and return, so a
// socket's reader may call them. Requests of one attachment keep their order.
// Every error is a *Fault, or that of the context.
type Host interface {
	// Follow returns the log of an actor, or a copy of it, and notifies f of new outputs
	// until Unfollow with the same arguments. It does not load the actor. The codes of its
	// faults are unknown_actor, bad_key, overloaded and shutdown.
	Follow(ref Ref, f Follower) (*Log, error)
	Unfollow(ref Ref, f Follower)

	// Open requests a connection. The answer is an OutputOpened or OutputClosed to its
	// attachment in the log, which must be followed before. An error means that the
	// request did not reach the actor.
	Open(ref Ref, r OpenRequest) error

	// Refresh gives a connection new params. Only a refusal has an answer, see
	// RefreshRequest. Errors are as in Open.
	Refresh(ref Ref, r RefreshRequest) error

	// Subscribe runs OnAccess and CanSubscribe for a connection. The answer is an OutputSubscribed or
	// OutputClosed to its attachment. Errors are as in Open.
	Subscribe(ref Ref, r SubscribeRequest) error

	// Call runs an action for a connection. The answer is an output, see CallRequest.
	// Errors are as in Open.
	Call(ref Ref, r CallRequest) error

	// Ack reports that the client has the answers of all calls of an attachment up to ack.
	// It may be dropped; then the answers are kept for longer.
	Ack(ref Ref, attachment Attachment, ack uint64)

	// Detach reports that the socket of an attachment is gone. The client may resume the
	// connection within its resume window.
	Detach(ref Ref, attachment Attachment)

	// Close ends the connection of an attachment.
	Close(ref Ref, attachment Attachment)

	// CallOnce runs an action without a connection and returns its result as JSON, nil
	// if the action returns nothing. If ctx ends, the call may still run. The code is
	// maybe_ran if the action ran and the store does not answer.
	CallOnce(ctx context.Context, ref Ref, c DirectCall) (json.RawMessage, error)

	// Create makes an actor, with input for OnCreate, and returns its id. The code is exists
	// if the actor exists.
	Create(ctx context.Context, ref Ref, input json.RawMessage, who Identity) (id string, err error)

	// Find returns the full address of an existing actor to a client: name, key and id. The
	// code is not_found if it does not exist.
	Find(ctx context.Context, ref Ref, who Identity) (Ref, error)

	// Resolve is Find for the gateway itself, which needs the name and key of an actor to
	// authenticate a client. OnAccess does not run.
	Resolve(ctx context.Context, ref Ref) (Ref, error)
}

// Definitions has the part of a host that depends only on the definitions of actors. A
// gateway uses the definitions of its own process, wherever the actors are. All methods
// may be called at the same time.
type Definitions interface {
	// Authenticates reports whether the actor definition of that name has an OnAuth;
	// with an empty name, whether any has.
	Authenticates(name string) bool

	// Authenticate runs OnAuth of the actor with ref's name and key for a request, and
	// returns its result for the requests of a Host; the zero Identity if the actor has no
	// OnAuth. It waits for OnAuth at most for the definition's ConnectTimeout or until ctx
	// ends. The error is a *Fault, or that of ctx.
	Authenticate(ctx context.Context, ref Ref, r AuthRequest) (Identity, error)

	// Guards reports whether the actor definition of that name has an OnAccess or a
	// CanSubscribe; with an empty name, whether any has. Without one, skip Subscribe, and Subs in Open and
	// Refresh.
	Guards(name string) bool

	// Emits reports whether the actor definition of that name has the event.
	Emits(name, event string) bool
}
