// Package runtime runs actors. A [Node] is the host.Host and the host.Definitions of the
// actors of a registry. Authors write actors against package actor, which imports this one
// and builds its Context on a [Turn] and its Conn on a [Conn]. Only package actor needs
// those two.
//
// In reading order: node.go finds an actor and puts a request into its mailbox
// (mailbox.go); before that, authenticate.go runs the actor's OnAuth, outside of its
// goroutine, and identity.go says whose request it is. actor.go is that goroutine. It loads an instance (instance.go, state.go,
// conns.go, producer.go) and hands it one request after the other (request.go, open.go,
// subscribe.go), of which access.go asks the actor's OnAccess. Each request is a turn
// (turn.go, span.go, watchdog.go); the code of a turn
// uses context.go, emit.go, outbox.go, conn.go and timer.go, and goroutine.go tells whether
// it runs in the turn's goroutine. apply.go turns the outcome into a commit and outputs, and
// gate.go lets the outputs into the actor's log when the commit is durable. message.go has the messages that an actor
// schedules to itself; alarm.go and handle.go run those that are due, recur.go repeats them,
// due.go wakes sleeping actors for them. send.go sends those to other actors through a
// courier (courier.go), and receive.go runs what comes from others. expiry.go ends
// connections that are not resumed, disconnect.go those of a subject. destroy.go ends the life
// of an actor, and begins the next one. reset.go returns an actor to its last durable state.
//
// Used everywhere: fault.go turns errors into what clients get, limits.go has the limits that
// are no options, parked.go counts parked messages, memory.go what states and logs take, stored.go reads entries that the store has, stats.go counts.
//
// # Locks
//
// Node.mu is locked before a mailbox's and a log's, a gate's before its log's. No other
// lock of this package is held while another one is taken, and none while code of an
// actor, a store or a follower runs. An instance, its turns and its connections belong to
// the goroutine of the actor's generation and need no lock.
package runtime
