package host

import (
	"encoding/json"
	"sync/atomic"

	"github.com/troupe-dev/troupe/backend/store"
)

// OutputKind is the kind of an Output.
type OutputKind uint8

// Kinds of outputs.
const (
	OutputEvent      OutputKind = iota // an event, to Target
	OutputReply                        // the result of a call
	OutputFail                         // the failure of a call
	OutputOpened                       // the answer of an Open: the connection is there
	OutputClosed                       // the end of an attachment
	OutputSubscribed                   // the answer of a Subscribe, or of a Refresh
	OutputStub                         // an entry whose event was not stored; only the store has it
)

// Output is an item of an actor's Log. Numbered outputs (entries: events that are not
// volatile, and replies of calls that changed something) are stored and replayed; the
// others are only for current readers. An Output does not change once it is in a log.
type Output struct {
	Kind     OutputKind
	Numbered bool   // it is an entry of the log
	Seq      uint64 // its number, or that of the last entry before it
	TimeMs   int64  // when it was made, Unix milliseconds

	// An event.
	Event    string
	Target   store.Target
	Direct   bool   // goes to its targets whether they subscribe or not
	Volatile bool   // may be dropped for a slow reader
	Unstored bool   // it is what a joining sends to its own connection: the store gets an OutputStub
	Latest   string // if not empty, replaces an undelivered event with the same Event and Latest

	// A reply or failure, and the data of an event.
	Producer string
	Call     uint64 // the call's id
	Data     json.RawMessage

	// To is the attachment of an OutputOpened, OutputClosed, OutputSubscribed or
	// OutputFail, and of a reply without a number. A numbered reply goes to the connection
	// in Target.
	To Attachment

	Err    *Fault      // of a failure or close
	Opened *OpenedInfo // of an opened; of a subscribed, its Refused alone

	// Done, if not nil, is called once: with the output when it becomes visible, or with
	// nil and the reason when it is dropped. Only the writer's process has it.
	Done func(*Output, *Fault)

	encoded atomic.Pointer[[]byte]
}

// OpenedInfo describes an accepted attachment. The reader must find out whether the log still
// has all entries after Start.
type OpenedInfo struct {
	Actor string // the actor's id
	Name  string // its definition's name
	Log   string // the log's identity
	Conn  string // the connection's id
	Num   uint32 // the connection's number, which targets name
	Owner string // tells clients of different subjects apart; empty if there is no subject

	Start         uint64    // the connection has seen everything up to here
	Joining       []*Output // what of its joining is Unstored and above Start, as far as it has to be sent again
	Until         uint64    // what is numbered up to here belongs to the opening; then comes an at
	Resumed       bool      // the connection existed
	Refused       []Refusal
	Reason        string   // not empty: what came before Start is lost, and why (restart, expired)
	AskedAfter    uint64   // with a Reason: what the client had seen of this log; 0 if of another
	KnownProducer bool     // first deliver the retained replies of the producer above its Ack, which are anywhere
	Replies       []uint64 // first deliver these entries, as far as they are retained: all such replies
	Producer      string   // the id under which the actor keeps the client's calls
}

// Encoded returns the result of the first call of encode for this output. All readers of the
// output share the bytes and must not change them. It may be called at the same time.
func (o *Output) Encoded(encode func(*Output) []byte) []byte {
	if b := o.encoded.Load(); b != nil {
		return *b
	}
	b := encode(o)
	o.encoded.Store(&b)
	return b
}

// Size returns about how many bytes the output takes in memory.
func (o *Output) Size() int {
	const fixed = 256 // the struct, and the encoded copy's overhead
	n := fixed + 2*len(o.Data) + len(o.Event) + 4*len(o.Target.Conns)
	if o.Opened != nil && o.Opened.Resumed { // else they are in the log beside it
		for _, j := range o.Opened.Joining {
			n += j.Size()
		}
	}
	return n
}

// Entry returns the output in its stored form.
func (o *Output) Entry() store.Entry {
	e := store.Entry{
		Seq: o.Seq, Event: o.Event, Direct: o.Direct, Target: o.Target,
		Caller: o.Producer, Call: o.Call, Data: o.Data,
	}
	if o.Unstored {
		return e.Stub()
	}
	return e
}

// OutputOf returns the output of a stored entry.
func OutputOf(e store.Entry) *Output {
	o := &Output{
		Kind: OutputEvent, Numbered: true, Seq: e.Seq, TimeMs: e.Time.UnixMilli(),
		Event: e.Event, Direct: e.Direct, Target: e.Target,
		Producer: e.Caller, Call: e.Call, Data: e.Data,
	}
	switch {
	case e.IsStub():
		o.Kind = OutputStub
	case e.Event == "":
		o.Kind = OutputReply
	}
	return o
}
