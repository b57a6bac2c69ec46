package host

import (
	"context"
	"encoding/json"
	"time"
)

// SocketRequest is what the client of a socket over HTTP sends: a post with a frame, or a poll.
type SocketRequest struct {
	Socket string // its id, a secret
	N      uint64 // of the post or of the poll
	Frame  json.RawMessage
	Poll   bool
	Wait   time.Duration // of a poll
}

// Forwarder takes requests for sockets over HTTP to the gateways of other nodes: a load
// balancer may send the requests for one socket to different nodes. All methods may be called
// at the same time.
type Forwarder interface {
	// Slot returns this node's number in the cluster, 0 while it is in none. Ids of sockets
	// begin with it.
	Slot() uint32

	// Forward takes a request to the node with a slot and returns what its SocketServer has
	// written. The end of ctx ends the request there, too. The error is a *Fault, or that of
	// ctx; unknown_socket says, too, that there is no such node, or that it does not answer, in
	// which case it may have handled the request.
	Forward(ctx context.Context, slot uint32, q SocketRequest) ([]byte, error)
}

// SocketServer handles requests for sockets over HTTP that came to other nodes; a gateway is
// one.
type SocketServer interface {
	// ServeSocket handles a request, and gives the answer to a poll to write, in pieces: that is
	// complete if the error is nil. write keeps no piece. It waits until there is room for it,
	// or its context ends. The error is a *Fault, or that of ctx.
	ServeSocket(ctx context.Context, q SocketRequest, write func(context.Context, []byte) error) error
}
