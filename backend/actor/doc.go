// Package actor is the API for writing actors. Package server serves them, package
// actortest runs them in a test.
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
// the Go names in lowerCamel. Values are encoded as encoding/json encodes them, but
// a nil slice or map is sent as an empty one. Package typegen generates the TypeScript
// types of all this.
//
// # Actors
//
// An actor is addressed by the name of its definition and a key: counter
// ["apples"]. It is loaded when it is first used, has one goroutine while it is awake,
// and leaves memory when it has been idle for some time; its state is in the store. It
// is stored with the first turn that changes something.
//
// The exported fields of the struct are its state, kept as JSON. Fields that are
// unexported or tagged `json:"-"` are ephemeral: they live while the actor is
// awake, are not undone by a failed turn, and are gone when the actor is reset.
//
// A value in a field of type any, or in a map[string]any, changes its type when the state
// is loaded again or a failed turn is undone: an int becomes a float64, a struct a map.
// Use a type that says what is in it; with the flag -check the turn fails and the log names
// the field. In a result or an event, an int64 beyond 2^53 is another number in JavaScript:
// tag it `json:",string"`; -check finds that, too.
//
// Put data that grows with an actor's history into a [List] or a [Map]: only their
// changes are encoded and stored, while the other fields are encoded as a whole after
// each turn that may have changed them.
//
// # Turns
//
// A turn is one run of an action or a hook. Turns of one actor never overlap, so
// its methods need no locks, and calls of one connection run in their order (G1).
//
// A turn is a transaction (G7): if it returns an error, panics or takes too
// long, the state, the connection states, the events, the messages and the timers that it
// started are as if it had not run (a timer that it stopped stays stopped). If it
// succeeds, all its changes become durable together, and only then are its events and
// its result sent. Turns do not wait for the store; their output does.
//
// A method with a value receiver is a read-only action. It must not change
// anything, emit, or set a connection's state, and costs less for it.
//
// When the store fails, or a turn does not return, the actor is reset: it continues from
// its last durable state with fresh ephemeral fields, and OnStart runs.
//
// # Hooks
//
// Hooks are optional methods, found by name. S is the connection state's type, P
// that of the params, I that of the input; every error result is optional.
//
//	OnCreate(c *Context[S], input I) error             the actor is new
//	OnStart(c *Context[S]) error                       it is in memory (again): start timers here
//	OnRestore()                                        the state was loaded or undone: rebuild what is derived from it, in ephemeral fields
//	OnBeforeConnect(c *ConnectContext, params P) error an error refuses the connection; runs again with new params
//	CreateConnState(c *ConnectContext, params P) (S, error)
//	OnConnect(c *Context[S]) error                     c.Conn() has joined; an error refuses the connection
//	OnDrop(c *Context[S]) error                        its socket is gone; its client may resume it
//	OnResume(c *Context[S]) error                      its client has resumed it
//	OnRefresh(c *Context[S]) error                     its client has passed new params, which apply if this succeeds
//	OnDisconnect(c *Context[S]) error                  it is over, and no longer in c.Conns()
//	OnAccess(c *AccessContext) error                   an error refuses a client's request, whichever it is; read-only: a value receiver
//	CanSubscribe(c *Context[S], event string) error    an error refuses c.Conn() an event; read-only: a value receiver
//	OnStop(c *Context[S]) error                        the actor leaves memory
//
// OnBeforeConnect, CreateConnState and OnConnect are one turn. What it sends to the new
// connection alone is not stored: a client that does not receive all of it before the
// server ends joins again, and OnConnect runs again. After a restart of
// the server, OnResume and OnDisconnect may run without an OnDrop. An actor is stored
// with the first change made by a turn other than OnCreate and OnStart. Before that
// it has no readers, so events of OnCreate and OnStart are dropped.
//
// A client passes params again with every resume, and with a refresh, which changes them
// without a disconnect. OnBeforeConnect and OnRefresh run then, in one turn (before
// OnResume). CreateConnState does not: copy params into the connection's state in
// OnRefresh. An error of either hook ends the connection.
//
// # Messages
//
// [Context.Schedule] sends a message to the actor itself, durably: its handler, which
// [Handles] declares, runs at its time also if the actor sleeps or the server was down
// then, and exactly once.
//
//	func (p *Poll) Open(c *actor.Context[Voter], round int) {
//		c.Schedule(c.Now().Add(time.Minute), CloseVote{round})
//	}
//
//	func (p *Poll) closeVote(c *actor.Context[Voter], m CloseVote) error { … }
//
// [Context.Repeat] repeats a message. [Context.After] and [Context.Every] are for what need not outlive the actor's stay in
// memory: they cost no commit.
//
// # Authentication
//
//	OnAuth(ctx context.Context, r *AuthRequest) (A, error)
//
// identifies a client by the cookies and headers of its HTTP request and by its params.
// It runs before a connection is opened, resumed or refreshed, and before a call
// without a connection. It is called on a zero value, not in a turn, and may take as
// long as a connect hook. The turns that handle the request read its result A with
// [Auth]. A may have these methods:
//
//	Subject() string        who it is; without it, the JSON of A says so
//	ValidUntil() time.Time  when OnAuth has to run again for a connection; zero for never
//
// A connection belongs to the subject that opened it, and so does what is remembered of an
// Idempotency-Key. Another subject that has the secret of a connection gets a new one,
// unless Options.AnySubject allows it. So give A a Subject if it has fields that may change
// while the user stays the same.
//
// If OnAuth returns an error, the request ends there: an [Error] reaches the client,
// over HTTP unauthorized as 401 and forbidden as 403. The actor does not see the
// request, so a connection that fails to authenticate again ends with its resume window.
//
// # Authorization
//
// Without OnAccess an actor is open to everyone who reaches the server. OnAccess decides
// about every request of a client: to connect, resume, refresh, subscribe, call an action
// over a connection or over HTTP, create the actor, or look it up. Door says which. It runs
// in the turn of the request, before anything else, so it may read the state and the
// connections:
//
//	func (r Room) OnAccess(c *actor.AccessContext) error {
//		if !slices.Contains(r.Members, actor.Auth[User](c).Name) {
//			return actor.Errorf("forbidden", "members only")
//		}
//		return nil
//	}
//
// For an actor that does not exist it runs on the zero value of the state, so that a client
// whom it refuses does not learn whether there is one; Exists reports it. A request that
// makes the actor asks DoorCreate before OnCreate, and its own door afterwards. Turns that
// no client causes, such as timers and Self().Do, pass no door.
//
// OnBeforeConnect runs for connections only; use it to check params. CanSubscribe decides
// about an event for c.Conn(), after OnAccess: when a client subscribes, and for all its
// subscriptions when it passes new params. Refuse with any code; forbidden is the usual one.
package actor
