// Package gateway is where clients come in: sockets, the channels on them, and
// single calls over HTTP. It owns sockets, cursors and subscriptions; what it
// needs of the actors is a host.Host, which yields a log per actor.
//
// # What runs
//
// A socket has one goroutine, its reader. Messages of a client go to the host,
// in order, and nothing there waits for an actor. A feed (one per actor that
// somebody here listens to) is told when its log has new visible outputs and
// marks the channels that they may concern. A marked socket is put on a queue
// and drained by one of a few workers: a drain makes one frame of what its
// channels' cursors find in the logs, so a slow socket gets fewer and larger
// frames. In small rooms the goroutine that published marks the channels; in large
// ones that is a job for a worker, too.
//
// Who asks is for an actor's OnAuth to say, which may be slow. An open, or new params,
// waits for it away from the reader, and what comes on the channel after it is held
// until then, so that a channel's messages keep their order (auth.go). Which events
// it may have is for CanSubscribe to say, in a turn (subscribe.go).
//
// Nobody waits for a socket. A frame that the kernel does not take at once is
// finished by a goroutine with a deadline; until then the socket is not drained
// and its cursors stay where they are. So a reader who stops costs a frame (G8),
// and the log keeps what it has not seen, or not: a cursor that has fallen out of
// the log's memory reads from the store, and one that has fallen out of that
// loses its socket, and is told what it lost when it comes back (G4).
//
// Where WebSockets are blocked, a socket is a stream of server-sent events, or a
// series of polls, and posts: the handlers of these requests are below the socket
// what a link is, and everything above is the same. A poll that does not come is a
// blocked write.
//
// Answers that are in no store wait with their channel for the cursor. The calls
// of a client who does not take them are not read; those accepted before may have
// larger answers than there is room for, which are then answered overloaded.
//
// What is held for clients is counted in all, too (buffers): beyond a limit there is
// no new work until those who do not read have been cut off. And who comes in is
// limited, per address and in all (admission).
//
// Delivery and replay are one: a client that resumes is a channel whose cursor
// starts at the number that it has seen (G3).
package gateway
