package wire

import "encoding/json"

// Types of messages from a client.
const (
	TypeOpen   = "open"
	TypeCall   = "call"
	TypeSub    = "sub"
	TypeUnsub  = "unsub"
	TypeAck    = "ack"
	TypeClose  = "close"
	TypeParams = "params"
	TypeBeat   = "beat" // both ways
)

// ClientMessage is any message from a client. Which fields matter depends on
// Type; the package documentation lists them.
type ClientMessage struct {
	Type    string `json:"t"`
	Channel uint32 `json:"c,omitempty"`

	// open
	Actor   string          `json:"actor,omitempty"`
	Key     json.RawMessage `json:"key,omitempty"`
	ActorID string          `json:"actorId,omitempty"`
	Create  *bool           `json:"create,omitempty"`
	Input   json.RawMessage `json:"input,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"` // and params
	Subs    []string        `json:"subs,omitempty"`
	Secret  string          `json:"k,omitempty"`
	Caller  string          `json:"caller,omitempty"`
	Log     string          `json:"log,omitempty"`
	Owner   string          `json:"owner,omitempty"` // of the last opened
	N       uint64          `json:"n,omitempty"`     // rises with each open of the same Secret; 0 if it is not given

	// call
	ID     uint64            `json:"id,omitempty"`
	Action string            `json:"a,omitempty"`
	Args   []json.RawMessage `json:"args,omitempty"`

	// sub, unsub
	Events []string `json:"e,omitempty"`

	// open, call, ack
	Seq uint64 `json:"s,omitempty"`
	Ack uint64 `json:"ack,omitempty"`

	// beat
	Probe bool `json:"probe,omitempty"`
}
