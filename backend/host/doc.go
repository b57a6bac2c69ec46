// Package host is the interface between a gateway, which owns sockets, cursors and
// subscriptions, and the owner of an actor: its state, connections and calls.
//
// Requests (request.go) are data without behaviour. Their answers are outputs (output.go)
// in the actor's log (log.go), in order with the actor's events and behind the same output
// gate. Failures are a [Fault].
package host
