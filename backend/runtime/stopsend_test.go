package runtime_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

// leaver tells a doorman when it leaves memory.
type leaver struct {
	Starts int `json:"starts"`
	Stops  int `json:"stops"`
	Hits   int `json:"hits"`
	hits   int // since the start
}

type leaving struct{}

// doorman counts, and takes its time.
type doorman struct {
	Left int `json:"left"`
}

func (l *leaver) OnStart(*nothing) { l.Starts++ }

func (l *leaver) OnStop(c *nothing) {
	l.Stops++
	c.Send(actor.Of("doorman", "d"), leaving{})
}

func (l *leaver) Hit(*nothing) [3]int {
	l.Hits++
	l.hits++
	return [3]int{l.hits, l.Starts, l.Stops}
}

func (d *doorman) leaving(*nothing, leaving) error {
	d.Left++
	time.Sleep(5 * time.Second)
	return nil
}

func (d doorman) GetLeft(*nothing) int { return d.Left }

var doors = actor.NewRegistry(actor.Define[leaver]("leaver"), actor.Define[doorman]("doorman", actor.Handles((*doorman).leaving)))

// An actor whose OnStop sends does not stop again for what that has sent.
func TestAnActorThatSendsInOnStopStopsOnce(t *testing.T) {
	actortest.Run(t, doors, func(n *actortest.Node) {
		l, d := n.Actor("leaver", "l"), n.Actor("doorman", "d")
		want := func(what string, got, want [3]int) {
			t.Helper()
			if got != want {
				t.Errorf("%s: hits since the start, starts and stops are %v, want %v", what, got, want)
			}
		}
		want("first use", actortest.Call[[3]int](l, "hit"), [3]int{1, 1, 0})
		time.Sleep(time.Hour)
		if got := actortest.Call[int](d, "getLeft"); got != 1 {
			t.Errorf("after an hour it has left %d times, want 1", got)
		}
		want("second use", actortest.Call[[3]int](l, "hit"), [3]int{1, 2, 1})
		time.Sleep(32 * time.Second) // it has stopped, and waits for the answer
		want("use after it has stopped", actortest.Call[[3]int](l, "hit"), [3]int{1, 3, 2})
		want("and again", actortest.Call[[3]int](l, "hit"), [3]int{2, 3, 2})
		time.Sleep(time.Hour)
		if got := actortest.Call[int](d, "getLeft"); got != 3 {
			t.Errorf("at last it has left %d times, want 3", got)
		}
	})
}

// parter sends a message when it leaves memory for the first time. That is refused, and its key
// says what it does then.
type parter struct {
	Begun    bool `json:"begun"`
	Starts   int  `json:"starts"`
	Stops    int  `json:"stops"`
	Returned int  `json:"returned"`
	Noted    int  `json:"noted"`
}

type farewell struct{}
type memo struct{}

// sentry refuses farewells, after a while.
type sentry struct{}

var partings counts // runs of parter.OnUndelivered, by the key

func (p *parter) OnStart(*nothing) { p.Starts++ }

func (p *parter) OnStop(c *nothing) {
	if p.Stops++; p.Stops == 1 {
		c.Send(actor.Of("sentry", "s"), farewell{})
	}
}

func (p *parter) OnUndelivered(c *nothing, u actor.Undelivered) error {
	run := partings.add(c.Key()[0])
	p.Returned++
	switch c.Key()[0] {
	case "fails":
		if run <= 2 {
			return errors.New("as asked")
		}
	case "hangs":
		if run == 1 {
			stick("parter.OnUndelivered")
		}
	case "sends":
		c.Send(actor.Of("doorman", "d"), leaving{})
	case "schedules":
		c.Schedule(c.Now(), memo{})
	case "destroys":
		c.Destroy()
	}
	return nil
}

func (p *parter) memo(*nothing, memo) error { p.Noted++; return nil }
func (p *parter) Begin(*nothing)            { p.Begun = true }
func (p parter) Get(*nothing) parter        { return p }
func (*sentry) farewell(*nothing, farewell) error {
	time.Sleep(5 * time.Second)
	return actor.Errorf("no", "stay")
}

// What comes back to an actor after its OnStop has run takes effect once, whatever the hook
// does and whatever happens meanwhile; and the actor neither starts nor stops for it.
func TestG12_OnUndeliveredRunsAfterOnStop(t *testing.T) {
	stopped := actor.NewRegistry(actor.Define[parter]("parter", actor.Handles((*parter).memo)),
		actor.Define[sentry]("sentry", actor.Handles((*sentry).farewell)), actor.Define[doorman]("doorman", actor.Handles((*doorman).leaving)))
	meanwhile := map[string]func(n *actortest.Node, a *actortest.Actor){
		"nothing": func(*actortest.Node, *actortest.Actor) {},
		"a call":  func(_ *actortest.Node, a *actortest.Actor) { actortest.Call[parter](a, "get") },
		"restart": func(n *actortest.Node, _ *actortest.Actor) { n.Restart() },
		"crash":   func(n *actortest.Node, _ *actortest.Actor) { n.Crash() },
	}
	for how, want := range map[string]struct {
		parter // but for Starts and Stops, if something happens meanwhile
		runs   int
	}{
		"notes":     {parter{Begun: true, Starts: 2, Stops: 1, Returned: 1}, 1},
		"fails":     {parter{Begun: true, Starts: 2, Stops: 1, Returned: 1}, 3},
		"hangs":     {parter{Begun: true, Starts: 3, Stops: 2, Returned: 1}, 2}, // an instance that hangs is not used again
		"sends":     {parter{Begun: true, Starts: 2, Stops: 1, Returned: 1}, 1},
		"schedules": {parter{Begun: true, Starts: 3, Stops: 2, Returned: 1, Noted: 1}, 1},
		"destroys":  {parter{Starts: 1}, 1},
	} {
		for what, happens := range meanwhile {
			t.Run(fmt.Sprint(how, " and ", what), func(t *testing.T) {
				actortest.Run(t, stopped, func(n *actortest.Node) {
					partings.clear()
					release := hold(t, "parter.OnUndelivered")
					a := n.Actor("parter", how)
					actortest.Call[any](a, "begin")
					time.Sleep(32 * time.Second) // it has stopped, and waits for the answer
					happens(n, a)
					time.Sleep(time.Hour)
					release()
					got := actortest.Call[parter](a, "get")
					if what != "nothing" {
						got.Starts, got.Stops = want.Starts, want.Stops
					}
					if runs := partings.get(how); got != want.parter || runs != want.runs {
						t.Errorf("got %+v after %d runs of the hook, want %+v after %d", got, runs, want.parter, want.runs)
					}
					left := 0
					if how == "sends" {
						left = 1
					}
					if got := actortest.Call[int](n.Actor("doorman", "d"), "getLeft"); got != left {
						t.Errorf("the doorman has %d messages, want %d", got, left)
					}
				})
			})
		}
	}
}
