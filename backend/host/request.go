package host

import (
	"encoding/json"
	"sync/atomic"
	"time"
)

// Ref names an actor: by Name and Key, or by ID alone, if the actor exists. With all three,
// ID names the actor, and Name and Key are used to create it.
type Ref struct {
	Name string
	Key  Key
	ID   string
}

// Attachment names one attempt to attach a connection: to give it a socket. Of the
// attachments of a connection only the newest is valid; messages of the others are dropped.
// The zero Attachment is none.
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

// Replaces reports whether a, which has just arrived, replaces b, which was attached to the
// same connection before. On one node the higher number replaces the lower. Numbers of
// different nodes are not comparable: there the client's count of its tries decides, see
// OpenRequest.Try, and without one the later arrival replaces the earlier.
func (a Attachment) Replaces(b Attachment, try, before uint64) bool {
	if a.Node == b.Node {
		return a.N > b.N
	}
	return try >= before || try == 0
}

// OpenRequest requests a connection, or attaches an existing one. The answer is an
// OutputOpened or an OutputClosed to Attachment.
type OpenRequest struct {
	Attachment Attachment // see NextAttachment
	Name       string     // what the actor with the Ref's ID has to be named, else not_found; empty for any name
	Create     bool       // make the actor if it does not exist
	Input      json.RawMessage
	Conn       string // the connection's id, which only its client can name
	Try        uint64 // of the opens of Conn: the client's count, 0 if it does not count
	Producer   string // id of the client that numbers this connection's calls
	From       string // whose share of the actor's limits it takes: the client's address
	Params     json.RawMessage
	Identity   Identity // whose request it is
	Subs       []string // events to subscribe to; the OutputOpened has those that are refused

	Resume bool // resume after entry Seq of the log Log
	Log    string
	Seq    uint64
	Owner  string // of the client's last OpenedInfo
	Ack    uint64 // every call of Producer up to this id has been answered
}

// RefreshRequest gives a connection new params. There is no answer if they are accepted, an
// OutputClosed to Attachment if they are refused, and an OutputSubscribed if some of
// Subs are refused from now on.
type RefreshRequest struct {
	Attachment Attachment
	Params     json.RawMessage
	Identity   Identity
	Subs       []string // as in OpenRequest: what the client has subscribed to
}

// SubscribeRequest runs OnAccess and CanSubscribe for events. The answer is an OutputSubscribed or an
// OutputClosed to Attachment.
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
// OutputFail to Attachment, or to the connection if another attachment has replaced it
// meanwhile. A call that was accepted before does not run again.
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
	IdempotencyKey string // if not empty, the call runs once in 24 h; another call with it fails with idempotency_mismatch
	Action         string
	Args           []json.RawMessage
	Identity       Identity
	From           string // as in OpenRequest
}

// Identity is who makes a request, as OnAuth says. The zero Identity is that of a request to
// an actor without OnAuth.
type Identity struct {
	Auth    json.RawMessage // the result of OnAuth
	Subject string          // whose request it is, as a hash that is stored and compared
	Until   time.Time       // when OnAuth has to run again; zero for never
	Asked   Moment          // when OnAuth began
}

// Moment is a moment in the life of a process, as that counts them. Those of one process can be
// compared. No clock is asked, because those of two machines differ.
type Moment struct {
	Process uint64 // random; 0 for no moment
	N       uint64 // rises
}

// AuthRequest is the input of OnAuth: an HTTP request for a connection, or for an action
// without one. Do not change its contents.
type AuthRequest struct {
	Action     string              // the action to call; empty for a connection, or to create or find the actor
	Header     map[string][]string // the fields of the request, by canonical name
	RemoteAddr string              // the client's address, without a port
	Params     json.RawMessage     // the client's params; nil if there are none
	From       string              // as in OpenRequest, for the order in which requests run
}
