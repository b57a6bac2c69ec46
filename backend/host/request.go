package host

import (
	"encoding/json"
	"sync/atomic"
)

// Ref names an actor: by Name and Key, or by ID alone (which then must exist).
// With all three the ID counts; the others are there to make the actor by.
type Ref struct {
	Name string
	Key  Key
	ID   string
}

// Attachment names one attempt to attach a connection: to give it a socket. Of the
// attachments of a connection the newest counts; messages of the others are dropped. The
// zero Attachment is none.
type Attachment struct {
	Node uint32 // of the gateway: its node's number in the cluster, 0 if there is one node
	N    uint64 // counted by that node; not 0
}

// NextAttachment returns an attachment that this process has not used. The low 32 bits
// of N are 0, and the caller's to count in (see Plus): a gateway takes an attachment when
// it accepts a socket, for all of its channels, because an open that is read late must
// not replace that of a newer socket.
func NextAttachment() Attachment { return Attachment{N: attachments.Add(1) << 32} }

var attachments atomic.Uint64

// Plus returns the attachment n after a, of the same node.
func (a Attachment) Plus(n uint32) Attachment { return Attachment{a.Node, a.N + uint64(n)} }

// IsZero reports whether a is no attachment.
func (a Attachment) IsZero() bool { return a == Attachment{} }

// Replaces reports whether a, which has just arrived, counts in place of b, which was
// attached before to the same connection. Of one node that is the higher number. Numbers
// of different nodes cannot be compared: the later to arrive counts.
func (a Attachment) Replaces(b Attachment) bool { return a.Node != b.Node || a.N > b.N }

// OpenRequest asks for a connection, or for one that is there to be attached
// again. The answer is an OutputOpened or an OutputClosed to Attachment.
type OpenRequest struct {
	Attachment Attachment // see NextAttachment
	Create     bool       // make the actor if it does not exist
	Input      json.RawMessage
	Conn       string // the connection's id, which only its client can name
	Producer   string // who numbers this connection's calls
	Params     json.RawMessage
	Auth       json.RawMessage // what OnAuth said; nil if the actor has none
	Subs       []string        // events that CanSubscribe is asked about; the OutputOpened has those that it refuses

	Resume bool // the client asks to go on after Seq of the log Log
	Log    string
	Seq    uint64
	Ack    uint64 // every call of Caller up to this id has been answered
}

// RefreshRequest gives a connection new params. Nothing answers if that is well;
// else the answer is an OutputClosed to Attachment, or an OutputSubscribed if
// CanSubscribe refuses some of Subs from now on.
type RefreshRequest struct {
	Attachment Attachment
	Params     json.RawMessage
	Auth       json.RawMessage // as in OpenRequest
	Subs       []string        // as in OpenRequest: what the client has subscribed to
}

// SubscribeRequest asks CanSubscribe about events. The answer is an
// OutputSubscribed, or an OutputClosed, to Attachment.
type SubscribeRequest struct {
	Attachment Attachment
	ID         uint64 // of the request, from 1; the answer has it as Call
	Events     []string
}

// Refusal is why an event may not be subscribed to.
type Refusal struct {
	Event string
	Err   *Fault
}

// CallRequest runs an action for a connection. The answer is an OutputReply or
// OutputFail to Attachment (or, if the connection is attached anew meanwhile, to
// the connection). A call that was accepted before is not run again.
type CallRequest struct {
	Attachment Attachment
	Conn       string
	ID         uint64
	Action     string
	Args       []json.RawMessage
	Ack        uint64
}

// DirectCall runs an action without a connection.
type DirectCall struct {
	Create         bool
	IdempotencyKey string // not empty: an idempotency key; the call runs once in 24 h
	Action         string
	Args           []json.RawMessage
	Auth           json.RawMessage // as in OpenRequest
}

// AuthRequest is what OnAuth decides by: an HTTP request for a connection, or for an
// action without one. Do not change what it holds.
type AuthRequest struct {
	Action     string              // that is to be called; empty for a connection, or to make or find the actor
	Header     map[string][]string // the fields of the request, by canonical name
	RemoteAddr string              // the client's address, without a port
	Params     json.RawMessage     // what the client passed to connect(); nil if that was nothing
}
