// Package gateway is where clients come in: sockets, the channels on them, and
// single calls over HTTP. It owns sockets, cursors and subscriptions; what it
// needs of the actors is a host.Host, which yields a log per actor.
//
// # What runs
//
// A socket has one goroutine, its reader. Messages of a client go to the host, in
// order, and nothing there waits for an actor. A fanout (one per actor that somebody
// here listens to) runs when its log has new visible outputs, and marks the channels
// that they may concern. A marked socket is put on a queue and flushed by one of a few
// workers: a flush makes one frame of what its channels' cursors find in the logs, so a
// slow socket gets fewer and larger frames. In small rooms the goroutine that published
// marks the channels; in large ones a worker does that, too.
//
// An actor's OnAuth may be slow. An open, or new params, waits for it away from the
// reader, and what comes on the channel after it is postponed, so that a channel's
// messages keep their order. Its CanSubscribe approves subscriptions, in a turn.
//
// Nobody waits for a socket. A frame that the kernel does not take at once is finished
// by a goroutine with a deadline; until then the socket is not flushed and its cursors
// stay where they are. So a reader that stops costs one frame (G8), and the log keeps
// what the reader has not seen, or not: a cursor that has fallen out of the log's memory
// reads from the store, and one that has fallen out of that loses its socket, and is
// told what it lost when it comes back (G4).
//
// Where WebSockets are blocked, a socket is a stream of server-sent events, or a series
// of polls, and posts. Only its transport differs. A poll that does not come is a
// blocked write.
//
// Answers that are in no store wait with their channel for the cursor. While a client
// does not take them, its calls are not read; those accepted before may have larger
// answers than there is room for, which are then answered overloaded.
//
// Delivery and replay are one: a client that resumes is a channel whose cursor starts at
// the number that it has seen (G3).
//
// # Where to find it
//
// In reading order:
//
//   - gateway.go: options, start and shutdown, the janitor; sockets.go: which sockets
//     there are; stats.go: what is counted
//   - routes.go, origin.go: what is at which address, and which pages may use it
//   - accept.go, stream.go: how a request becomes a socket, over WebSocket and over HTTP
//   - transport: what carries frames; limit: who may come in, and how much is held;
//     httpcall: single calls
//   - socket.go: a socket and its flush; outbox.go: what its client has not taken;
//     reader.go: what reads a WebSocket; heartbeat.go: what is due at a time
//   - message.go: the receiver, which does what a client's messages ask for; numbers.go,
//     sets.go: small sets for it
//   - auth.go: OnAuth, and what waits for it; subscribe.go: CanSubscribe
//   - channel.go: a cursor, and what it gives its client; opening.go: from where it
//     starts, and what was missed; answer.go: what is in no store
//   - fanout.go: from an actor's log to the channels on it
//   - storereader.go: shared reads of what is no longer in memory
//   - queue.go: workers' jobs; slowconns.go: who was cut off as slow
//
// # Lock order
//
// Take locks in this order, and never one to the left of one that you hold:
//
//	fanout.mu -> socket.mu -> socketAuth.mu, the log's and the transport's own locks
//	storeReader.mu -> queue.mu
//
// The locks of socketSet, socketAuth, authQueue, slowConns, outbox, limit.Admission,
// queue and coalescer are leaves: no other lock is taken under them, and none but a
// coalescer's under that of fanouts. No lock is held while the host is called, and none
// of a transport while it calls Config.Wrote and Config.Broke. The host may hold locks of
// its own when it calls fanout.Published, so a fanout never calls the host from there: it
// queues a job.
package gateway
