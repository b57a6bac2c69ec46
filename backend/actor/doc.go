// Package actor is what an application's actors are written against. Package
// server serves them, package actortest runs them in a test.
//
// An actor is a Go struct. Its methods whose first parameter is an *[Context]
// are its actions, which clients call; its events are Go types, which it
// broadcasts or sends to single connections:
//
//	type Counter struct {
//		Value int `json:"value"`
//	}
//
//	type Changed struct {
//		Value int `json:"value"`
//	}
//
//	func (r *Counter) Add(c *actor.Context[actor.NoState], n int) (int, error) {
//		if n < 0 {
//			return 0, actor.Errorf("negative", "cannot add %d", n)
//		}
//		r.Value += n
//		c.Broadcast(Changed{r.Value})
//		return r.Value, nil
//	}
//
//	var Registry = actor.NewRegistry(
//		actor.Define[Counter]("counter", actor.Emits[Changed]()),
//	)
//
// A client then calls connection.add(2) and listens to "changed". Wire names are
// the Go names in lowerCamel. Values are on the wire as encoding/json has them, but
// a nil slice or map is sent as an empty one. Package typegen writes all of it as
// types for TypeScript.
//
// # Actors
//
// An actor is addressed by the name of its definition and a key: counter
// ["apples"]. It comes to life when it is first used, one goroutine each while it
// is awake, and leaves memory when nobody has used it for some time; its state is
// in the store. It is stored with the first turn that changes something.
//
// The exported fields of the struct are its state, kept as JSON. Fields that are
// unexported or tagged `json:"-"` are ephemeral: they live while the actor is
// awake, are not undone by a failed turn, and are gone when the actor is reset.
//
// What grows with an actor's history belongs into a [List] or a [Map]: of these only
// what changed is encoded and stored, while the other fields are encoded as a whole
// after each turn that may have changed them.
//
// # Turns
//
// A turn is one run of an action or a hook. Turns of one actor never overlap, so
// its methods need no locks, and calls of one connection run in their order (G1).
//
// A turn is a transaction (G7): if it returns an error, panics or takes too
// long, the state, the connection states, the events and the timers that it
// started are as if it had not run (a timer that it stopped stays stopped). If it
// succeeds, all that it changed becomes durable at once, and only then does
// anybody see its events and its result. Turns do not wait for the store; what
// they let out does.
//
// A method with a value receiver is a read-only action. It must not change
// anything, emit, or set a connection's state, and costs less for it.
//
// When the store fails, or a turn does not return, the actor is reset: it goes on
// from its last durable state, its ephemeral fields start anew, and OnStart runs.
//
// # Hooks
//
// Hooks are optional methods, found by name. S is the connection state's type, P
// that of the params, I that of the input; every error result may be left out.
//
//	OnCreate(c *Context[S], input I) error             the actor is new
//	OnStart(c *Context[S]) error                       it is in memory (again): start timers here
//	OnRestore()                                        the state was loaded or undone: rebuild what is derived from it, in ephemeral fields
//	OnBeforeConnect(c *ConnectContext, params P) error an error refuses the connection; runs again with new params
//	CreateConnState(c *ConnectContext, params P) (S, error)
//	OnConnect(c *Context[S]) error                     c.Conn() has joined; an error refuses it after all
//	OnDrop(c *Context[S]) error                        its socket is gone; it may come back
//	OnResume(c *Context[S]) error                      it is back
//	OnRefresh(c *Context[S]) error                     its client has passed params again, which count if this succeeds
//	OnDisconnect(c *Context[S]) error                  it is over, and no longer in c.Conns()
//	CanSubscribe(c *Context[S], event string) error    an error refuses c.Conn() an event; read-only: a value receiver
//	OnStop(c *Context[S]) error                        the actor leaves memory
//
// OnBeforeConnect, CreateConnState and OnConnect are one turn. After a restart of
// the server, OnResume and OnDisconnect may come without an OnDrop. An actor is
// stored with its first change by somebody else than these hooks: before that
// nobody can see what OnCreate and OnStart emit, and nothing of it stays.
//
// A client passes params anew with every resume, and for a refresh, which changes
// them without a disconnect. OnBeforeConnect and OnRefresh run then, in one turn
// (before OnResume), and CreateConnState does not: what of the params belongs into
// the connection's state OnRefresh puts there. An error of them ends the connection.
//
// # Authentication
//
//	OnAuth(ctx context.Context, r *AuthRequest) (A, error)
//
// identifies a client by the cookies and headers of its HTTP request and by its params.
// It runs before a connection is opened, resumed or refreshed, and before a call
// without a connection. It is called on a zero value, not in a turn, and may take as
// long as a connect hook. The turns that handle the request read its result with
// [Auth]. If it returns an error, the request ends there: an [Error] reaches the client,
// over HTTP unauthorized as 401 and forbidden as 403. The actor does not see the
// request, so a connection that fails to authenticate again ends with its resume window.
//
// Authorization is the actor's: OnBeforeConnect decides about connections, an action
// about its calls, with a connection or without, and CanSubscribe about events. It runs
// when a client subscribes, and for all its subscriptions when it passes new params. It
// may refuse with any code; forbidden is the usual one.
package actor
