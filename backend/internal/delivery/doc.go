// Package delivery is the protocol that brings the messages of one actor to another exactly
// once and in their order (G12), whatever is lost, repeated, delayed or reordered on the way.
// It does nothing but decide: it has no goroutine, no clock and no store. The runtime runs it,
// and the tests of this package run it in a model.
//
// The two sides of a pair are an [Outbox] and an [Inbox]. They hold what is in the actors'
// records, and in addition what an actor may forget when it is loaded again.
//
//   - The sender numbers its messages: [Next]. It sends only what is durable, in one batch at a
//     time for each receiver. Each message names the one before it, so that a receiver that
//     has missed one runs none behind it.
//   - The receiver has a mark for each sender: the highest Order that is finished. A message
//     up to it does not run again; its answer is that of the first time. Effect and mark
//     are one commit, and so are a refusal and its mark.
//   - The sender removes a message when such an answer arrives, and says with the next batch
//     up to where its removals are durable. Then the receiver forgets refusals, and may
//     forget the sender. It keeps the highest number that it has forgotten, the floor: an unknown
//     sender whose number is not above it has to number its messages again.
//   - A message to a receiver that was destroyed after the message was sent does not begin a new
//     life of it.
//
// Nothing here may be called at the same time.
package delivery
