package actor

import (
	"encoding/json"
	"iter"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/runtime"
)

// Door is the kind of a request, as OnAccess sees it.
type Door string

// The doors to an actor. OnAccess guards all of them.
const (
	DoorConnect   = Door(runtime.DoorConnect)   // open a connection
	DoorResume    = Door(runtime.DoorResume)    // give a connection a new socket
	DoorRefresh   = Door(runtime.DoorRefresh)   // give a connection new params
	DoorSubscribe = Door(runtime.DoorSubscribe) // receive an event over a connection
	DoorCall      = Door(runtime.DoorCall)      // run an action, with a connection or without
	DoorCreate    = Door(runtime.DoorCreate)    // make the actor; a request that gets or creates it asks this before its own door
	DoorResolve   = Door(runtime.DoorResolve)   // find out whether the actor exists, and its id
)

// AccessContext is the parameter of OnAccess. Like a Context, use it only in its turn. Auth
// returns who makes the request.
type AccessContext struct{ turn *runtime.Turn }

func (c *AccessContext) bind(t *runtime.Turn)                       { c.turn = t }
func (c *AccessContext) identity() (*runtime.Turn, json.RawMessage) { return c.turn, c.turn.Auth() }

// Door returns the kind of the request.
func (c *AccessContext) Door() Door { return Door(c.turn.Access().Door) }

// Action returns the name of the action to run, as clients write it; "" at other doors than
// DoorCall. There may be no such action.
func (c *AccessContext) Action() string { return c.turn.Access().Action }

// Event returns the name of the event to receive, as clients write it; "" at other doors
// than DoorSubscribe.
func (c *AccessContext) Event() string { return c.turn.Access().Event }

// Params decodes the params of the client's connection into the value that into points to.
// It reports false if there are none, or if they do not fit.
func (c *AccessContext) Params(into any) bool {
	return decodes(c.turn.ClientParams(), into)
}

// Input decodes the input of an actor to be made, at DoorCreate, into the value that into
// points to. It reports false if there is none, or if it does not fit.
func (c *AccessContext) Input(into any) bool {
	return decodes(c.turn.Access().Input, into)
}

func decodes(raw json.RawMessage, into any) bool {
	return len(raw) > 0 && json.Unmarshal(raw, into) == nil
}

// Exists reports whether the actor exists. If not, OnAccess runs on the zero value of the
// state.
func (c *AccessContext) Exists() bool { return c.turn.Exists() }

// HasConn reports whether the request is that of a connection which exists.
func (c *AccessContext) HasConn() bool { return c.turn.HasConn() }

// Conn returns the connection that makes the request. Its state is of the actor's connection
// state type. Without one (see HasConn) it ends the turn with connection_required.
func (c *AccessContext) Conn() *Conn[any] { return &Conn[any]{c.turn, c.turn.Conn()} }

// Conns returns the actor's connections, as Context.Conns does. The states are those of the
// actor's connection state type.
func (c *AccessContext) Conns() iter.Seq[*Conn[any]] { return conns[any](c.turn) }

// Name returns the name of the actor's definition.
func (c *AccessContext) Name() string { return c.turn.Definition().Name }

// Key returns a copy of the actor's key.
func (c *AccessContext) Key() Key { return Key(slices.Clone(c.turn.Key())) }

// ActorID returns the actor's id, which follows from its name and key.
func (c *AccessContext) ActorID() string { return c.turn.ActorID() }

// Now returns the time at which the turn began.
func (c *AccessContext) Now() time.Time { return c.turn.Now() }

// Deadline implements context.Context: when the turn has to end.
func (c *AccessContext) Deadline() (time.Time, bool) { return c.turn.Deadline() }

// Done implements context.Context: it is closed when the turn ends, or at its deadline.
func (c *AccessContext) Done() <-chan struct{} { return c.turn.Done() }

// Err implements context.Context.
func (c *AccessContext) Err() error { return c.turn.Err() }

// Value implements context.Context. It has no values of yours.
func (c *AccessContext) Value(key any) any { return c.turn.Value(key) }
