package gateway_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/wire"
)

// TestG2_OneOrder: connections see events in the same order, and an action's
// events before its reply, also when the reader's link breaks.
func TestG2_OneOrder(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		const clients = 5
		calls := 200
		if testing.Short() {
			calls = 50
		}
		var all []*client
		for i := range clients {
			c := e.dial()
			c.open(1, fmt.Sprint("c", i), `"subs":["said"]`)
			all = append(all, c)
		}
		e.settle()
		for _, c := range all {
			c.expect("1 opened 0", "1 at 0")
		}
		for n := range calls {
			for i, c := range all {
				c.call(1, n+1, "say", fmt.Sprintf("%d/%d", i, n+1))
			}
			time.Sleep(time.Millisecond)
		}
		e.settle()
		var order []string
		for i, c := range all {
			var events []string
			heard := map[string]bool{}
			replies := uint64(0)
			last := uint64(0)
			for _, m := range c.takeMessages() {
				if m.Seq <= last {
					t.Fatalf("got number %d after %d", m.Seq, last)
				}
				last = m.Seq
				switch m.Type {
				case wire.TypeEvent:
					events = append(events, string(m.Data))
					heard[string(m.Data)] = true
				case wire.TypeReply:
					if replies++; m.ID != replies {
						t.Fatalf("got the reply of call %d as the %d.", m.ID, replies)
					}
					if !heard[fmt.Sprintf(`"%d/%d"`, i, m.ID)] {
						t.Fatalf("got the reply of call %d before its event", m.ID)
					}
				default:
					t.Fatalf("got %s", brief(m))
				}
			}
			if len(events) != clients*calls || replies != uint64(calls) {
				t.Fatalf("got %d events and %d replies, want %d and %d", len(events), replies, clients*calls, calls)
			}
			if order == nil {
				order = events
			} else if !slices.Equal(order, events) {
				t.Fatalf("client %d has another order", i)
			}
		}
	}, gatewayOptions(gateway.Options{Limits: wire.Limits{Rate: 1e6, Burst: 1e6, InFlight: 1000}}))
}

// TestG2_OwnJoining: what OnConnect emits reaches the newcomer.
func TestG2_OwnJoining(t *testing.T) {
	clients := 10
	if testing.Short() {
		clients = 3
	}
	runOver(t, func(t *testing.T, e *env) {
		for i := range clients {
			c := e.dial()
			for n := range 100 {
				name := fmt.Sprintf("%d/%d", i, n)
				c.open(n+1, name, fmt.Sprintf(`"key":[%q]`, name), `"subs":["joined"]`, `"params":{"greet":true}`)
			}
			got := c.await("all", func(got []wire.ServerMessage) bool { return len(got) == 400 })
			lines := map[uint32][]string{}
			for _, m := range got {
				lines[m.Channel] = append(lines[m.Channel], brief(m))
			}
			for n := range 100 {
				want := []string{
					fmt.Sprintf("%d opened 0", n+1),
					fmt.Sprintf(`%d event 1 joined %q`, n+1, connOf(fmt.Sprintf("%d/%d", i, n))),
					fmt.Sprintf(`%d event 2 welcome "hello"`, n+1),
					fmt.Sprintf("%d at 2", n+1),
				}
				if got := lines[uint32(n+1)]; !slices.Equal(got, want) {
					t.Fatalf("got %q, want %q", got, want)
				}
			}
		}
	})
}

// TestSubscriptions: sub starts now, unsub ends at once, and events without a
// subscription do not come.
func TestSubscriptions(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada")
		c.send(`{"t":"sub","c":1,"e":["moved"]}`) // before it is open
		e.settle()
		c.expect("1 opened 0", "1 at 0")
		e.say("one")
		e.once("move", `"a"`)
		e.settle()
		c.expect(`1 event 1 moved "a"`)
		c.send(`{"t":"sub","c":1,"e":["said"]}`, `{"t":"unsub","c":1,"e":["moved"]}`)
		e.settle()
		e.say("two")
		e.once("move", `"b"`)
		e.settle()
		c.expect(`1 event 2 said "two"`)
		c.send(`{"t":"unsub","c":1,"e":["said"]}`)
		e.settle()
		e.say("three")
		e.settle()
		c.send(`{"t":"sub","c":1,"e":["said"]}`)
		e.settle()
		e.say("four")
		e.settle()
		c.expect(`1 event 4 said "four"`)
	})
}

// TestSubIsNotRetroactive: a subscription does not bring what was published before it,
// although the cursor has not passed that yet.
func TestSubIsNotRetroactive(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		if e.lagging {
			t.Skip("what a copy has not got is still to come")
		}
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		e.settle()
		c.take()
		c.pause(true)
		e.say("one") // is read, by a read that was under way
		synctest.Wait()
		e.say("two") // no time passes: the socket does not count as blocked
		e.once("move", `"before"`)
		c.send(`{"t":"sub","c":1,"e":["moved"]}`)
		synctest.Wait()
		e.once("move", `"after"`)
		c.pause(false)
		e.settle()
		c.expect(`1 event 1 said "one"`, `1 event 2 said "two"`, `1 event 2 moved "after"`)
	})
}

// TestSubBeforeLoaded: a sub right after the open of an actor that has to be
// loaded does not bring the past.
func TestSubBeforeLoaded(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada")
		e.settle()
		log := c.logOf(1)
		e.say("old")
		e.restart()
		c = e.dial()
		c.open(1, "ada", resume(log, 0))
		c.send(`{"t":"sub","c":1,"e":["said"]}`)
		e.settle()
		e.say("new")
		e.settle()
		c.expect("1 opened 0 resumed", "1 at 1", `1 event 2 said "new"`)
	})
}

// TestOpenByID: the events are checked once the actor's definition is known.
func TestOpenByID(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		e.say("one")
		c := e.dial()
		c.open(1, "ada", fmt.Sprintf(`"actorId":%q`, e.lobby()), `"subs":["said","nope"]`)
		e.settle()
		got := c.take()
		slices.Sort(got)
		if want := []string{`1 at 1`, `1 error unknown_event{"event":"nope"}`, `1 opened 1`}; !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		c.send(`{"t":"sub","c":1,"e":["nope","moved"]}`)
		e.settle()
		c.expect(`1 error unknown_event{"event":"nope"}`)
		e.once("move", `"a"`)
		c.call(1, 1, "say", "two")
		e.settle()
		c.expect(`1 event 1 moved "a"`, `1 event 2 said "two"`, `1 reply 3 #1 2`)
	})
}

// TestNoKey: an actor without a key is one actor, through every door and after a restart;
// a key that is missing or has an empty component is a mistake.
func TestNoKey(t *testing.T) {
	const room = "/api/actors/room"
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", `"key":[]`)
		e.settle()
		c.expect("1 opened 0", "1 at 0")
		if got := do(t, e.h, "POST", room+"/actions/say?key", `{"args":["x"]}`); got.body != `{"result":1}` {
			t.Errorf("got %d %s", got.status, got.body)
		}
		if got := do(t, e.h, "POST", room, `{"key":[]}`); got.Code != wire.CodeExists {
			t.Errorf("got %d %s, want exists", got.status, got.body)
		}
		id := do(t, e.h, "GET", room+"?key", "").ID
		e.restart()
		for _, path := range []string{"?key", "?key&create=false", "?id=" + id} {
			if got := do(t, e.h, "POST", room+"/actions/count"+path, ""); got.body != `{"result":1}` {
				t.Errorf("%s: got %d %s", path, got.status, got.body)
			}
		}
		for _, path := range []string{"", "?key=", "?key&key=a", "?key&key", "?key=a&key=", "?create=true"} {
			if got := do(t, e.h, "POST", room+"/actions/count"+path, ""); got.status != 400 || got.Code != wire.CodeBadKey || got.Message == "" {
				t.Errorf("%q: got %d %s, want bad_key", path, got.status, got.body)
			}
		}
		for _, body := range []string{``, `{}`, `{"key":null}`, `{"key":""}`, `{"key":[""]}`} {
			if got := do(t, e.h, "POST", room, body); got.status != 400 || got.Code != wire.CodeBadKey {
				t.Errorf("%q: got %d %s, want bad_key", body, got.status, got.body)
			}
		}
		c = e.dial()
		c.open(1, "eve", `"key":null`)
		c.open(2, "bob", `"key":""`)
		e.settle()
		c.expectSorted("1 closed bad_key false", "2 closed bad_key false")
	}, noRates)
}

// TestOtherActorsID: an address that says one actor and has the id of another one's is
// not_found, over HTTP and in an open.
func TestOtherActorsID(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		e.say("one")
		id := e.lobby()
		for _, tc := range []struct {
			method, path string
			status       int
		}{
			{"POST", "/api/actors/room/actions/count?id=" + id, 200},
			{"POST", "/api/actors/lodge/actions/count?id=" + id, 404},
			{"POST", "/api/actors/lodge/actions/count?create=false&id=" + id, 404},
			{"POST", "/api/actors/nope/actions/count?id=" + id, 404},
			{"GET", "/api/actors/room?id=" + id, 200},
			{"GET", "/api/actors/lodge?id=" + id, 404},
		} {
			if got := do(t, e.h, tc.method, tc.path, ""); got.status != tc.status || tc.status == 404 && got.Code != wire.CodeNotFound {
				t.Errorf("%s %s: got %d %s, want %d", tc.method, tc.path, got.status, got.body, tc.status)
			}
		}
		c := e.dial()
		c.open(1, "ada", fmt.Sprintf(`"actor":"lodge","actorId":%q`, id))
		c.open(2, "bob", fmt.Sprintf(`"actor":"room","actorId":%q`, id))
		c.open(3, "eve", fmt.Sprintf(`"actor":"","actorId":%q`, id))
		e.settle()
		c.expectSorted("1 closed not_found false", "2 at 1", "2 opened 1", "3 at 1", "3 opened 1")
	}, withLodge)
}

// TestTargets: what is sent to one connection reaches it alone, subscribed or
// not.
func TestTargets(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		c := e.dial()
		for i := range 100 {
			c.open(i+1, fmt.Sprint("c", i))
		}
		e.settle()
		c.take()
		e.once("whisper", fmt.Sprintf("%q", connOf("c41")), `"psst"`)
		e.settle()
		c.expect(`42 event 1 whispered "psst"`)
	})
}

// TestQuietReader: a client that gets nothing for long gets the log's position, so that
// its own does not get old.
func TestQuietReader(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada")
		e.settle()
		c.take()
		e.say("one", "two", "three")
		time.Sleep(25 * time.Second)
		c.expect()
		time.Sleep(10 * time.Second)
		c.expect("1 at 3")
		time.Sleep(2 * time.Minute)
		c.expect() // nothing has moved on
		e.once("whisper", `"nobody"`, `"psst"`)
		for i := range 10 {
			e.once("whisper", fmt.Sprintf("%q", connOf("other")), fmt.Sprintf("%q", fmt.Sprint(i)))
		}
		time.Sleep(45 * time.Second)
		c.expect()
	})
}

// TestFramesAreGathered: what is ready together leaves together, and one message
// alone is not wrapped.
func TestFramesAreGathered(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		e.settle()
		c.take()
		e.once("burst", "100", "10")
		e.settle()
		c.mu.Lock()
		frames := slices.Clone(c.frames)
		c.mu.Unlock()
		if n := len(c.take()); n != 100 {
			t.Fatalf("got %d events, want 100", n)
		}
		if !e.lagging && !slices.Equal(frames, []int{64, 36}) {
			t.Errorf("got frames of %v messages, want 64 and 36", frames)
		}
		e.once("burst", "100", "10000")
		e.settle()
		c.mu.Lock()
		frames = slices.Clone(c.frames)
		c.mu.Unlock()
		if n := len(c.take()); n != 100 || slices.Max(frames) > 7 {
			t.Errorf("got %d events of 10 kB in frames of %v, want 100 in frames of 64 KiB", n, frames)
		}
	})
}

// TestChannelsTakeTurns: a channel with many messages does not delay another one on the
// same socket.
func TestChannelsTakeTurns(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		c.open(2, "ada2", `"subs":["said"]`, `"key":["other"]`)
		e.settle()
		c.take()
		c.pause(true)
		e.once("burst", "1000", "10")
		c.call(2, 1, "say", "me too")
		e.settle()
		c.pause(false)
		e.settle()
		got := c.takeMessages()
		at := slices.IndexFunc(got, func(m wire.ServerMessage) bool { return m.Channel == 2 && m.Type == wire.TypeReply })
		if len(got) != 1002 || at < 0 || at > 300 {
			t.Errorf("got %d messages, the reply of the other channel as the %d., want 1002 and it early", len(got), at)
		}
	})
}

// TestBounced: events before the end of a connection arrive before the end.
func TestBounced(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada")
		e.settle()
		c.take()
		c.call(1, 1, "bounce")
		e.settle()
		got := c.take()
		if len(got) < 2 || got[0] != `1 event 1 whispered "goodbye"` || got[len(got)-1] != "1 closed disconnected false" {
			t.Errorf("got %q, want the event first and the close last", got)
		}
		c.call(1, 2, "echo", "x")
		e.settle()
		c.expect("1 fail #2 unknown_channel")
	})
}

// TestClose: a connection that its client closes is over, not dropped.
func TestClose(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		e.settle()
		log := c.logOf(1)
		c.take()
		c.send(`{"t":"close","c":1}`)
		e.settle()
		e.say("one")
		e.settle()
		c.expect()
		c.open(2, "ada", `"subs":["said"]`, resume(log, 0))
		e.settle()
		c.expect("2 opened 1 lost expired 1 true", "2 at 1")
	})
}
