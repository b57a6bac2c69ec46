package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/storetest"
	"github.com/troupe-dev/troupe/backend/wire"
)

// TestG9_BadInput: an invalid message gets a code, and the socket and its channels stay.
func TestG9_BadInput(t *testing.T) {
	long := strings.Repeat("x", 300)
	cases := []struct {
		name, frame string
		want        []string
	}{
		{"a message that is no object", `[1]`, []string{"error malformed"}},
		{"a message that is null", `[null]`, []string{"error malformed"}},
		{"a string among messages", `["open"]`, []string{"error malformed"}},
		{"an empty object", `{}`, []string{"error unknown_type"}},
		{"an unknown type", `{"t":"frobnicate","c":1}`, []string{"1 error unknown_type"}},
		{"a type that is no string", `{"t":7,"c":1}`, []string{"1 error malformed"}},
		{"a channel that is no number", `{"t":"call","c":"1","id":1}`, []string{"error malformed"}},
		{"a channel below zero", `{"t":"sub","c":-1}`, []string{"error malformed"}},
		{"a channel of 2^40", `{"t":"sub","c":1099511627776}`, []string{"error malformed"}},
		{"a call with wrong fields", `{"t":"call","c":1,"id":9,"a":7}`, []string{"1 fail #9 malformed"}},
		{"a call with args that are no list", `{"t":"call","c":1,"id":9,"a":"echo","args":{}}`, []string{"1 fail #9 malformed"}},
		{"a call without an id", `{"t":"call","c":1,"a":"echo","args":["x"]}`, []string{"1 error malformed"}},
		{"a call without a channel", `{"t":"call","id":9,"a":"echo","args":["x"]}`, []string{"error malformed"}},
		{"a call on an unknown channel", callFrame(77, 9, "echo", "x"), []string{"77 fail #9 unknown_channel"}},
		{"an unknown action", callFrame(1, 9, "frobnicate"), []string{"1 fail #9 unknown_action"}},
		{"a hook as an action", callFrame(1, 9, "onConnect"), []string{"1 fail #9 unknown_action"}},
		{"too few arguments", callFrame(1, 9, "echo"), []string{"1 fail #9 invalid_args"}},
		{"too many arguments", callFrame(1, 9, "echo", "x", "y"), []string{"1 fail #9 invalid_args"}},
		{"an argument of the wrong type", callFrame(1, 9, "echo", 7), []string{"1 fail #9 invalid_args"}},
		{"an action that panics", callFrame(1, 9, "panic"), []string{"1 fail #9 internal_error"}},
		{"a sub on an unknown channel", `{"t":"sub","c":77,"e":["said"]}`, []string{"77 error unknown_channel"}},
		{"an unsub on an unknown channel", `{"t":"unsub","c":77,"e":["said"]}`, nil},
		{"an ack on an unknown channel", `{"t":"ack","c":77,"s":1}`, nil},
		{"a close on an unknown channel", `{"t":"close","c":77}`, nil},
		{"a sub to an unknown event", `{"t":"sub","c":1,"e":["nope","said"]}`, []string{`1 error unknown_event{"event":"nope"}`}},
		{"a sub to too many events", `{"t":"sub","c":1,"e":["a"` + strings.Repeat(`,"a"`, 256) + `]}`, []string{"1 error malformed"}},
		{"an open without a channel", openFrame(0, "x"), []string{"error malformed"}},
		{"an open on a channel that is open", openFrame(1, "x"), []string{"1 error channel_in_use"}},
		{"an open of an unknown actor", openFrame(2, "x", `"actor":"nope"`), []string{"2 closed unknown_actor false"}},
		{"an open without an actor", openFrame(3, "x", `"actor":""`), []string{"3 closed unknown_actor false"}},
		{"an open without a key", openFrame(4, "x", `"key":null`), []string{"4 closed bad_key false"}},
		{"an open with a key of numbers", openFrame(5, "x", `"key":[1]`), []string{"5 closed bad_key false"}},
		{"an open with a long key", openFrame(6, "x", `"key":["`+long+`"]`), []string{"6 closed bad_key false"}},
		{"an open with a short secret", openFrame(7, "x", `"k":"abc"`), []string{"7 closed bad_secret false"}},
		{"an open with a padded secret", openFrame(8, "x", `"k":"`+secretOf("x")+`=="`), []string{"8 closed bad_secret false"}},
		{"an open without a caller", openFrame(9, "x", `"caller":""`), []string{"9 closed bad_secret false"}},
		{"an open with wrong fields", `{"t":"open","c":10,"actor":7}`, []string{"10 closed malformed false"}},
		{"an open that OnBeforeConnect refuses", openFrame(11, "x", `"params":{"refuse":"not_today"}`), []string{`11 closed not_today false["why"]`}},
		{"an open with params of the wrong type", openFrame(12, "x", `"params":{"refuse":7}`), []string{"12 closed invalid_params false"}},
		{"an open with large params", openFrame(13, "x", `"params":{"x":"`+strings.Repeat("x", 4<<10)+`"}`),
			[]string{`13 closed too_large false{"size":4104,"limit":4096,"option":"params"}`}},
		{"an open of an actor that must exist", openFrame(14, "x", `"key":["nobody"]`, `"create":false`), []string{"14 closed not_found false"}},
		{"an open by an id that is none", openFrame(15, "x", `"actorId":"nope"`), []string{"15 closed not_found false"}},
		{"an open with an unknown event", openFrame(16, "x", `"key":["y"]`, `"subs":["nope","said"]`),
			[]string{`16 error unknown_event{"event":"nope"}`, "16 opened 0", "16 at 0"}},
		{"a channel that was refused before", openFrame(11, "x"), []string{"11 error channel_in_use"}},
		{"a large call", callFrame(1, 9, "echo", strings.Repeat("x", 64<<10)), []string{`1 fail #9 too_large{"size":6558`}},
		{"a large open", openFrame(17, strings.Repeat("x", 1), `"input":"`+strings.Repeat("x", 64<<10)+`"`), []string{"17 closed too_large false"}},
		{"a large sub", `{"t":"sub","c":1,"e":["` + strings.Repeat("x", 64<<10) + `"]}`, []string{"1 error too_large"}},
		{"good and bad in one frame", "[" + callFrame(1, 9, "echo", "x") + `,7,` + callFrame(1, 10, "nope") + "]",
			[]string{"error malformed", `1 reply 0 #9 "x"`, "1 fail #10 unknown_action"}},
	}
	runOver(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada")
		e.settle()
		c.take()
		for i, tc := range cases {
			// Call ids rise; those in the table stand for the next ones.
			id := 100 + 3*i
			ids := strings.NewReplacer(`"id":9,`, fmt.Sprintf(`"id":%d,`, id), `"id":10,`, fmt.Sprintf(`"id":%d,`, id+1),
				"#9", fmt.Sprint("#", id), "#10", fmt.Sprint("#", id+1))
			c.send(ids.Replace(tc.frame))
			e.settle()
			// An error has no place among the outputs of an actor: compare without order.
			got, want := c.take(), slices.Sorted(slices.Values(tc.want))
			slices.Sort(got)
			if len(got) != len(want) {
				t.Fatalf("%s: got %q, want %q", tc.name, got, tc.want)
			}
			for n := range got {
				if !strings.HasPrefix(got[n], ids.Replace(want[n])) {
					t.Fatalf("%s: got %q, want %q", tc.name, got, tc.want)
				}
			}
			// What was open works on.
			c.call(1, id+2, "echo", "still here")
			e.settle()
			c.expect(fmt.Sprintf(`1 reply 0 #%d "still here"`, id+2))
		}
	}, gatewayOptions(gateway.Options{Limits: wire.Limits{Rate: 1e6, Burst: 1e6}}))
}

// TestG9_BrokenProtocol: frames that are not JSON, not UTF-8 or too large end the socket.
func TestG9_BrokenProtocol(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		for _, tc := range []struct {
			name, frame string
			typ         websocket.MessageType
			want        websocket.StatusCode
		}{
			{"not JSON", `{"t":"open"`, websocket.MessageText, websocket.StatusPolicyViolation},
			{"nothing", ``, websocket.MessageText, websocket.StatusPolicyViolation},
			{"a number", `7`, websocket.MessageText, websocket.StatusPolicyViolation},
			{"binary", `{"t":"beat"}`, websocket.MessageBinary, websocket.StatusPolicyViolation},
			{"not UTF-8", `{"t":"call","c":1,"id":1,"a":"echo","args":["` + "\xff" + `"]}`, websocket.MessageText, websocket.StatusInvalidFramePayloadData},
			{"not UTF-8, and larger than the buffer of a link", `{"t":"call","c":1,"id":1,"a":"echo","args":["` + strings.Repeat("x", 300) + "\xed\xa0\x80" + `"]}`, websocket.MessageText, websocket.StatusInvalidFramePayloadData},
			{"too large", `"` + strings.Repeat("x", 256<<10) + `"`, websocket.MessageText, websocket.StatusMessageTooBig},
		} {
			c := e.dial()
			c.open(1, tc.name)
			e.settle()
			c.take()
			if err := c.ws.Write(context.Background(), tc.typ, []byte(tc.frame)); err != nil {
				t.Log(err) // the server need not read to the end
			}
			time.Sleep(10 * time.Second)
			if got := c.status(); got != tc.want {
				t.Errorf("%s: got status %d, want %d", tc.name, got, tc.want)
			}
		}
		e.settle()
		if n := e.g.Sockets(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
	})
}

// TestG9_BrokenFrames: every way to break the framing of WebSockets ends the socket with
// 1002 and the reason, as soon as the frame's header has come and without reading the
// rest of it.
func TestG9_BrokenFrames(t *testing.T) {
	const mask = "\x00\x00\x00\x00"
	beat := `{"t":"beat"}`
	whole := "\x81\x8c" + mask + beat
	run(t, func(t *testing.T, e *env) {
		for _, tc := range []struct{ name, header, reason string }{
			{"unmasked", "\x81\x0c", "a client's frame is not masked"},
			{"an unmasked ping", "\x89\x00", "a client's frame is not masked"},
			{"an unmasked continuation", "\x01\x81" + mask + "{\x80\x0b", "a client's frame is not masked"},
			{"a length with the top bit set", "\x81\xff\x80", "a frame has a negative length"},
			{"the same of a continuation", "\x01\x81" + mask + "{\x80\xff\xff", "a frame has a negative length"},
			{"reserved bit 1", "\xc1", "a frame has a reserved bit"},
			{"reserved bit 2", "\xa1", "a frame has a reserved bit"},
			{"reserved bit 3 of a ping", "\x99", "a frame has a reserved bit"},
			{"a reserved opcode of data", "\x83", "a frame has an unknown opcode"},
			{"a reserved opcode of control", "\x8b", "a frame has an unknown opcode"},
			{"a fragmented ping", "\x09", "a control frame is fragmented"},
			{"a fragmented close", "\x08", "a control frame is fragmented"},
			{"a ping of 126 bytes", "\x89\xfe", "a control frame is too long"},
			{"a close whose length is in 8 bytes", "\x88\xff", "a control frame is too long"},
			{"a continuation without a start", "\x80", "a continuation continues no message"},
			{"a second message in a message", "\x01\x81" + mask + "{\x81", "a message starts before the last one has ended"},
			{"behind a whole frame", whole + "\x81\x0c", "a client's frame is not masked"},
			{"behind a ping in a message", "\x01\x81" + mask + "{\x89\x80" + mask + "\x82", "a message starts before the last one has ended"},
		} {
			c := e.dial()
			c.open(1, tc.name)
			e.settle()
			c.take()
			go func() { _, _ = c.conn.Write([]byte(tc.header)) }()
			e.settle()
			c.mu.Lock()
			var closed websocket.CloseError
			if !errors.As(c.closeErr, &closed) || closed.Code != websocket.StatusProtocolError || closed.Reason != tc.reason {
				t.Errorf("%s: got %v, want 1002, %s", tc.name, c.closeErr, tc.reason)
			}
			c.mu.Unlock()
			c.cut()
		}
		e.settle()
		time.Sleep(10 * time.Second)
		if n := e.g.Sockets(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
	})
}

// TestG9_RandomMessages: messages that are nearly valid do no harm.
func TestG9_RandomMessages(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		seeds := []string{
			openFrame(1, "ada", `"subs":["said"]`, resume("x", 3), `"ack":1`, `"create":true`, `"input":{}`, `"params":{"greet":true}`),
			callFrame(1, 2, "say", "x"), callFrame(1, 3, "burst", 2, 3), callFrame(1, 4, "bounce"),
			`{"t":"sub","c":1,"e":["said","moved"]}`, `{"t":"unsub","c":1,"e":["said"]}`,
			`{"t":"ack","c":1,"s":22,"ack":7}`, `{"t":"close","c":1}`, `{"t":"beat"}`,
		}
		bits := []string{"0", "1", "-1", "99999999999999999999", "null", `"x"`, "[]", "{}", "true", "1e3", `"said"`, `"ada"`}
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		frames := 5000
		if testing.Short() {
			frames = 1000
		}
		c := e.dial()
		for i := range frames {
			if i%500 == 499 {
				c.cut()
				c = e.dial()
			}
			frame := seeds[r.IntN(len(seeds))]
			for range r.IntN(3) { // one value for another
				parts := strings.FieldsFunc(frame, func(r rune) bool { return strings.ContainsRune("{}[],:", r) })
				frame = strings.Replace(frame, parts[r.IntN(len(parts))], bits[r.IntN(len(bits))], 1)
			}
			if _, err := wire.Split([]byte(frame)); err != nil {
				continue
			}
			c.send(frame)
		}
		e.settle()
		c.isOpen()
		c = e.dial()
		c.open(1, "bob")
		e.settle()
		if got := c.take(); len(got) != 2 {
			t.Errorf("got %q", got)
		}
		if logs := e.logs.String(); strings.Contains(logs, "panic") {
			t.Error(logs)
		}
	}, gatewayOptions(gateway.Options{OpenRate: 1e6, OpenBurst: 1e6, Limits: wire.Limits{Rate: 1e6, Burst: 1e6}}))
}

// TestG9_Flood: over the rate, messages are refused, with a time to retry after.
func TestG9_Flood(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada")
		e.settle()
		c.take()
		for i := range 1000 {
			c.call(1, i+1, "mark")
		}
		e.settle()
		replies, limited := 0, 0
		for _, m := range c.takeMessages() {
			switch {
			case m.Type == wire.TypeReply:
				replies++
			case m.Type == wire.TypeFail && m.Code == wire.CodeRateLimited && strings.HasPrefix(string(m.Metadata), `{"limit":100,"option":"rate","retryAfterMs":`):
				limited++
			default:
				t.Fatalf("got %s", brief(m))
			}
		}
		most := 210
		if e.away {
			most = 500 // the posts take longer
		}
		if replies < 200 || replies > most || replies+limited != 1000 {
			t.Errorf("got %d replies and %d refusals, want 200 and 800", replies, limited)
		}
		for range 1000 {
			c.send(`{"t":"ack","c":1,"s":1}`)
		}
		e.settle()
		if got := c.take(); len(got) > 2 {
			t.Errorf("got %d answers to messages that have none, want one a second", len(got))
		}
		for range 1000 {
			c.send(`{"t":"beat"}`) // beats cost nothing
		}
		time.Sleep(2 * time.Second)
		c.take()
		c.call(1, 2000, "echo", "still here")
		e.settle()
		c.expect(`1 reply ` + fmt.Sprint(replies) + ` #2000 "still here"`)
	}, gatewayOptions(gateway.Options{Limits: wire.Limits{InFlight: 1000}}))
}

// TestG9_FloodOfOpens: opens have a rate of their own.
func TestG9_FloodOfOpens(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		c := e.dial()
		for i := range 8 {
			c.open(i+1, fmt.Sprint("c", i))
		}
		e.settle()
		got := strings.Join(c.take(), "\n")
		for _, want := range []string{"5 at", "6 closed too_many_channels false", `8 closed rate_limited true{"limit":0.5,"option":"openRate","retryAfterMs":`} {
			if !strings.Contains(got, want) {
				t.Errorf("got\n%s\nwant %q in it", got, want)
			}
		}
		if strings.Contains(got, "6 opened") {
			t.Errorf("got\n%s", got)
		}
	}, gatewayOptions(gateway.Options{OpenRate: 0.5, Limits: wire.Limits{Channels: 5}, OpenBurst: 7}))
}

// TestG9_InFlight: calls beyond the window fail, and those within are answered.
func TestG9_InFlight(t *testing.T) {
	var held *storetest.HeldStore
	runOver(t, func(t *testing.T, e *env) {
		c := e.dial()
		held.ReleaseAll()
		c.open(1, "ada")
		e.settle()
		c.take()
		held.HoldAgain()
		for i := range 66 {
			c.call(1, i+1, "mark")
		}
		e.settle()
		const full = ` overloaded{"limit":64,"option":"inFlight"}`
		c.expect("1 fail #65"+full, "1 fail #66"+full)
		held.ReleaseAll()
		e.settle()
		if got := c.take(); len(got) != 64 {
			t.Errorf("got %d answers, want 64", len(got))
		}
		c.call(1, 67, "mark")
		e.settle()
		c.expect("1 reply 65 #67 65")
	}, func(e *env) {
		held = storetest.Held(memory.New(memory.Options{}))
		e.store = held
	})
}

// TestG9_InFlight_SameID: a call that is repeated while it waits for its answer is
// ignored, and does not bypass the limit.
func TestG9_InFlight_SameID(t *testing.T) {
	var held *storetest.HeldStore
	run(t, func(t *testing.T, e *env) {
		held.ReleaseAll()
		c := e.dial()
		c.open(1, "ada")
		e.settle()
		c.take()
		held.HoldAgain()
		c.call(1, 1, "mark")
		for range 50 {
			c.call(1, 2, "echo", "x")
		}
		e.settle()
		c.expect()
		held.ReleaseAll()
		e.settle()
		c.expect("1 reply 1 #1 1", `1 reply 1 #2 "x"`)
		c.call(1, 2, "echo", "again") // an answered one that is read-only runs again
		e.settle()
		c.expect(`1 reply 1 #2 "again"`)
	}, func(e *env) {
		held = storetest.Held(memory.New(memory.Options{}))
		e.store = held
	})
}

// TestG9_SubscriptionsBeforeTheAnswer: subscriptions to an actor that is not known yet,
// which may have any event, are limited.
func TestG9_SubscriptionsBeforeTheAnswer(t *testing.T) {
	var held *storetest.HeldStore
	run(t, func(t *testing.T, e *env) {
		held.ReleaseAll()
		e.say("hello")
		id := e.lobby()
		held.HoldAgain()
		c := e.dial()
		c.open(1, "ada", `"actorId":"`+id+`"`)
		for i := range 3 {
			var events []string
			for n := range 100 {
				events = append(events, fmt.Sprintf("%q", fmt.Sprint("event", i, "-", n)))
			}
			c.send(`{"t":"sub","c":1,"e":[` + strings.Join(events, ",") + `]}`)
		}
		e.settle()
		c.expect(`1 error malformed{"limit":256,"option":"subs"}`)
		held.ReleaseAll()
	}, func(e *env) {
		held = storetest.Held(memory.New(memory.Options{}))
		e.store = held
	})
}

// TestG9_AConnectionIDIsNoSecret: knowing the id of a connection does not open it.
func TestG9_AConnectionIDIsNoSecret(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		ada := e.dial()
		ada.open(1, "ada")
		e.settle()
		log := ada.logOf(1)
		ada.take()
		eve := e.dial()
		eve.open(1, "eve", `"k":"`+connOf("ada")+`"`, resume(log, 0))
		e.settle()
		got := eve.takeMessages()
		if len(got) == 0 || got[0].Type != wire.TypeOpened || got[0].Resumed || got[0].ConnID == connOf("ada") {
			t.Fatalf("got %+v, want another connection", got)
		}
		e.once("whisper", fmt.Sprintf("%q", connOf("ada")), `"psst"`)
		e.settle()
		eve.expect()
		ada.expect(`1 event 1 whispered "psst"`)
	})
}

// TestG9_ReplacedSocket: the newest socket has the connection; a late message of an older
// one has no effect.
func TestG9_ReplacedSocket(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		old := e.dial()
		old.open(1, "ada", `"subs":["said"]`)
		e.settle()
		log := old.logOf(1)
		old.take()
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`, resume(log, 0))
		old.call(1, 1, "say", "late")
		e.settle()
		if got := old.take(); got[0] != "1 closed replaced false" && got[0] != `1 event 1 said "late"` {
			t.Errorf("got %q", got)
		}
		c.take()
		old.call(1, 2, "say", "later")
		e.settle()
		old.expect("1 fail #2 unknown_channel")
		old.isOpen()
		c.expect()
		c.call(1, 3, "echo", "me")
		e.settle()
		if got := c.take(); len(got) != 1 || !strings.Contains(got[0], `#3 "me"`) {
			t.Errorf("got %q", got)
		}
		old.cut() // is no drop of the connection
		e.say("on")
		e.settle()
		if got := c.take(); len(got) != 1 {
			t.Errorf("got %q", got)
		}
	})
}

// TestG3_AnOpenThatIsReadLateReplacesNothing: what an older socket had under way when its
// client came back on a newer one does not end the connection.
func TestG3_AnOpenThatIsReadLateReplacesNothing(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		old := e.dial()
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		e.settle()
		c.take()
		old.open(1, "ada", `"subs":["said"]`)
		e.settle()
		old.expect("1 closed replaced false")
		e.say("on")
		e.settle()
		c.expect(`1 event 1 said "on"`)
	})
}
