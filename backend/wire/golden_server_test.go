package wire_test

import (
	"strings"

	"github.com/troupe-dev/troupe/backend/wire"
)

// on appends the rest of a message to the head of channel c.
func on(c uint32, rest func([]byte) []byte) string { return string(rest(wire.AppendHead(nil, c))) }

// serverFrames are frames as the server writes them, and what a client decodes.
var serverFrames = []struct {
	name, note, frame string
	want              []wire.ServerMessage
}{
	{
		"hello", "the first message on a socket",
		string(wire.AppendHello(nil, wire.Hello{Limits: wire.DefaultLimits, BeatMs: 15000, DeadMs: 25000})),
		[]wire.ServerMessage{{Type: "hello", Version: 1, Limits: &wire.DefaultLimits, BeatMs: 15000, DeadMs: 25000}},
	},
	{
		"hello-spread", "a busy server asks its clients to spread their first attempts",
		string(wire.AppendHello(nil, wire.Hello{Limits: wire.DefaultLimits, BeatMs: 15000, DeadMs: 25000, SpreadMs: 2500})),
		[]wire.ServerMessage{{Type: "hello", Version: 1, Limits: &wire.DefaultLimits, BeatMs: 15000, DeadMs: 25000, SpreadMs: 2500}},
	},
	{
		"hello-contract", "with the contract of the server, in development with its parts",
		string(wire.AppendHello(nil, wire.Hello{
			Limits: wire.DefaultLimits, BeatMs: 15000, DeadMs: 25000,
			Contract: "Zm9vYmFyYmF6", Parts: []string{"chatRoom.sendMessage():Zm9v", "chatRoom.on(typing):YmFy"},
		})),
		[]wire.ServerMessage{{
			Type: "hello", Version: 1, Limits: &wire.DefaultLimits, BeatMs: 15000, DeadMs: 25000,
			Contract: "Zm9vYmFyYmF6", Parts: []string{"chatRoom.sendMessage():Zm9v", "chatRoom.on(typing):YmFy"},
		}},
	},
	{
		"hello-http", "over HTTP the socket has a name, which is a secret",
		string(wire.AppendHello(nil, wire.Hello{Limits: wire.DefaultLimits, BeatMs: 15000, DeadMs: 25000, Socket: "c29ja2V0LW9mLWEtcGFnZQ"})),
		[]wire.ServerMessage{{Type: "hello", Version: 1, Limits: &wire.DefaultLimits, BeatMs: 15000, DeadMs: 25000, Socket: "c29ja2V0LW9mLWEtcGFnZQ"}},
	},
	{
		"opened", "a new connection",
		on(1, func(b []byte) []byte {
			return wire.AppendOpened(b, wire.Opened{Seq: 19, ActorID: "q83vASNFZ4mrze8BI0VniQ", Log: "Zm9vYmFyYmF6cXV4MTIzNA", ConnID: "Y29ubmVjdGlvbi1pZC0xMg"})
		}),
		[]wire.ServerMessage{{Channel: 1, Type: "opened", Seq: 19, ActorID: "q83vASNFZ4mrze8BI0VniQ", Log: "Zm9vYmFyYmF6cXV4MTIzNA", ConnID: "Y29ubmVjdGlvbi1pZC0xMg"}},
	},
	{
		"opened-first", "an actor without entries: s is 0",
		on(500, func(b []byte) []byte {
			return wire.AppendOpened(b, wire.Opened{ActorID: "a", Log: "l", ConnID: "c"})
		}),
		[]wire.ServerMessage{{Channel: 500, Type: "opened", ActorID: "a", Log: "l", ConnID: "c"}},
	},
	{
		"opened-resumed", "resumed, and everything after s follows",
		on(1, func(b []byte) []byte {
			return wire.AppendOpened(b, wire.Opened{Seq: 19, ActorID: "a", Log: "l", ConnID: "c", Resumed: true})
		}),
		[]wire.ServerMessage{{Channel: 1, Type: "opened", Seq: 19, ActorID: "a", Log: "l", ConnID: "c", Resumed: true}},
	},
	{
		"opened-lost", "resumed, but the log no longer has what was missed",
		on(1, func(b []byte) []byte {
			return wire.AppendOpened(b, wire.Opened{
				Seq: 1900, ActorID: "a", Log: "l", ConnID: "c", Resumed: true,
				Lost: &wire.Lost{Reason: wire.ReasonOverflow, Missed: 320},
			})
		}),
		[]wire.ServerMessage{{
			Channel: 1, Type: "opened", Seq: 1900, ActorID: "a", Log: "l", ConnID: "c", Resumed: true,
			Lost: &wire.Lost{Reason: "overflow", Missed: 320},
		}},
	},
	{
		"opened-expired", "away for too long: a new connection; missed is exact",
		on(1, func(b []byte) []byte {
			return wire.AppendOpened(b, wire.Opened{
				Seq: 30, ActorID: "a", Log: "l", ConnID: "c",
				Lost: &wire.Lost{Reason: wire.ReasonExpired, Missed: 3, Exact: true},
			})
		}),
		[]wire.ServerMessage{{
			Channel: 1, Type: "opened", Seq: 30, ActorID: "a", Log: "l", ConnID: "c",
			Lost: &wire.Lost{Reason: "expired", Missed: 3, Exact: true},
		}},
	},
	{
		"event", "",
		on(1, func(b []byte) []byte { return wire.AppendEvent(b, 20, "messageDeleted", []byte(`{"messageId":"m1"}`)) }),
		[]wire.ServerMessage{{Channel: 1, Type: "event", Seq: 20, Event: "messageDeleted", Data: raw(`{"messageId":"m1"}`)}},
	},
	{
		"event-unicode", "characters that need care in JSON or in JavaScript",
		on(3, func(b []byte) []byte {
			return wire.AppendEvent(b, 21, "messageReceived", []byte(`{"name":"zoë 🎭","text":"a\nb \u2028 \"q\" \\ \u003cb\u003e"}`))
		}),
		[]wire.ServerMessage{{
			Channel: 3, Type: "event", Seq: 21, Event: "messageReceived",
			Data: raw(`{"name":"zoë 🎭","text":"a\nb \u2028 \"q\" \\ \u003cb\u003e"}`),
		}},
	},
	{
		"event-null", "an event type that encodes to null",
		on(1, func(b []byte) []byte { return wire.AppendEvent(b, 22, "gameStarted", []byte(`null`)) }),
		[]wire.ServerMessage{{Channel: 1, Type: "event", Seq: 22, Event: "gameStarted", Data: raw(`null`)}},
	},
	{
		"event-big-number", "s is an integer up to 2^53-1 in practice",
		on(1, func(b []byte) []byte { return wire.AppendEvent(b, 9007199254740991, "tick", []byte(`0`)) }),
		[]wire.ServerMessage{{Channel: 1, Type: "event", Seq: 9007199254740991, Event: "tick", Data: raw(`0`)}},
	},
	{
		"reply", "",
		on(1, func(b []byte) []byte { return wire.AppendReply(b, 21, 7, []byte(`{"id":"m1","text":"hello"}`)) }),
		[]wire.ServerMessage{{Channel: 1, Type: "reply", Seq: 21, ID: 7, Data: raw(`{"id":"m1","text":"hello"}`)}},
	},
	{
		"reply-empty", "the action returns nothing: no d",
		on(1, func(b []byte) []byte { return wire.AppendReply(b, 22, 8, nil) }),
		[]wire.ServerMessage{{Channel: 1, Type: "reply", Seq: 22, ID: 8}},
	},
	{
		"reply-null", "the action returns null",
		on(1, func(b []byte) []byte { return wire.AppendReply(b, 22, 9, []byte(`null`)) }),
		[]wire.ServerMessage{{Channel: 1, Type: "reply", Seq: 22, ID: 9, Data: raw(`null`)}},
	},
	{
		"fail", "an action's own error",
		on(1, func(b []byte) []byte {
			return wire.AppendFail(b, 22, 10, "empty_message", "a message needs a text", nil)
		}),
		[]wire.ServerMessage{{Channel: 1, Type: "fail", Seq: 22, ID: 10, Code: "empty_message", Message: "a message needs a text"}},
	},
	{
		"fail-metadata", "over a limit",
		on(1, func(b []byte) []byte {
			return wire.AppendFail(b, 0, 11, wire.CodeTooLarge, "a message is at most 65536 bytes, this one has 70000", []byte(`{"size":70000,"limit":65536,"option":"message"}`))
		}),
		[]wire.ServerMessage{{
			Channel: 1, Type: "fail", ID: 11, Code: "too_large", Message: "a message is at most 65536 bytes, this one has 70000",
			Metadata: raw(`{"size":70000,"limit":65536,"option":"message"}`),
		}},
	},
	{
		"fail-ran", "the call ran earlier, its result is no longer kept",
		on(1, func(b []byte) []byte { return wire.AppendFail(b, 22, 3, wire.CodeRan, "the call ran", nil) }),
		[]wire.ServerMessage{{Channel: 1, Type: "fail", Seq: 22, ID: 3, Code: "ran", Message: "the call ran"}},
	},
	{
		"at", "the end of an opening, or of a long silence",
		on(1, func(b []byte) []byte { return wire.AppendAt(b, 22) }),
		[]wire.ServerMessage{{Channel: 1, Type: "at", Seq: 22}},
	},
	{
		"closed", "without reconnecting",
		on(1, func(b []byte) []byte { return wire.AppendClosed(b, wire.CodeReplaced, "opened elsewhere", nil) }),
		[]wire.ServerMessage{{Channel: 1, Type: "closed", Code: "replaced", Message: "opened elsewhere"}},
	},
	{
		"closed-reconnect", "opening again makes sense",
		on(1, func(b []byte) []byte { return wire.AppendClosed(b, wire.CodeUnavailable, "try again", nil) }),
		[]wire.ServerMessage{{Channel: 1, Type: "closed", Code: "unavailable", Message: "try again", Reconnect: true}},
	},
	{
		"closed-metadata", "rate_limited says when to try again",
		on(1, func(b []byte) []byte {
			return wire.AppendClosed(b, wire.CodeRateLimited, "too many opens", []byte(`{"retryAfterMs":120}`))
		}),
		[]wire.ServerMessage{{
			Channel: 1, Type: "closed", Code: "rate_limited", Message: "too many opens", Metadata: raw(`{"retryAfterMs":120}`), Reconnect: true,
		}},
	},
	{
		"closed-refused", "an actor's own code, from OnBeforeConnect; metadata as the actor gave it",
		on(1, func(b []byte) []byte {
			return wire.AppendClosed(b, "player_id_required", "a player needs an id — “playerId”", []byte(`["playerId"]`))
		}),
		[]wire.ServerMessage{{
			Channel: 1, Type: "closed", Code: "player_id_required", Message: "a player needs an id — “playerId”", Metadata: raw(`["playerId"]`),
		}},
	},
	{
		"closed-destroyed", "the actor is gone: of the calls without an answer those up to 7 ran",
		on(1, func(b []byte) []byte { return wire.AppendDestroyed(b, "the actor was destroyed", new(uint64(7))) }),
		[]wire.ServerMessage{{Channel: 1, Type: "closed", Code: "destroyed", Message: "the actor was destroyed", Highest: new(uint64(7))}},
	},
	{
		"closed-destroyed-none", "and no call ran",
		on(1, func(b []byte) []byte { return wire.AppendDestroyed(b, "the actor was destroyed", new(uint64(0))) }),
		[]wire.ServerMessage{{Channel: 1, Type: "closed", Code: "destroyed", Message: "the actor was destroyed", Highest: new(uint64)}},
	},
	{
		"closed-destroyed-unknown", "and it is not known which calls ran",
		on(1, func(b []byte) []byte { return wire.AppendDestroyed(b, "the actor was destroyed", nil) }),
		[]wire.ServerMessage{{Channel: 1, Type: "closed", Code: "destroyed", Message: "the actor was destroyed"}},
	},
	{
		"error", "about a channel",
		string(wire.AppendError(nil, 1, wire.CodeUnknownEvent, `chatRoom has no event "nope"`, []byte(`{"event":"nope"}`))),
		[]wire.ServerMessage{{
			Channel: 1, Type: "error", Code: "unknown_event", Message: `chatRoom has no event "nope"`, Metadata: raw(`{"event":"nope"}`),
		}},
	},
	{
		"error-socket", "about the socket: no c",
		string(wire.AppendError(nil, 0, wire.CodeMalformed, "a message is an object", nil)),
		[]wire.ServerMessage{{Type: "error", Code: "malformed", Message: "a message is an object"}},
	},
	{
		"beat-from-server", "to be answered with a beat",
		wire.Beat,
		[]wire.ServerMessage{{Type: "beat"}},
	},
	{
		"bye", "the server is going away; reconnect 700 ms after it closed the socket",
		string(wire.AppendBye(nil, 700)),
		[]wire.ServerMessage{{Type: "bye", DelayMs: 700}},
	},
	{
		"bye-now", "reconnect at once",
		string(wire.AppendBye(nil, 0)),
		[]wire.ServerMessage{{Type: "bye"}},
	},
	{
		"array-from-server", "a drain with several messages, of two channels",
		"[" + strings.Join([]string{
			on(1, func(b []byte) []byte {
				return wire.AppendOpened(b, wire.Opened{Seq: 19, ActorID: "a", Log: "l", ConnID: "c"})
			}),
			on(1, func(b []byte) []byte { return wire.AppendEvent(b, 20, "membersChanged", []byte(`{"members":[]}`)) }),
			on(2, func(b []byte) []byte {
				return wire.AppendEvent(b, 7, "typing", []byte(`{"userId":"u1","typing":true}`))
			}),
			on(1, func(b []byte) []byte { return wire.AppendAt(b, 20) }),
		}, ",") + "]",
		[]wire.ServerMessage{
			{Channel: 1, Type: "opened", Seq: 19, ActorID: "a", Log: "l", ConnID: "c"},
			{Channel: 1, Type: "event", Seq: 20, Event: "membersChanged", Data: raw(`{"members":[]}`)},
			{Channel: 2, Type: "event", Seq: 7, Event: "typing", Data: raw(`{"userId":"u1","typing":true}`)},
			{Channel: 1, Type: "at", Seq: 20},
		},
	},
}
