package inspect

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
)

// actor is one actor, as the API shows it. Times are Unix milliseconds, 0 if there is none.
type actor struct {
	ID    string   `json:"id"`
	Name  string   `json:"name"`
	Key   []string `json:"key"`
	Awake bool     `json:"awake"`
	Busy  bool     `json:"busy"` // its turn has not ended: little more is known

	Rev     uint64 `json:"rev"`
	Head    uint64 `json:"head"`
	Log     string `json:"log"`
	Version int    `json:"version"`
	BornMs  int64  `json:"bornMs"`
	UsedMs  int64  `json:"usedMs"`

	State      json.RawMessage `json:"state,omitempty"` // missing if it is too large, or stateError says why
	StateBytes int             `json:"stateBytes"`
	StateError string          `json:"stateError,omitempty"`

	Conns     []conn `json:"conns"`
	ConnCount int    `json:"connCount"`
	Callers   int    `json:"callers"`
	Timers    int    `json:"timers"`
	Waiting   int    `json:"waiting"`
	Memory    int64  `json:"memory"`

	Tables       []table   `json:"tables"`
	Messages     []message `json:"messages"`
	MessageCount int       `json:"messageCount"`
	DueMs        int64     `json:"dueMs"`
	Tombstone    bool      `json:"tombstone"`
	EndedMs      int64     `json:"endedMs"`
	EndsMs       int64     `json:"endsMs"` // when the tombstone may be forgotten
}

type table struct {
	Field string `json:"field"`
	Keys  string `json:"keys"`
	Len   int64  `json:"len"`
	Bytes int64  `json:"bytes"`
}

type message struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"`
	Label   string          `json:"label,omitempty"`
	Spec    string          `json:"spec,omitempty"` // of one that repeats
	To      *address        `json:"to,omitempty"`   // missing: the actor itself
	DueMs   int64           `json:"dueMs"`
	RetryMs int64           `json:"retryMs"`
	Tries   int             `json:"tries"`
	Parked  string          `json:"parked,omitempty"` // why it is given up for now
	Data    json.RawMessage `json:"data,omitempty"`
}

type address struct {
	ID   string   `json:"id"`
	Name string   `json:"name"`
	Key  []string `json:"key"`
}

// conn is a connection: what the actor knows of it, and its channel on this server's gateway.
type conn struct {
	Num        uint32          `json:"num"`
	ID         string          `json:"id"`
	Attachment string          `json:"attachment,omitempty"`
	Online     bool            `json:"online"`
	DroppedMs  int64           `json:"droppedMs"`
	ExpiresMs  int64           `json:"expiresMs"`
	Start      uint64          `json:"start"`
	State      json.RawMessage `json:"state,omitempty"`
	Subject    string          `json:"subject,omitempty"`
	From       string          `json:"from,omitempty"`
	Params     json.RawMessage `json:"params,omitempty"` // if the request asks for them
	Auth       json.RawMessage `json:"auth,omitempty"`   // likewise

	Channel *channel `json:"channel,omitempty"`
}

type channel struct {
	Socket        uint64         `json:"socket"`
	Transport     string         `json:"transport"`
	Address       string         `json:"address,omitempty"`
	Subscriptions []subscription `json:"subscriptions"`
	Sent          uint64         `json:"sent"`
	SentMs        int64          `json:"sentMs"`
	Behind        uint64         `json:"behind"`
	Unanswered    []uint64       `json:"unanswered"`
	Blocked       bool           `json:"blocked"`
}

type subscription struct {
	Event string `json:"event"`
	After uint64 `json:"after"` // it gets entries above this one
}

func channelOf(ch *host.Channel) *channel {
	shown := &channel{
		Socket: ch.Socket, Transport: ch.Transport, Address: ch.Address, Subscriptions: []subscription{},
		Sent: ch.Sent, SentMs: millis(ch.SentAt), Behind: ch.Behind, Unanswered: append([]uint64{}, ch.Unanswered...), Blocked: ch.Blocked,
	}
	for _, s := range ch.Subscriptions {
		shown.Subscriptions = append(shown.Subscriptions, subscription(s))
	}
	return shown
}

func attachmentOf(a host.Attachment) string {
	if a.IsZero() {
		return ""
	}
	return fmt.Sprintf("%x.%x", a.Node, a.N)
}

// tombstoneFor is how long a destroyed actor is remembered.
const tombstoneFor = 24 * time.Hour

// look looks at an actor, and at the channels of the connections that are shown.
func look(ctx context.Context, node *runtime.Inspector, gateway Gateway, id string, q runtime.LookQuery) (*actor, error) {
	l, err := node.Look(ctx, id, q)
	if err != nil {
		return nil, err
	}
	a := &actor{
		ID: l.Ref.ID, Name: l.Ref.Name, Key: orEmpty(l.Ref.Key), Awake: l.Awake, Busy: l.Busy,
		Rev: l.Rev, Head: l.Head, Log: l.Log, Version: l.Version, BornMs: millis(l.Born), UsedMs: millis(l.Used),
		State: l.State, StateBytes: l.StateBytes, StateError: l.StateError,
		Conns: []conn{}, ConnCount: l.ConnCount, Callers: l.Callers, Timers: l.Timers, Waiting: l.Waiting, Memory: l.Memory,
		Tables: []table{}, Messages: []message{}, MessageCount: l.MessageCount, DueMs: millis(l.Due),
		Tombstone: l.Tombstone, EndedMs: millis(l.Ended),
	}
	if l.Tombstone {
		a.EndsMs = millis(l.Ended.Add(tombstoneFor))
	}
	for _, t := range l.Tables {
		a.Tables = append(a.Tables, table{t.Field, t.Keys, t.Len, t.Bytes})
	}
	for k := range l.Messages {
		a.Messages = append(a.Messages, messageOf(id, &l.Messages[k]))
	}
	var online []host.Attachment
	for _, c := range l.Conns {
		if !c.Attachment.IsZero() {
			online = append(online, c.Attachment)
		}
	}
	var channels map[host.Attachment]host.Channel
	if len(online) > 0 {
		channels = gateway.Channels(l.Ref, online)
	}
	for k := range l.Conns {
		c := &l.Conns[k]
		shown := conn{
			Num: c.Num, ID: c.ID, Attachment: attachmentOf(c.Attachment), Online: c.Online, DroppedMs: millis(c.Dropped), ExpiresMs: millis(c.Expires),
			Start: c.Start, State: c.State, Subject: c.Subject, From: c.From, Params: c.Params, Auth: c.Auth,
		}
		if ch, ok := channels[c.Attachment]; ok {
			shown.Channel = channelOf(&ch)
		}
		a.Conns = append(a.Conns, shown)
	}
	return a, nil
}

func messageOf(actor string, m *store.Message) message {
	shown := message{
		ID: fmt.Sprintf("%s.%d", actor, m.ID), Type: m.Type, Label: m.Label, Spec: m.Spec, DueMs: millis(m.Due), RetryMs: millis(m.Retry),
		Tries: m.Tries, Parked: m.Parked, Data: m.Data,
	}
	if m.To != "" {
		shown.To = &address{m.To, m.Name, orEmpty(m.Key)}
	}
	return shown
}

// entry is an output of a log.
type entry struct {
	Seq      uint64          `json:"seq"` // its number; of one without a number, that of the entry before it
	Numbered bool            `json:"numbered"`
	AtMs     int64           `json:"atMs"`
	Kind     string          `json:"kind"`
	Event    string          `json:"event,omitempty"`
	Only     []uint32        `json:"only,omitempty"`   // it goes to these connections
	Except   []uint32        `json:"except,omitempty"` // it goes to all but these
	To       string          `json:"to,omitempty"`     // it goes to this attachment
	Direct   bool            `json:"direct,omitempty"` // whether they subscribe or not
	Volatile bool            `json:"volatile,omitempty"`
	Call     uint64          `json:"call,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"` // missing if it is too large
	Bytes    int             `json:"bytes"`
	Code     string          `json:"code,omitempty"` // of a failure, or of the end of a connection
	Message  string          `json:"message,omitempty"`
}

var kindNames = map[host.OutputKind]string{
	host.OutputEvent: "event", host.OutputReply: "reply", host.OutputFail: "failed", host.OutputOpened: "opened",
	host.OutputClosed: "closed", host.OutputSubscribed: "subscribed", host.OutputStub: "joining",
}

func entriesOf(outputs []runtime.LogEntry) []entry {
	entries := make([]entry, 0, len(outputs))
	for _, o := range outputs {
		e := entry{
			Seq: o.Seq, Numbered: o.Numbered, AtMs: o.TimeMs, Kind: kindNames[o.Kind], Event: o.Event, To: attachmentOf(o.To),
			Direct: o.Direct, Volatile: o.Volatile, Call: o.Call, Data: o.Data, Bytes: o.Bytes,
		}
		switch o.Target.Mode {
		case store.ToOnly:
			e.Only = o.Target.Conns
		case store.ToExcept:
			e.Except = o.Target.Conns
		}
		if o.Err != nil {
			e.Code, e.Message = o.Err.Code, o.Err.Message
		}
		entries = append(entries, e)
	}
	return entries
}

// turn is a turn that has ended.
type turn struct {
	AtMs     int64   `json:"atMs"`
	What     string  `json:"what"`
	Conn     string  `json:"conn,omitempty"`
	ReadOnly bool    `json:"readOnly,omitempty"`
	TookMs   float64 `json:"tookMs"`
	Code     string  `json:"code,omitempty"` // empty: it succeeded
	Message  string  `json:"message,omitempty"`
}

func turnsOf(records []runtime.TurnRecord) []turn {
	turns := make([]turn, 0, len(records))
	for _, r := range records {
		t := turn{AtMs: r.At.UnixMilli(), What: r.What, Conn: r.Conn, ReadOnly: r.ReadOnly, TookMs: round(float64(r.Took) / float64(time.Millisecond))}
		if r.Err != nil {
			t.Code, t.Message = r.Err.Code, r.Err.Message
		}
		turns = append(turns, t)
	}
	return turns
}
