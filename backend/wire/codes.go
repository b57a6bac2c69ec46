package wire

// Code is the stable, snake_case name of an error. Actions add their own
// (actor.Errorf); those in the table below belong to Troupe.
type Code = string

// Codes of failed calls, of closed channels and of errors. Reconnects says
// which of them, as the code of a closed message, ask the
// client to open again.
const (
	// The request.
	CodeMalformed      Code = "malformed"       // not a message: not an object, or a field of the wrong type
	CodeUnknownType    Code = "unknown_type"    // a message type that this version does not know
	CodeUnknownChannel Code = "unknown_channel" // a message for a channel that is not open
	CodeChannelInUse   Code = "channel_in_use"  // an open on a channel that was opened before on this socket
	CodeBadKey         Code = "bad_key"         // a key that is missing, too long or not an array of strings
	CodeBadSecret      Code = "bad_secret"      // k or caller is not 128 bits in base64url
	CodeUnknownActor   Code = "unknown_actor"   // no actor definition of that name
	CodeUnknownAction  Code = "unknown_action"  // the actor has no such action
	CodeUnknownEvent   Code = "unknown_event"   // the actor emits no such event
	CodeInvalidArgs    Code = "invalid_args"    // too few, too many, or an argument of the wrong type
	CodeInvalidParams  Code = "invalid_params"  // params do not fit the actor's params type
	CodeInvalidInput   Code = "invalid_input"   // input does not fit the actor's input type
	CodeNotFound       Code = "not_found"       // the actor does not exist, and was not to be created
	CodeUnknownSocket  Code = "unknown_socket"  // over HTTP: the socket does not exist, or no longer
	CodeOutOfOrder     Code = "out_of_order"    // over HTTP: a post or a poll with the wrong number
	CodeExists         Code = "exists"          // the actor exists, and was to be created
	CodeUnauthorized   Code = "unauthorized"    // not authenticated: sign in, or sign in again
	CodeForbidden      Code = "forbidden"       // not allowed
	CodeBadOrigin      Code = "bad_origin"      // a page of another origin that is not allowed

	// Limits.
	CodeTooLarge        Code = "too_large"         // a message, params, or a result over its limit; metadata: size, limit, option
	CodeRateLimited     Code = "rate_limited"      // too many messages, calls or sockets per second; metadata: limit, option, retryAfterMs
	CodeOverloaded      Code = "overloaded"        // too much waits: for an actor, for a client, or in total; metadata: limit, option
	CodeTooManySockets  Code = "too_many_sockets"  // too many sockets from one address; metadata: limit, option, retryAfterMs
	CodeTooManyChannels Code = "too_many_channels" // over the number of channels on one socket
	CodeTooDeep         Code = "too_deep"          // arrays and objects nested too deep; metadata: limit, option

	// Actors.
	CodeInternal           Code = "internal_error"      // the action failed unexpectedly; the server's log has the cause
	CodeTimeout            Code = "timeout"             // the action took too long; it had no effect
	CodeUnavailable        Code = "unavailable"         // the actor could not save its state; the call had no effect
	CodeReadOnly           Code = "read_only"           // a read-only action tried to change something
	CodeConnectionRequired Code = "connection_required" // the action needs a connection, the call had none
	CodeStateIncompatible  Code = "state_incompatible"  // the stored state does not fit this version of the actor
	CodeRan                Code = "ran"                 // the call ran earlier; its result is no longer kept

	CodeIdempotencyMismatch Code = "idempotency_mismatch" // the Idempotency-Key was used for another action or other arguments

	// Connections.
	CodeReplaced     Code = "replaced"     // the connection was opened again elsewhere
	CodeDisconnected Code = "disconnected" // the actor ended the connection
	CodeDestroyed    Code = "destroyed"    // the actor was destroyed, with its connections; as the error of a call: the call did not run
	CodeIdentity     Code = "identity"     // who the client is has changed, or is to be found out again
	CodeSlow         Code = "slow"         // the reader did not keep up
	CodeShutdown     Code = "shutdown"     // the server is going away
	CodeMoved        Code = "moved"        // another server runs the actor now; what was not answered did not reach it there

	// Made by the client, never sent.
	CodeNotSent  Code = "not_sent"  // the call was given up before it was sent: it did not run
	CodeMaybeRan Code = "maybe_ran" // the call was given up without an answer: it may have run; from the server, its store does not answer
	CodeAborted  Code = "aborted"   // metadata only: why a call was given up
	CodeLink     Code = "link"      // the socket could not be opened or was lost; lifecycle event error
	CodeProtocol Code = "protocol"  // the server sent a message that this client does not understand
)

// Reconnects has the codes of closed messages after which the client should open
// again. It should not after any other code, such as an actor's own from
// OnBeforeConnect.
var Reconnects = map[Code]bool{
	CodeUnavailable: true,
	CodeOverloaded:  true,
	CodeRateLimited: true,
	CodeSlow:        true,
	CodeIdentity:    true,
	CodeShutdown:    true,
	CodeMoved:       true,
	CodeTimeout:     true,
	CodeInternal:    true,
}

// Reasons why a connection did not get all events that it missed.
const (
	ReasonRestart  = "restart"  // another log: the server lost or replaced its data
	ReasonExpired  = "expired"  // away for longer than the resume window
	ReasonOverflow = "overflow" // the log kept less than what was missed
	ReasonIdentity = "identity" // the connection was that of another client; this is a new one
	ReasonSlow     = "slow"     // cut off as too slow, and the log moved past it
)
