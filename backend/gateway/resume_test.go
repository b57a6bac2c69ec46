package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/wire"
)

// say sends texts to the lobby without a connection.
func (e *env) say(texts ...string) {
	e.t.Helper()
	for _, text := range texts {
		e.once("say", fmt.Sprintf("%q", text))
	}
}

// once runs an action of the lobby without a connection.
func (e *env) once(action string, args ...string) {
	e.t.Helper()
	c := host.DirectCall{Create: true, Action: action}
	for _, a := range args {
		c.Args = append(c.Args, []byte(a))
	}
	if _, err := e.node.CallOnce(e.t.Context(), host.Ref{Name: "room", Key: host.Key{"lobby"}}, c); err != nil {
		e.t.Fatal(err)
	}
}

// TestG3_Resume: a reconnecting connection receives every entry meant for it
// exactly once, and keeps its id and its subscriptions.
func TestG3_Resume(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		ada := e.dial()
		ada.open(1, "ada", `"subs":["said"]`)
		e.settle()
		log := ada.logOf(1)
		ada.take()
		e.say("one")
		e.settle()
		seen := ada.takeMessages()[0].Seq
		ada.cut()
		e.say("two", "three")
		e.once("whisper", fmt.Sprintf("%q", connOf("ada")), `"psst"`)
		e.once("whisper", fmt.Sprintf("%q", connOf("bob")), `"not for ada"`)
		e.once("move", `"volatile"`)

		ada = e.dial()
		ada.open(1, "ada", `"subs":["said","moved"]`, resume(log, seen))
		e.settle()
		got := ada.takeMessages()
		var lines []string
		for _, m := range got {
			lines = append(lines, brief(m))
		}
		want := []string{
			fmt.Sprintf("1 opened %d resumed", seen),
			`said "two"`, `said "three"`, `whispered "psst"`, "1 at ",
		}
		if len(lines) != len(want) || lines[0] != want[0] {
			t.Fatalf("got %q, want like %q", lines, want)
		}
		for i := range want {
			if !strings.Contains(lines[i], want[i]) {
				t.Errorf("got %q, want it to contain %q", lines[i], want[i])
			}
		}
		if got[0].ConnID != connOf("ada") {
			t.Errorf("got connection %s, want %s", got[0].ConnID, connOf("ada"))
		}
	})
}

// TestG3_ResumeFromNothing: a client that received no event before its link broke, and
// one that is back at once, resume.
func TestG3_ResumeFromNothing(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		runs := 1000
		if testing.Short() {
			runs = 200
		}
		if e.lagging || e.over != "" {
			runs /= 10
		}
		for i := range runs {
			name := fmt.Sprint("c", i)
			c := e.dial()
			c.open(1, name, fmt.Sprintf(`"key":[%q]`, name), `"subs":["said"]`)
			c.await("at", func(got []wire.ServerMessage) bool { return len(got) == 2 })
			log := c.logOf(1)
			c.cut()
			c = e.dial()
			c.open(1, name, fmt.Sprintf(`"key":[%q]`, name), `"subs":["said"]`, resume(log, 0))
			c.await("at", func(got []wire.ServerMessage) bool { return len(got) == 2 })
			c.expect("1 opened 0 resumed", "1 at 0")
			c.call(1, 1, "say", "x")
			c.await("event and reply", func(got []wire.ServerMessage) bool { return len(got) == 2 })
			c.expect(`1 event 1 said "x"`, "1 reply 2 #1 1")
			c.cut()
			e.clients = nil
		}
	})
}

// TestG3_RandomCuts: while others talk, the link is cut again and again at random points. Every
// event comes exactly once, and every call has one effect and one answer (G5).
func TestG3_RandomCuts(t *testing.T) {
	cuts := 200
	if testing.Short() {
		cuts = 60
	}
	for name, o := range map[string]actor.Options{"from memory": {}, "from the store": {LogBytes: 2 << 10}} {
		t.Run(name, func(t *testing.T) {
			runOver(t, func(t *testing.T, e *env) { randomCuts(t, e, cuts) },
				roomOptions(o), gatewayOptions(gateway.Options{Limits: wire.Limits{Rate: 1e6, Burst: 1e6}}))
		})
	}
}

func randomCuts(t *testing.T, e *env, cuts int) {
	first := e.dial() // before anybody talks
	first.open(1, "ada", `"subs":["said"]`)
	e.settle()
	log := first.logOf(1)
	first.cut()
	stop := make(chan struct{})
	talked := make(chan int)
	chance := e.chance("cuts")
	go func() {
		chance := e.chance("talk")
		n := 0
		for {
			select {
			case <-stop:
				talked <- n
				return
			case <-time.After(upTo(chance, 8*time.Millisecond)):
				n++
				e.say(fmt.Sprint("t", n))
			}
		}
	}()

	var seen uint64 // the last number
	var said []string
	answers := map[uint64]int{}
	pending := []uint64{}
	next := uint64(1)
	take := func(c *client) {
		for _, m := range c.takeMessages() {
			if m.Lost != nil {
				t.Fatalf("lost %+v", m.Lost)
			}
			seen = max(seen, m.Seq)
			switch m.Type {
			case wire.TypeOpened:
				log = m.Log
			case wire.TypeEvent:
				said = append(said, string(m.Data))
			case wire.TypeReply:
				if !slices.Contains(said, fmt.Sprintf("\"a%d\"", m.ID)) { // G2
					t.Fatalf("got the reply of call %d before its event", m.ID)
				}
				answers[m.ID]++
				pending = slices.DeleteFunc(pending, func(id uint64) bool { return id == m.ID })
			case wire.TypeAt:
			default:
				t.Fatalf("got %s", brief(m))
			}
		}
	}
	for range cuts {
		c := e.dial()
		fields := []string{`"subs":["said"]`}
		if log != "" {
			fields = append(fields, resume(log, seen))
		}
		c.open(1, "ada", fields...)
		if chance.IntN(4) > 0 { // else it is cut while it opens
			c.await("at", func(got []wire.ServerMessage) bool {
				return slices.ContainsFunc(got, func(m wire.ServerMessage) bool { return m.Type == wire.TypeAt })
			})
			take(c)
			for _, id := range pending {
				c.try(callFrame(1, int(id), "say", fmt.Sprint("a", id)))
			}
			for range chance.IntN(3) {
				pending = append(pending, next)
				c.try(callFrame(1, int(next), "say", fmt.Sprint("a", next)))
				next++
			}
		}
		time.Sleep(upTo(chance, 60*time.Millisecond))
		c.cut()
		take(c)
	}
	close(stop)
	n := <-talked
	e.settle()
	c := e.dial()
	c.open(1, "ada", `"subs":["said"]`, resume(log, seen))
	e.settle()
	take(c)
	for _, id := range slices.Clone(pending) {
		c.call(1, int(id), "say", fmt.Sprint("a", id))
	}
	e.settle()
	take(c)

	if len(pending) > 0 {
		t.Errorf("calls %v have no answer", pending)
	}
	for id := uint64(1); id < next; id++ {
		if answers[id] != 1 {
			t.Errorf("call %d has %d answers, want 1", id, answers[id])
		}
	}
	times := map[string]int{}
	for _, s := range said {
		times[s]++
	}
	if len(said) != n+int(next)-1 {
		t.Errorf("got %d events, want %d", len(said), n+int(next)-1)
	}
	last := 0
	for _, s := range said {
		if times[s] != 1 {
			t.Errorf("got %s %d times", s, times[s])
		}
		var i int
		if _, err := fmt.Sscanf(s, `"t%d"`, &i); err == nil {
			if i != last+1 {
				t.Fatalf("got t%d after t%d", i, last)
			}
			last = i
		}
	}
	if last != n {
		t.Errorf("got the talk up to %d, want %d", last, n)
	}
}

// TestG3_ResumeFromStore: a client that was away for longer than memory reaches back is
// served from the store, then from memory.
func TestG3_ResumeFromStore(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		ada := e.dial()
		ada.open(1, "ada", `"subs":["said"]`)
		e.settle()
		log := ada.logOf(1)
		ada.cut()
		for range 30 {
			e.once("burst", "10", "100")
		}
		ada = e.dial()
		ada.open(1, "ada", `"subs":["said"]`, resume(log, 0))
		e.settle()
		e.say("live")
		e.settle()
		got := ada.takeMessages()
		if len(got) != 1+300+1+1 || got[0].Lost != nil || brief(got[301]) != "1 at 300" || brief(got[302]) != `1 event 301 said "live"` {
			t.Fatalf("got %d messages, first %s, last %s", len(got), brief(got[0]), brief(got[len(got)-1]))
		}
		for i, m := range got[1:301] {
			if want := uint64(i + 1); m.Seq != want {
				t.Fatalf("got event %d as the %d., want %d", m.Seq, i, want)
			}
		}
	}, roomOptions(actor.Options{LogBytes: 4 << 10}))
}

// TestAck: an answer that the client acknowledged is no longer kept; else it gets the
// same failure again.
func TestAck(t *testing.T) {
	for how, ack := range map[string]string{
		"not at all":    callFrame(1, 2, "echo", "x"),
		"by an ack":     `{"t":"ack","c":1,"s":0,"ack":1}`,
		"with a call":   `{"t":"call","c":1,"id":2,"a":"echo","args":["x"],"ack":1}`,
		"with the open": "",
	} {
		t.Run(how, func(t *testing.T) {
			runOver(t, func(t *testing.T, e *env) {
				c := e.dial()
				c.open(1, "ada")
				c.call(1, 1, "fail", "no")
				e.settle()
				log := c.logOf(1)
				c.expect("1 opened 0", "1 at 0", `1 fail #1 no{"n":1}`)
				fields := []string{resume(log, 0)}
				if ack == "" {
					fields = append(fields, `"ack":1`)
				} else {
					c.send(ack)
					e.settle()
				}
				c.cut()
				c = e.dial()
				c.open(1, "ada", fields...)
				e.settle()
				c.take()
				c.call(1, 1, "fail", "no")
				e.settle()
				if how == "not at all" {
					c.expect(`1 fail #1 no{"n":1}`)
				} else {
					c.expect("1 fail #1 ran")
				}
			})
		})
	}
}

// TestG4_Overflow: a client that was away for longer than the log reaches back gets the
// gap before anything else, and nothing of the past.
func TestG4_Overflow(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		ada := e.dial()
		ada.open(1, "ada", `"subs":["said"]`)
		e.settle()
		log := ada.logOf(1)
		ada.cut()
		for range 30 {
			e.once("burst", "10", "500")
			e.settle() // what is left of her socket is as far as it can be
		}
		retained, err := e.store.Entries(t.Context(), e.lobby(), 0, 1000, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		events := len(retained)
		if events == 0 || events == 300 {
			t.Fatalf("%d events are retained: the test tests nothing", events)
		}
		ada = e.dial()
		ada.open(1, "ada", `"subs":["said"]`, resume(log, 0))
		e.settle()
		e.say("live")
		e.settle()
		ada.expect(fmt.Sprintf("1 opened 300 resumed lost overflow %d false", events), "1 at 300", `1 event 301 said "live"`)
	}, roomOptions(actor.Options{LogBytes: 4 << 10}), func(e *env) { e.store = memory.New(memory.Options{MaxBytes: 50 << 10}) })
}

// lobby is the id of the actor room ["lobby"].
func (e *env) lobby() string {
	e.t.Helper()
	ref, err := e.node.Resolve(e.t.Context(), host.Ref{Name: "room", Key: host.Key{"lobby"}})
	if err != nil {
		e.t.Fatal(err)
	}
	return ref.ID
}

// TestG4_Expired: away for longer than the resume window.
func TestG4_Expired(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		ada := e.dial()
		ada.open(1, "ada", `"subs":["said"]`)
		e.settle()
		log := ada.logOf(1)
		ada.cut()
		time.Sleep(150 * time.Second)
		e.say("one", "two")
		ada = e.dial()
		ada.open(1, "ada", `"subs":["said"]`, resume(log, 0))
		e.settle()
		e.say("live")
		e.settle()
		ada.expect("1 opened 2 lost expired 2 true", "1 at 2", `1 event 3 said "live"`)
	})
}

// TestG4_ExpiredNotExact: events that went to some connections only may have been for the
// forgotten one.
func TestG4_ExpiredNotExact(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		ada := e.dial()
		ada.open(1, "ada", `"subs":["said"]`)
		bob := e.dial()
		bob.open(1, "bob")
		e.settle()
		log := ada.logOf(1)
		ada.cut()
		time.Sleep(150 * time.Second)
		e.say("one")
		e.once("whisper", fmt.Sprintf("%q", connOf("bob")), `"psst"`)
		ada = e.dial()
		ada.open(1, "ada", `"subs":["said"]`, resume(log, 0))
		e.settle()
		ada.expect("1 opened 2 lost expired 1 false", "1 at 2")
	})
}

// TestG4_Restart: another log, or a number that this one has not reached. The replies
// that the caller waits for still come.
func TestG4_Restart(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		ada := e.dial()
		ada.open(1, "ada", `"subs":["said"]`)
		ada.call(1, 1, "say", "one")
		ada.call(1, 2, "say", "two")
		e.settle()
		log := ada.logOf(1)
		ada.cut()
		ada = e.dial()
		ada.open(1, "ada", `"subs":["said"]`, resume("another", 2), `"ack":1`)
		e.settle()
		ada.expect("1 opened 4 resumed lost restart 0 false", "1 reply 4 #2 2", "1 at 4")
		ada.cut()
		ada = e.dial()
		ada.open(1, "ada", `"subs":["said"]`, resume(log, 77), `"ack":2`)
		e.settle()
		ada.expect("1 opened 4 resumed lost restart 0 false", "1 at 4")
		e.say("live") // below the number that the client came with
		e.settle()
		ada.expect(`1 event 5 said "live"`)
	})
}

// TestG4_RestartOfServer: an orderly restart loses nothing.
func TestG4_RestartOfServer(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		ada := e.dial()
		ada.open(1, "ada", `"subs":["said"]`)
		e.settle()
		log := ada.logOf(1)
		e.restart()
		e.say("while away")
		ada = e.dial()
		ada.open(1, "ada", `"subs":["said"]`, resume(log, 0))
		e.settle()
		ada.expect("1 opened 0 resumed", `1 event 1 said "while away"`, "1 at 1")
	})
}
