// Package gateway serves clients: sockets, the channels on them, and single calls over
// HTTP. It owns sockets, cursors and subscriptions. It reaches the actors through a
// host.Host, which has a log per actor.
//
// # What runs
//
// A socket has one goroutine, its reader. It hands a client's messages to the host, in
// order, and never waits for an actor. A fanout (one per actor with channels here) runs
// when its log has new visible outputs, and marks the channels that may want them. A
// marked socket is put on a queue and flushed by one of a few workers: a flush makes one
// frame of what its channels' cursors find in the logs, so a slow socket gets fewer and
// larger frames. In small rooms the goroutine that published marks the channels; in large
// ones a worker does that, too.
//
// An actor's OnAuth may be slow. An open, or new params, waits for it outside the reader,
// and later messages on the channel are postponed, so that a channel's messages keep
// their order. Its CanSubscribe approves subscriptions, in a turn.
//
// Nothing waits for a socket. A frame that the kernel does not take at once is finished
// by a goroutine with a deadline; until then the socket is not flushed and its cursors
// stay where they are. So a client that stops reading costs one frame (G8). A cursor that
// has fallen out of the log's memory reads from the store. One that has fallen out of
// that, too, loses its socket, and the client learns the gap when it returns (G4).
//
// Where WebSockets are blocked, a socket is a stream of server-sent events, or a series
// of polls, and posts. Only its transport differs. A missing poll counts as a blocked
// write.
//
// Answers that are in no store are kept by their channel until the cursor arrives. While
// a client does not read them, its calls are not read either. If the answers to calls
// accepted before are too large to keep, those calls fail as overloaded.
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
//   - accept.go, stream.go: how a request becomes a socket, over WebSocket and over HTTP;
//     linkwriter.go: answers of sockets whose requests came to other nodes
//   - transport: what carries frames; limit: admission, and how much is held;
//     httpcall: single calls
//   - socket.go: a socket and its flush; outbox.go: what its client has not taken;
//     reader.go: what reads a WebSocket; heartbeat.go: what is due at a time
//   - message.go: the receiver, which does what a client's messages ask for; numbers.go,
//     sets.go: small sets for it
//   - auth.go: OnAuth, and what waits for it; subscribe.go: CanSubscribe
//   - channel.go: a cursor, and what it gives its client; opening.go: where it
//     starts, and what was missed; answer.go: what is in no store
//   - fanout.go: from an actor's log to the channels on it
//   - storereader.go: shared reads of what is no longer in memory
//   - queue.go: workers' jobs; slowconns.go: which connections were cut off as slow
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
