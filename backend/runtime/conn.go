package runtime

import (
	"container/list"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Conn is the runtime's record of a connection. It belongs to its instance's
// goroutine, and changes only when a turn is applied.
type Conn struct {
	num    uint32
	alone  [1]uint32 // num: the target of what is for this connection alone, never changed
	id     string
	start  uint64 // head of the log before it joined
	joined uint64 // the last entry of its joining that is not stored, see unstore; 0 if there is none
	value  any    // its state, of the definition's ConnType
	raw    []byte // its state as JSON
	owner  string // the subject whose connection it is; empty if unknown
	attached

	detached *list.Element // its place in conns, nil while it has a socket
	share    owner         // whose share of the limit of those it takes
}

// attached is what is known of a connection's client, and not stored.
type attached struct {
	attachment host.Attachment // the newest one; zero if not attached since the actor was loaded
	try        uint64          // of the newest open, see host.OpenRequest.Try
	online     bool
	dropped    time.Time // when it was last not online
	params     json.RawMessage
	who        host.Identity
	producer   string
	from       string // its address, see host.OpenRequest.From

	// The position from which its client asked to resume when it joined instead. The
	// client repeats the same request if it did not get the answer.
	askedLog string
	askedSeq uint64

	// It took the place of another subject's connection, and has made no call: its client
	// may not know, and would repeat the calls of the other one.
	succeeds bool

	over bool // its OnDisconnect did not return: it ends without another run
}

type connState struct {
	value any
	raw   []byte
}

// record returns what is stored of the connection by a version of its definition.
func (c *Conn) record(version int) store.Conn {
	return store.Conn{Num: c.num, ID: c.id, Start: c.start, Joined: c.joined, State: c.raw, Version: version, Subject: c.owner}
}

// unstore marks and returns what the turn in which the connection joins sends to it alone:
// the store gets stubs of it. Otherwise each open would make the actor write all that
// OnConnect sends. A client that has not received it when it is no longer in memory joins
// again, see openEnvelope.missing.
func (c *Conn) unstore(outputs []*host.Output) (joining []*host.Output) {
	for _, o := range outputs {
		if o.Numbered && o.Direct && o.Target.Mode == store.ToOnly && len(o.Target.Conns) == 1 && o.Target.Conns[0] == c.num {
			o.Unstored = true
			joining, c.joined = append(joining, o), o.Seq
		}
	}
	return joining
}

// The methods below are for the goroutine of a turn.

// Num returns the connection's number, by which targets name it.
func (c *Conn) Num() uint32 { return c.num }

// ID returns the connection's id.
func (c *Conn) ID() string { return c.id }

// Online reports whether the connection has a socket.
func (c *Conn) Online() bool { return c.online }

// ConnState returns a connection's state in the turn, and the state as JSON.
func (t *Turn) ConnState(c *Conn) (value any, raw []byte) {
	if s, ok := t.states[c]; ok {
		return s.value, s.raw
	}
	return c.value, c.raw
}

// SetConnState records a changed connection state in the turn; raw is its JSON.
func (t *Turn) SetConnState(c *Conn, value any, raw []byte) {
	if t.readOnly {
		t.Fail(host.Faultf(wire.CodeReadOnly, "%s is read-only (it has a value receiver) and cannot set a connection's state", t.what))
		return
	}
	if err := checkConnState(t.in.def, "the state of connection "+c.id, raw, c.raw); err != nil {
		t.Fail(err)
		return
	}
	if t.states == nil {
		t.states = map[*Conn]connState{}
	}
	t.states[c] = connState{value, raw}
}

// checkConnState returns an error if a connection's state is larger than it may be, or nests
// deeper, and more so than before the turn: what is stored beyond a limit may stay.
func checkConnState(def *definition.Definition, what string, raw, before []byte) error {
	if jsonshape.TooDeep(def.ConnType, raw) && jsonshape.Depth(raw) > jsonshape.Depth(before) {
		return definition.TooDeepFault(what)
	}
	if limit := def.Options.MaxConnState; len(raw) > limit && len(raw) > len(before) {
		return host.Limit{Size: len(raw), Limit: limit, Option: "actor.Options.MaxConnState"}.
			Fault(wire.CodeTooLarge, fmt.Sprintf("%s would have %d bytes, the limit is %d", what, len(raw), limit))
	}
	return nil
}

// Disconnect ends a connection when the turn succeeds. Its client gets the reason.
func (t *Turn) Disconnect(c *Conn, reason string) {
	if limit := t.in.def.Options.MaxMessage; len(reason) > limit {
		t.Fail(tooLargeFault("the reason to disconnect", len(reason), limit))
		return
	}
	if t.readOnly {
		t.Fail(host.Faultf(wire.CodeReadOnly, "%s is read-only (it has a value receiver) and cannot disconnect", t.what))
		return
	}
	if slices.Contains(t.ended, c) {
		return
	}
	t.ended = append(t.ended, c)
	if !c.attachment.IsZero() {
		t.closes = append(t.closes, &host.Output{Kind: host.OutputClosed, To: c.attachment, Err: host.Faultf(wire.CodeDisconnected, "%s", reason)})
	}
}
