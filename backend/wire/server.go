package wire

import (
	"encoding/json"
	"strconv"
)

// Version is the version of the protocol, in the address of the socket and in hello.
const Version = 1

// Types of messages from a server. TypeBeat goes both ways.
const (
	TypeHello  = "hello"
	TypeOpened = "opened"
	TypeEvent  = "event"
	TypeReply  = "reply"
	TypeFail   = "fail"
	TypeAt     = "at"
	TypeClosed = "closed"
	TypeError  = "error"
	TypeBye    = "bye"
)

// ServerMessage is any message from a server, as a client decodes it. The
// server itself appends messages with the Append functions, because most of a
// message is encoded once and shared by all its receivers.
type ServerMessage struct {
	Channel uint32 `json:"c,omitempty"`
	Type    string `json:"t"`

	Version  int      `json:"v,omitempty"`
	Limits   *Limits  `json:"limits,omitempty"`
	BeatMs   int64    `json:"beatMs,omitempty"`
	DeadMs   int64    `json:"deadMs,omitempty"`
	SpreadMs int64    `json:"spreadMs,omitempty"`
	Contract string   `json:"contract,omitempty"`
	Parts    []string `json:"parts,omitempty"`
	Socket   string   `json:"socket,omitempty"`

	Seq     uint64 `json:"s,omitempty"`
	ActorID string `json:"actorId,omitempty"`
	Log     string `json:"log,omitempty"`
	Owner   string `json:"owner,omitempty"`
	ConnID  string `json:"connId,omitempty"`
	Resumed bool   `json:"resumed,omitempty"`
	Lost    *Lost  `json:"lost,omitempty"`

	Event string          `json:"e,omitempty"`
	Data  json.RawMessage `json:"d,omitempty"`
	ID    uint64          `json:"id,omitempty"`

	Code      Code            `json:"code,omitempty"`
	Message   string          `json:"message,omitempty"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	Reconnect bool            `json:"reconnect,omitempty"`
	Highest   *uint64         `json:"h,omitempty"`
	DelayMs   int64           `json:"delayMs,omitempty"`
}

// Lost says that not all events that a connection missed will follow.
type Lost struct {
	Reason string `json:"reason"` // Reason… constants
	Missed uint64 `json:"missed"` // entries meant for the connection that are skipped
	Exact  bool   `json:"exact"`  // false: at least that many
}

// Opened is the content of an opened message.
type Opened struct {
	Seq     uint64
	ActorID string
	Log     string
	ConnID  string
	Owner   string // empty: the actor does not identify clients
	Resumed bool
	Lost    *Lost
}

// A message with a channel is its head ({"c":N) and a rest that does not depend
// on the channel. AppendHead starts one; the functions below append rests.

// AppendHead appends the start of a message on channel c.
func AppendHead(b []byte, c uint32) []byte {
	b = append(b, `{"c":`...)
	return strconv.AppendUint(b, uint64(c), 10)
}

// AppendEvent appends the rest of an event. data is JSON.
func AppendEvent(b []byte, seq uint64, name string, data []byte) []byte {
	b = append(b, `,"t":"event","s":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"e":`...)
	b = appendString(b, name)
	b = append(b, `,"d":`...)
	b = append(b, data...)
	return append(b, '}')
}

// AppendReply appends the rest of a reply. result is JSON, or empty if the
// action returns nothing.
func AppendReply(b []byte, seq, id uint64, result []byte) []byte {
	b = append(b, `,"t":"reply","s":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"id":`...)
	b = strconv.AppendUint(b, id, 10)
	if len(result) > 0 {
		b = append(b, `,"d":`...)
		b = append(b, result...)
	}
	return append(b, '}')
}

// AppendFail appends the rest of a fail. metadata is JSON, or empty.
func AppendFail(b []byte, seq, id uint64, code Code, message string, metadata []byte) []byte {
	b = append(b, `,"t":"fail","s":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"id":`...)
	b = strconv.AppendUint(b, id, 10)
	b = appendProblem(b, code, message, metadata)
	return append(b, '}')
}

// AppendOpened appends the rest of an opened.
func AppendOpened(b []byte, o Opened) []byte {
	b = append(b, `,"t":"opened","s":`...)
	b = strconv.AppendUint(b, o.Seq, 10)
	b = append(b, `,"actorId":`...)
	b = appendString(b, o.ActorID)
	b = append(b, `,"log":`...)
	b = appendString(b, o.Log)
	b = append(b, `,"connId":`...)
	b = appendString(b, o.ConnID)
	if o.Owner != "" {
		b = append(b, `,"owner":`...)
		b = appendString(b, o.Owner)
	}
	if o.Resumed {
		b = append(b, `,"resumed":true`...)
	}
	if l := o.Lost; l != nil {
		b = append(b, `,"lost":{"reason":`...)
		b = appendString(b, l.Reason)
		b = append(b, `,"missed":`...)
		b = strconv.AppendUint(b, l.Missed, 10)
		b = append(b, `,"exact":`...)
		b = strconv.AppendBool(b, l.Exact)
		b = append(b, '}')
	}
	return append(b, '}')
}

// AppendAt appends the rest of an at.
func AppendAt(b []byte, seq uint64) []byte {
	b = append(b, `,"t":"at","s":`...)
	b = strconv.AppendUint(b, seq, 10)
	return append(b, '}')
}

// AppendClosed appends the rest of a closed. Its reconnect follows from the code
// (Reconnects).
func AppendClosed(b []byte, code Code, message string, metadata []byte) []byte {
	b = append(b, `,"t":"closed"`...)
	b = appendProblem(b, code, message, metadata)
	b = append(b, `,"reconnect":`...)
	b = strconv.AppendBool(b, Reconnects[code])
	return append(b, '}')
}

// AppendFinal is AppendClosed with a reconnect of false, whatever the code.
func AppendFinal(b []byte, code Code, message string, metadata []byte) []byte {
	b = appendProblem(append(b, `,"t":"closed"`...), code, message, metadata)
	return append(b, `,"reconnect":false}`...)
}

// AppendDestroyed is AppendClosed for an actor that was destroyed. highest is the highest
// call id of the client's caller that was executed; nil if that is not known.
func AppendDestroyed(b []byte, message string, highest *uint64) []byte {
	b = AppendFinal(b, CodeDestroyed, message, nil)
	if highest == nil {
		return b
	}
	b = append(b[:len(b)-1], `,"h":`...)
	return append(strconv.AppendUint(b, *highest, 10), '}')
}

// AppendError appends a whole error message; c is 0 if it concerns the socket.
func AppendError(b []byte, c uint32, code Code, message string, metadata []byte) []byte {
	if c == 0 {
		b = append(b, `{"t":"error"`...)
	} else {
		b = append(AppendHead(b, c), `,"t":"error"`...)
	}
	b = appendProblem(b, code, message, metadata)
	return append(b, '}')
}

// Hello is the content of a hello message. Times are in milliseconds.
type Hello struct {
	Limits   Limits   `json:"limits"`
	BeatMs   int64    `json:"beatMs"`
	DeadMs   int64    `json:"deadMs"`
	SpreadMs int64    `json:"spreadMs"`
	Contract string   `json:"contract,omitempty"` // the fingerprint; empty if it is not known
	Parts    []string `json:"parts,omitempty"`    // the fingerprints of its parts; in development only
	Socket   string   `json:"socket,omitempty"`   // over HTTP: the secret name of the socket, for posts and polls
}

// AppendHello appends a whole hello message.
func AppendHello(b []byte, h Hello) []byte {
	fields, err := json.Marshal(h)
	if err != nil {
		panic("wire: encode hello: " + err.Error()) // cannot happen unless Rate is NaN
	}
	b = append(b, `{"t":"hello","v":`...)
	b = strconv.AppendInt(b, Version, 10)
	b = append(b, ',')
	return append(b, fields[1:]...)
}

// Beat is the whole beat message, the same in both directions.
const Beat = `{"t":"beat"}`

// AppendBye appends a whole bye message.
func AppendBye(b []byte, delayMs int64) []byte {
	b = append(b, `{"t":"bye","delayMs":`...)
	b = strconv.AppendInt(b, delayMs, 10)
	return append(b, '}')
}

func appendProblem(b []byte, code Code, message string, metadata []byte) []byte {
	b = append(b, `,"code":`...)
	b = appendString(b, code)
	b = append(b, `,"message":`...)
	b = appendString(b, message)
	if len(metadata) > 0 {
		b = append(b, `,"metadata":`...)
		b = append(b, metadata...)
	}
	return b
}

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic("wire: encode string: " + err.Error()) // strings always encode
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
