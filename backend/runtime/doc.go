// Package runtime runs actors. A [Node] is the host.Host of the actors of a registry
// and their host.Definitions. Actors are written against package actor, which imports
// this one: it makes a Context of a [Turn] and a Conn of a [Conn]. Nothing else needs
// those two.
//
// In reading order: node.go finds an actor and puts a request into its mailbox
// (mailbox.go). actor.go is the actor's goroutine, which loads an instance (instance.go,
// state.go) and hands it one request after the other (request.go, open.go, subscribe.go).
// Each is a turn (turn.go; context.go, emit.go, conn.go and timer.go are what the turn's
// code may do). apply.go makes the outcome of a turn a commit and outputs, and gate.go
// lets the outputs into the actor's log when the commit is durable. producer.go remembers
// what repeated calls must get, expiry.go ends connections that do not come back.
//
// # Locks
//
// Node.mu is locked before a mailbox's and a log's, a gate's before its log's. No
// other lock of this package is held while another one is taken, and none while code
// of an actor, a store or a follower runs. An instance, its turns and its connections
// belong to the goroutine of the actor's generation and need none.
package runtime
