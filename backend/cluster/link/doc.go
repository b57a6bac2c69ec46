// Package link carries items between nodes: in order, each once, as long as a session lasts.
//
// Nodes send each other frames (frame.go) over a Bus, which may lose, delay and repeat them,
// as core NATS does. Two nodes have a session with each other (peer.go), which numbers its
// frames, repeats what was lost and bounds what is under way. If a node gets no answer for
// too long, the session ends on both sides and the next one begins: what was under way may
// have arrived or not. The idea is TCP's, with two differences: a session survives a lost
// connection to the Bus, and its end is an event that both sides learn.
//
// # Lock order
//
// endpoint.mu, then peer.mu. No lock is held while a Handler or the Bus is called.
package link
