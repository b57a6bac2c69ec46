package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/wire"
)

// ends returns a message as brief does, with the h of an end.
func ends(m wire.ServerMessage) string {
	if m.Highest != nil {
		return fmt.Sprintf("%s h %d", brief(m), *m.Highest)
	}
	return brief(m)
}

func (c *client) expectEnds(want ...string) {
	c.t.Helper()
	var got []string
	for _, m := range c.takeMessages() {
		got = append(got, ends(m))
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		c.t.Errorf("got %q, want %q", got, want)
	}
}

// TestG3_Destroyed: clients hear that their actor was destroyed and which of their calls ran,
// those that are connected and those that come back. Those get the answer of the call that
// did it first, and none gets into the next life.
func TestG3_Destroyed(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		if e.falling {
			t.Skip("what a copy leaves out of a life that has ended is nowhere else")
		}
		ada, bob, carol := e.dial(), e.dial(), e.dial()
		for _, c := range []struct {
			*client
			name string
		}{{ada, "ada"}, {bob, "bob"}, {carol, "carol"}} {
			c.open(1, c.name, `"subs":["said"]`)
		}
		e.settle()
		log := ada.logOf(1)
		carol.cut()
		bob.call(1, 4, "say", "one")
		e.settle()
		ada.take()
		bob.take()
		ada.call(1, 1, "end")
		e.settle()
		ada.expectEnds(`1 event 3 said "the end"`, `1 reply 3 #1 "gone"`, "1 closed destroyed false h 1")
		bob.expectEnds(`1 event 3 said "the end"`, "1 closed destroyed false h 4")

		for range 2 { // in the second one there is a new life
			ada.open(2, "ada", resume(log, 2), `"ack":0`)
			bob.open(2, "bob", resume(log, 1), `"ack":3`)
			carol = e.dial()
			carol.open(1, "carol", resume(log, 0))
			e.settle()
			ada.expectEnds(`2 reply 3 #1 "gone"`, "2 closed destroyed false h 1")
			bob.expectEnds("2 closed destroyed false h 4")
			carol.expectEnds("1 closed destroyed false h 0")
			dave := e.dial()
			dave.open(1, "dave")
			e.settle()
			if dave.logOf(1) == log {
				t.Error("the new life has the log of the one before")
			}
			dave.cut()
			ada, bob = e.dial(), e.dial()
		}
	})
}

// A client that reads an old part of the log from the store, when that is gone with the
// actor, hears of the end; its other connections stay.
func TestG3_DestroyedWhileItReadsTheStore(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		if e.lagging {
			return // the entries may be gone before the copy has the end: then the client has to come back
		}
		slow, other := e.dial(), e.dial()
		slow.open(1, "slow", `"subs":["said"]`)
		slow.open(2, "slow2", `"key":["elsewhere"]`)
		other.open(1, "other")
		e.settle()
		slow.take()
		slow.pause(true)
		for range 40 {
			e.once("burst", "10", "8000")
		}
		e.once("end")
		e.settle()
		slow.pause(false)
		e.settle()
		got := slow.takeMessages()
		if n := len(got); n == 0 || ends(got[n-1]) != "1 closed destroyed false h 0" {
			t.Errorf("got %d messages, want the end as the last one", n)
		}
		slow.isOpen()
		slow.call(2, 1, "count")
		e.settle()
		slow.expectEnds("2 reply 0 #1 0")
	}, roomOptions(actor.Options{LogBytes: 64 << 10}))
}
