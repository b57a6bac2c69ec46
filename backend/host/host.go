package host

import (
	"context"
	"encoding/json"
)

// Host is what a gateway needs of the owner of actors: *runtime.Node, or something that
// speaks to one on another machine.
//
// All methods may be called at the same time. Only CallOnce, Create and Resolve wait:
// for the actor, until their context ends. The others hand a request over and return,
// so a socket's reader may call them. Requests of one attachment keep their order.
// Every error is a *Fault, or that of the context.
type Host interface {
	// Follow returns the log of an actor, here or a copy, and tells f of its new
	// outputs until Unfollow with the same arguments. It does not load the actor. The
	// codes of its faults are unknown_actor, bad_key, overloaded and shutdown.
	Follow(ref Ref, f Follower) (*Log, error)
	Unfollow(ref Ref, f Follower)

	// Open asks for a connection. An OutputOpened or OutputClosed to its attachment
	// answers, in the log, which the caller follows already. An error means that the
	// request did not reach the actor.
	Open(ref Ref, r OpenRequest) error

	// Refresh gives a connection new params. Only a refusal is answered, see
	// RefreshRequest. The error is as in Open.
	Refresh(ref Ref, r RefreshRequest) error

	// Subscribe asks whether a connection may subscribe to events. An
	// OutputSubscribed or OutputClosed to its attachment answers. The error is as in
	// Open.
	Subscribe(ref Ref, r SubscribeRequest) error

	// Call runs an action for a connection. Outputs of the log answer, see
	// CallRequest. The error is as in Open.
	Call(ref Ref, r CallRequest) error

	// Ack says that the client has the answers of all calls of an attachment up to
	// ack. It may be lost: then the answers are kept for longer.
	Ack(ref Ref, attachment Attachment, ack uint64)

	// Detach says that the socket of an attachment is gone. The connection may come
	// back within its resume window.
	Detach(ref Ref, attachment Attachment)

	// Close ends the connection of an attachment.
	Close(ref Ref, attachment Attachment)

	// CallOnce runs an action without a connection and returns its result as JSON, nil
	// if the action returns nothing. If ctx ends, the call may still run.
	CallOnce(ctx context.Context, ref Ref, c DirectCall) (json.RawMessage, error)

	// Create makes an actor, with input for OnCreate, and returns its id. auth is what
	// OnAuth said, as in OpenRequest. The code is exists if there is one.
	Create(ctx context.Context, ref Ref, input, auth json.RawMessage) (id string, err error)

	// Resolve returns the whole address of an actor that exists, with name, key and id.
	// The code is not_found if it does not exist.
	Resolve(ctx context.Context, ref Ref) (Ref, error)
}

// Definitions answers what follows from the definitions of actors alone. A gateway asks
// the definitions of its own process, wherever the actors are. All methods may be called
// at the same time.
type Definitions interface {
	// Authenticates reports whether the actor definition of that name has an OnAuth;
	// with an empty name, whether any has.
	Authenticates(name string) bool

	// Authenticate asks the OnAuth of the actor with ref's name and key who makes a
	// request, and returns the answer for Open, Refresh, CallOnce and Create: JSON, nil
	// if the actor has no OnAuth. It waits for OnAuth, but not longer than the
	// definition's ConnectTimeout or until ctx ends. The error is a *Fault, or that of
	// ctx.
	Authenticate(ctx context.Context, ref Ref, r AuthRequest) (json.RawMessage, error)

	// Guards reports whether the actor definition of that name has a CanSubscribe; with
	// an empty name, whether any has. For one without, Subscribe need not be called, and
	// Open and Refresh need no Subs.
	Guards(name string) bool

	// Emits reports whether the actor definition of that name has the event.
	Emits(name, event string) bool
}
