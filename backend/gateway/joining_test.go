package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/wire"
)

var greet = []string{`"subs":["joined"]`, `"params":{"greet":true}`}

// joins opens a room that greets, with the answer's fields, and waits for the replay.
func (e *env) joins(name string, fields ...string) *client {
	e.t.Helper()
	c := e.dial()
	c.open(1, name, append(fields, greet...)...)
	c.await("at", func(got []wire.ServerMessage) bool {
		return len(got) > 0 && got[len(got)-1].Type == wire.TypeAt
	})
	return c
}

func joined(seq int, name string) string {
	return fmt.Sprintf(`1 event %d joined %q`, seq, connOf(name))
}

// TestJoiningIsNotStored: what OnConnect sends to the newcomer alone is in the log by its
// number only. What it sends to everyone is stored.
func TestJoiningIsNotStored(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		e.joins("ada").expect("1 opened 0", joined(1, "ada"), `1 event 2 welcome "hello"`, "1 at 2")
		entries, err := e.store.Entries(t.Context(), host.ActorID("room", host.Key{"lobby"}), 0, 10, 1<<20)
		if err != nil || len(entries) != 2 {
			t.Fatalf("got %d entries, %v; want 2", len(entries), err)
		}
		if e := entries[0]; e.Event != "joined" || e.IsStub() || len(e.Data) == 0 {
			t.Errorf("got %+v, want the event joined", e)
		}
		if e := entries[1]; !e.IsStub() || e.Data != nil || e.Target.Mode != store.ToOnly {
			t.Errorf("got %+v, want a stub", e)
		}
	})
}

// TestG3_LostJoining: a client that has lost the answer of its first open, or a part of what
// came with it, gets the rest exactly once, as the same connection.
func TestG3_LostJoining(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		c := e.joins("ada")
		log := c.logOf(1)
		c.take()
		c.cut()
		e.settle()
		again := func(want []string, fields ...string) {
			t.Helper()
			c := e.joins("ada", fields...)
			c.expect(want...)
			c.cut()
			e.settle()
		}
		for range 2 {
			again([]string{"1 opened 0 resumed", joined(1, "ada"), `1 event 2 welcome "hello"`, "1 at 2"})
			again([]string{"1 opened 0 resumed", joined(1, "ada"), `1 event 2 welcome "hello"`, "1 at 2"}, resume(log, 0))
			again([]string{"1 opened 1 resumed", `1 event 2 welcome "hello"`, "1 at 2"}, resume(log, 1))
			again([]string{"1 opened 2 resumed", "1 at 2"}, resume(log, 2))
		}
	})
}

// TestG4_JoiningIsGone: once the log's memory does not have what the newcomer was sent, a
// client that misses some of it joins again and is told so; one that has all of it resumes.
func TestG4_JoiningIsGone(t *testing.T) {
	gone := map[string]func(e *env){
		"restart": (*env).restart,
		"overflow": func(e *env) {
			for range 3 {
				e.once("burst", "4", "100000")
			}
			e.settle()
		},
	}
	for name, forget := range gone {
		t.Run(name, func(t *testing.T) {
			runOver(t, func(t *testing.T, e *env) {
				if e.lagging && name == "overflow" {
					return // there the owner's log is large
				}
				logs := map[string]string{}
				for _, name := range []string{"heard", "partly", "nothing"} {
					c := e.joins(name)
					logs[name] = c.logOf(1)
					c.cut()
					e.settle()
				}
				forget(e)
				e.joins("heard", resume(logs["heard"], 2)).isOpen()

				c := e.joins("partly", resume(logs["partly"], 3))
				got := c.takeMessages()
				opened := got[0]
				if opened.Resumed || opened.Lost == nil || opened.Lost.Reason != wire.ReasonExpired {
					t.Errorf("got %+v (lost %+v), want a new connection with a gap", opened, opened.Lost)
				}
				rest(t, got, opened.Seq, "partly")

				got = e.joins("nothing").takeMessages()
				if opened = got[0]; opened.Resumed || opened.Lost != nil {
					t.Errorf("got %+v (lost %+v), want a new connection without a gap", opened, opened.Lost)
				}
				rest(t, got, opened.Seq, "nothing")
			}, roomOptions(actor.Options{LogBytes: 200_000}))
		})
	}
}

// rest checks what follows the answer of an open that joins.
func rest(t *testing.T, got []wire.ServerMessage, start uint64, name string) {
	t.Helper()
	n := int(start)
	want := []string{joined(n+1, name), fmt.Sprintf(`1 event %d welcome "hello"`, n+2), fmt.Sprintf("1 at %d", n+2)}
	var lines []string
	for _, m := range got[1:] {
		lines = append(lines, brief(m))
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", lines, want)
	}
}

// TestG10_JoiningThatIsNotDurable: if the store fails, nobody hears of the joining; the
// client joins when it is back.
func TestG10_JoiningThatIsNotDurable(t *testing.T) {
	broken := &brokenStore{Store: memory.New(memory.Options{})}
	run(t, func(t *testing.T, e *env) {
		broken.broken.Store(false)
		e.joins("bob")
		broken.broken.Store(true)
		c := e.dial()
		c.open(1, "ada", greet...)
		e.settle()
		c.expect("1 closed unavailable true")
		c.cut()
		broken.broken.Store(false)
		e.settle()
		got := e.joins("ada").takeMessages()
		if got[0].Resumed || got[0].Lost != nil {
			t.Errorf("got %+v, want a new connection", got[0])
		}
		rest(t, got, got[0].Seq, "ada")
	}, func(e *env) {
		broken.Store = memory.New(memory.Options{})
		e.store = broken
	})
}

// Library sends newcomers its books, one after the other.
type Library struct{}

// Book is a long event.
type Book string

func (*Library) OnConnect(c *roomContext) {
	for i := range 6 {
		c.Conn().Send(Book(strings.Repeat(fmt.Sprint(i), 100_000)))
	}
}

var library = []string{`"actor":"library"`, `"key":[]`}

func withLibrary(e *env) {
	otherActor(actor.Define[Library]("library", actor.Emits[Book](), actor.WithOptions(actor.Options{LogBytes: 100_000})))(e)
}

// visit opens the library and waits for all books.
func (e *env) visit(name string) {
	e.t.Helper()
	c := e.dial()
	c.open(1, name, library...)
	c.await("at", func(got []wire.ServerMessage) bool { return len(got) == 8 })
	c.cut()
	e.settle()
}

// TestG8_SlowJoining: a client that takes slowly what OnConnect sends gets all of it while
// others join, though the log's memory does not have it any more.
func TestG8_SlowJoining(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		if e.lagging {
			return // a copy of a log needs an original that is larger than this one
		}
		slow := e.dial()
		slow.pause(true)
		slow.open(1, "slow", library...)
		e.settle()
		for i := range 5 {
			e.visit(fmt.Sprint("c", i))
		}
		slow.pause(false)
		got := slow.await("all books", func(got []wire.ServerMessage) bool { return len(got) == 8 })
		for i, m := range got[1:7] {
			if m.Type != wire.TypeEvent || m.Data[1] != byte('0'+i) {
				t.Errorf("message %d is %s, want book %d", i+1, m.Type, i)
			}
		}
		slow.isOpen()
		e.settle()
		if n := e.g.Buffers(); n != 0 {
			t.Errorf("%d bytes are still held", n)
		}
	}, withLibrary)
}

// TestG8_JoiningsOfASocket: what is kept of what OnConnect sends is bounded for each socket.
// The rest is read from the log; if that does not have it any more, the client comes back,
// and joins again.
func TestG8_JoiningsOfASocket(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		if e.lagging {
			return // a copy of a log needs an original that is larger than this one
		}
		slow := e.dial()
		slow.pause(true)
		var opens []string
		for i := range 12 { // of which each gets 0.6 MB
			opens = append(opens, openFrame(i+1, fmt.Sprint("slow", i), library...))
		}
		slow.send("[" + strings.Join(opens, ",") + "]")
		e.settle()
		if n := e.g.Buffers(); n < 3<<20 || n > 6<<20 {
			t.Errorf("%d bytes are held for the client that does not read, want about 4 MiB", n)
		}
		e.visit("other")
		slow.pause(false)
		slow.await("the end of the socket", func([]wire.ServerMessage) bool { return slow.closed })
		if got := slow.closeErr.Error(); !strings.Contains(got, "slow") {
			t.Errorf("the socket ended with %s, want slow", got)
		}
		e.visit("slow11")
		if n := e.g.Buffers(); n != 0 {
			t.Errorf("%d bytes are still held", n)
		}
	}, withLibrary)
}
