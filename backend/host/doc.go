// Package host is the interface between a gateway, which owns sockets, cursors and
// subscriptions, and the owner of an actor: its state, connections and calls.
//
// A [Host] (host.go) takes requests to actors, which it finds by name and key (key.go).
// Requests (request.go) are data without behaviour. Their answers are outputs (output.go)
// in the actor's log (log.go), in order with the actor's events and behind the same output
// gate. Failures are a [Fault] (fault.go).
package host
