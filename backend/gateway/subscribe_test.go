package gateway_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/storetest"
)

// Lodge has an event for everyone and one for members.
type Lodge struct {
	Spoken int `json:"spoken"`
}

type (
	// LodgeParams are what a client passes to connect().
	LodgeParams struct {
		Member bool `json:"member,omitempty"`
	}
	// Aloud is for everyone.
	Aloud string
	// Secret is for members.
	Secret string
)

func (Lodge) CanSubscribe(c *roomContext, event string) error {
	var p LodgeParams
	c.Conn().Params(&p)
	if event == "secret" && !p.Member {
		return actor.Errorf("forbidden", "for members only")
	}
	return nil
}

// Speak broadcasts both events.
func (l *Lodge) Speak(c *roomContext, text string) {
	l.Spoken++
	c.Broadcast(Aloud(text))
	c.Broadcast(Secret(text))
}

// Wait takes some time.
func (l *Lodge) Wait(*roomContext, int) { time.Sleep(2 * time.Second) }

var withLodge = otherActor(actor.Define[Lodge]("lodge", actor.Emits[Aloud](), actor.Emits[Secret]()))

const (
	lodge     = `"actor":"lodge"`
	member    = `"params":{"member":true}`
	both      = `"subs":["aloud","secret"]`
	notMember = `1 error forbidden{"event":"secret"}`
)

// speak calls Speak without a connection.
func (e *env) speak(text string) {
	e.t.Helper()
	if a := do(e.t, e.h, "POST", "/api/actors/lodge/actions/speak?key=lobby", fmt.Sprintf(`{"args":[%q]}`, text)); a.status != 200 {
		e.t.Fatalf("got %d %s", a.status, a.body)
	}
	e.settle()
}

func TestCanSubscribe_theEventsOfAnOpen(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c, m := e.dial(), e.dial()
		c.open(1, "ada", lodge, both)
		m.open(1, "bob", lodge, both, member)
		e.settle()
		log := c.takeMessages()[1].Log
		m.take()
		e.speak("one")
		c.expect(`1 event 1 aloud "one"`)
		m.expect(`1 event 1 aloud "one"`, `1 event 2 secret "one"`)

		// The replay has none of it, nor is it counted in a gap.
		c.cut()
		e.speak("two")
		c = e.dial()
		c.open(1, "ada", lodge, both, resume(log, 2))
		e.settle()
		c.expect(notMember, "1 opened 2 resumed", `1 event 3 aloud "two"`, "1 at 4")

		// A client that comes back as a member gets everything.
		c.cut()
		e.speak("three")
		c = e.dial()
		c.open(1, "ada", lodge, both, member, resume(log, 4))
		e.settle()
		c.expect("1 opened 4 resumed", `1 event 5 aloud "three"`, `1 event 6 secret "three"`, "1 at 6")
	}, withLodge)
}

func TestCanSubscribe_sub(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c, m := e.dial(), e.dial()
		c.open(1, "ada", lodge)
		m.open(1, "bob", lodge, member)
		e.settle()
		for _, x := range []*client{c, m} {
			x.send(`[{"t":"sub","c":1,"e":["secret","nothing"]},{"t":"call","c":1,"id":1,"a":"speak","args":["hello"]}]`)
			e.settle()
		}
		c.expectSorted("1 at 0", `1 error forbidden{"event":"secret"}`, `1 error unknown_event{"event":"nothing"}`, "1 opened 0", "1 reply 3 #1 ")
		m.expectSorted("1 at 0", `1 error unknown_event{"event":"nothing"}`, `1 event 5 secret "hello"`, "1 opened 0", "1 reply 6 #1 ")
	}, withLodge)
}

// Nothing from before the answer is sent, and an unsub takes effect at once.
func TestCanSubscribe_startsAtTheAnswer(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c, m := e.dial(), e.dial()
		c.open(1, "ada", lodge, member)
		m.open(1, "bob", lodge)
		e.settle()
		c.take()
		m.call(1, 1, "wait", 1)
		m.call(1, 2, "speak", "too early")
		e.settle()
		c.send(`{"t":"sub","c":1,"e":["secret"]}`, `{"t":"sub","c":1,"e":["aloud"]}`, `{"t":"unsub","c":1,"e":["aloud"]}`)
		time.Sleep(3 * time.Second)
		e.settle()
		e.speak("now")
		c.expect(`1 event 5 secret "now"`)
	}, withLodge)
}

// new params may take away what was allowed.
func TestCanSubscribe_refresh(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", lodge, both, member)
		e.settle()
		c.take()
		c.send(`{"t":"params","c":1}`)
		e.settle()
		c.expect(notMember)
		e.speak("one")
		c.expect(`1 event 1 aloud "one"`)
		c.send(`{"t":"params","c":1,"params":{"member":true}}`, `{"t":"sub","c":1,"e":["secret"]}`)
		e.settle()
		e.speak("two")
		c.expect(`1 event 3 aloud "two"`, `1 event 4 secret "two"`)
		// A pending one is taken away, too.
		c.send(`{"t":"unsub","c":1,"e":["secret"]}`, `[{"t":"sub","c":1,"e":["secret"]},{"t":"params","c":1}]`)
		e.settle()
		c.expect(notMember)
		e.speak("three")
		c.expect(`1 event 5 aloud "three"`)
	}, withLodge)
}

func TestCanSubscribe_byID(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		made := do(t, e.h, "POST", "/api/actors/lodge", `{"key":["lobby"]}`)
		c := e.dial()
		c.open(1, "ada", `"actorId":"`+made.ID+`"`, `"subs":["aloud","secret","nothing"]`)
		c.send(`{"t":"sub","c":1,"e":["never"]}`)
		e.settle()
		c.expectSorted("1 at 0", notMember, `1 error unknown_event{"event":"never"}`, `1 error unknown_event{"event":"nothing"}`, "1 opened 0")
		e.speak("one")
		c.expect(`1 event 1 aloud "one"`)
		room := do(t, e.h, "POST", "/api/actors/room", `{"key":["lobby"]}`)
		c.open(2, "bob", `"actorId":"`+room.ID+`"`, `"subs":["said"]`)
		c.send(`{"t":"sub","c":2,"e":["moved"]}`) // it has no CanSubscribe
		c.call(2, 1, "move", "x")
		e.settle()
		c.expect("2 opened 0", "2 at 0", `2 event 0 moved "x"`, "2 reply 0 #1 ")
	}, withLodge)
}

// slowDefinitions let other goroutines run before they answer.
type slowDefinitions struct{ host.Definitions }

func (d slowDefinitions) Emits(name, event string) bool {
	for range 1000 {
		runtime.Gosched()
	}
	return d.Definitions.Emits(name, event)
}

// An event that the actor does not have is refused once, though it is noticed at its answers to
// the open and to the subscription.
func TestCanSubscribe_unknownOnce(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		made := do(t, e.h, "POST", "/api/actors/lodge", `{"key":["lobby"]}`)
		for i := range 20 {
			c := e.dial()
			c.open(1, fmt.Sprint("ada", i), `"actorId":"`+made.ID+`"`)
			c.send(`{"t":"sub","c":1,"e":["never"]}`)
			e.settle()
			c.expectSorted("1 at 0", `1 error unknown_event{"event":"never"}`, "1 opened 0")
			c.cut()
		}
	}, withLodge, func(e *env) {
		e.wrapDefinitions = func(d host.Definitions) host.Definitions { return slowDefinitions{d} }
	})
}

// An answer of CanSubscribe waits for the commits before it, as it may depend on them. If
// they fail, the client comes back and subscribes again.
func TestCanSubscribe_theStoreFails(t *testing.T) {
	var held *storetest.HeldStore
	run(t, func(t *testing.T, e *env) {
		held.ReleaseAll()
		c := e.dial()
		c.open(1, "ada", lodge, member)
		e.settle()
		log := c.takeMessages()[0].Log
		held.HoldAgain()
		c.send(`[{"t":"call","c":1,"id":1,"a":"speak","args":["lost"]},{"t":"sub","c":1,"e":["secret"]},{"t":"sub","c":1,"e":["nothing"]}]`)
		e.settle()
		c.expect(`1 error unknown_event{"event":"nothing"}`)
		held.Fail(errors.New("the disk is full"))
		held.ReleaseAll()
		e.settle()
		c.expect("1 fail #1 unavailable", "1 closed unavailable true")
		c.open(2, "ada", lodge, member, `"subs":["secret"]`, resume(log, 0))
		e.settle()
		c.expect("2 opened 0 resumed", "2 at 0")
		e.speak("now")
		c.expect(`2 event 2 secret "now"`)
	}, withLodge, func(e *env) {
		held = storetest.Held(memory.New(memory.Options{}))
		e.store = held
	})
}
