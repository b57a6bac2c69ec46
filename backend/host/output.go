package host

import (
	"encoding/json"
	"sync/atomic"

	"github.com/troupe-dev/troupe/backend/store"
)

// OutputKind says what an Output is.
type OutputKind uint8

// Kinds of outputs.
const (
	OutputEvent      OutputKind = iota // an event, to Target
	OutputReply                        // the result of a call
	OutputFail                         // the failure of a call
	OutputOpened                       // the answer of an Open: the connection is there
	OutputClosed                       // the end of an attachment
	OutputSubscribed                   // the answer of a Subscribe, or of a Refresh
)

// Output is one thing that an actor lets out, an item of its Log. Numbered
// outputs (entries: events that are not volatile, and replies of calls that
// changed something) are stored and replayed; the others are for those who
// listen now. An Output does not change once it is in a log.
type Output struct {
	Kind     OutputKind
	Numbered bool   // it is an entry of the log
	Seq      uint64 // its number, or that of the last entry before it
	TimeMs   int64  // when it was made, Unix milliseconds

	// An event.
	Event    string
	Target   store.Target
	Direct   bool   // goes to its targets whether they subscribe or not
	Volatile bool   // may be dropped for a reader that is blocked
	Latest   string // not empty: of events of this name and the same Latest only the newest matters

	// A reply or failure, and the data of an event.
	Producer string
	Call     uint64 // the call's id
	Data     json.RawMessage

	// To is the attachment that an output is for: always that of opened, closed
	// and failures, and that of replies without a number. A numbered reply goes
	// to the connection in Target.
	To Attachment

	Err    *Fault      // of a failure or close
	Opened *OpenedInfo // of an opened; of a subscribed, its Refused alone

	// Done, if not nil, is called once: with the output when it becomes visible, or with
	// nil and the reason when it is lost. It is the writer's, in its own process.
	Done func(*Output, *Fault)

	encoded atomic.Pointer[[]byte]
}

// OpenedInfo is what the owner of an actor says about an attachment that it
// has accepted. Whether the log still has all that the client asks for is the
// reader's to find out.
type OpenedInfo struct {
	Actor string // the actor's id
	Name  string // its definition's name
	Log   string // the log's identity
	Conn  string // the connection's id
	Num   uint32 // the connection's number, which targets name

	Start         uint64 // the connection has seen everything up to here
	Until         uint64 // what is numbered up to here belongs to the opening; then comes an at
	Resumed       bool   // the connection existed
	Refused       []Refusal
	Reason        string // not empty: what came before Start is lost, and why (restart, expired)
	AskedAfter    uint64 // with a Reason: what the client had seen of this log; 0 if of another
	KnownProducer bool   // retained replies of the caller above its Ack are to be delivered first
}

// Encoded returns what encode made of the output the first time it was called.
// All readers of the output share the bytes and must not change them. It may be
// called at the same time.
func (o *Output) Encoded(encode func(*Output) []byte) []byte {
	if b := o.encoded.Load(); b != nil {
		return *b
	}
	b := encode(o)
	o.encoded.Store(&b)
	return b
}

// Size is about what the output costs in memory, in bytes.
func (o *Output) Size() int {
	const fixed = 256 // the struct, and the encoded copy's overhead
	return fixed + 2*len(o.Data) + len(o.Event) + 4*len(o.Target.Conns)
}

// Entry is the output as it is stored.
func (o *Output) Entry() store.Entry {
	return store.Entry{
		Seq: o.Seq, Event: o.Event, Direct: o.Direct, Target: o.Target,
		Caller: o.Producer, Call: o.Call, Data: o.Data,
	}
}

// outputOf is the output that a stored entry was.
func outputOf(e store.Entry) *Output {
	o := &Output{
		Kind: OutputEvent, Numbered: true, Seq: e.Seq, TimeMs: e.Time.UnixMilli(),
		Event: e.Event, Direct: e.Direct, Target: e.Target,
		Producer: e.Caller, Call: e.Call, Data: e.Data,
	}
	if e.Event == "" {
		o.Kind = OutputReply
	}
	return o
}
