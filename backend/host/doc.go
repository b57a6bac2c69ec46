// Package host is the seam between a gateway, which owns sockets, cursors and
// subscriptions, and the owner of an actor: its state, connections and calls.
//
// Requests (request.go) are plain data. What they lead to comes back as outputs
// (output.go) in the actor's log (log.go), so that an answer keeps its place among the
// actor's events and waits for the output gate like them. What fails is a [Fault].
package host
