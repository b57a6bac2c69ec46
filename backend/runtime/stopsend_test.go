package runtime_test

import (
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
