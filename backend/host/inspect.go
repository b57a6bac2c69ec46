package host

import "time"

// Channel is a connection on a socket of a gateway, as an inspector sees it.
type Channel struct {
	Attachment Attachment
	Socket     uint64 // its number in the gateway's log
	Transport  string // websocket, stream or poll
	Address    string // of the client

	Subscriptions []Subscription
	Sent          uint64    // the client was sent everything up to this entry that is for it
	SentAt        time.Time // when; zero if it was sent nothing
	Behind        uint64    // entries of the log that its cursor has still to look at
	Unanswered    []uint64  // ids of its calls that have no answer yet
	Blocked       bool      // its client does not read: a frame waits
}

// Subscription is a subscription of a channel.
type Subscription struct {
	Event string
	After uint64 // it gets entries above this one
}

// Traffic is what a gateway has counted since it was made, and what it has now.
type Traffic struct {
	Sockets  int
	Messages uint64            // sent to clients
	Calls    uint64            // of clients; a repeated call counts again
	Errors   map[string]uint64 // that clients got, by code
	Gaps     map[string]uint64 // connections that came back to a gap, by reason
}
