package runtime_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
)

// oven0 to oven3 are versions of an actor whose messages change: one changes its type, one
// its name, and one goes.
type oven0 struct {
	Log []string `json:"log"`
}

type (
	bake struct {
		Minutes int `json:"minutes"`
	}
	bakeV1 struct {
		Time string `json:"time"`
	}
	roast struct {
		Time string `json:"time"`
	}
	clean struct{}
)

func (o *oven0) Schedule(c *actor.Context[actor.NoState], minutes int) {
	c.Schedule(c.Now().Add(time.Hour), bake{minutes})
	c.Schedule(c.Now().Add(2*time.Hour), clean{})
}

func (o oven0) Get(*actor.Context[actor.NoState]) []string { return o.Log }

func (o *oven0) bake(_ *actor.Context[actor.NoState], b bake) error {
	o.Log = append(o.Log, fmt.Sprint("bake ", b.Minutes))
	return nil
}

func (o *oven0) clean(*actor.Context[actor.NoState], clean) error {
	o.Log = append(o.Log, "clean")
	return nil
}

type oven1 struct{ oven0 }

func (o *oven1) bakeFor(_ *actor.Context[actor.NoState], b bakeV1) error {
	o.Log = append(o.Log, "bake for "+b.Time)
	return nil
}

func (o *oven1) clean(c *actor.Context[actor.NoState], m clean) error { return o.oven0.clean(c, m) }

func (o *oven1) Schedule(c *actor.Context[actor.NoState], minutes int) {
	c.Schedule(c.Now().Add(time.Hour), bakeV1{fmt.Sprintf("%dm", minutes)})
	c.Schedule(c.Now().Add(2*time.Hour), clean{})
}

type oven2 struct{ oven1 }

func (o *oven2) roast(_ *actor.Context[actor.NoState], r roast) error {
	o.Log = append(o.Log, "roast for "+r.Time)
	return nil
}

func (o *oven2) Schedule(c *actor.Context[actor.NoState], minutes int) {
	c.Schedule(c.Now().Add(time.Hour), roast{fmt.Sprintf("%dm", minutes)})
}

// Between versions 0 and 1 the Go type has another name, too: it would be stored as bakeV1.
var ovenSteps = []actor.DefineOption{
	actor.Version(1,
		actor.MigrateMessage("bake", func(old bake) bakeV1 { return bakeV1{fmt.Sprintf("%dm", old.Minutes)} }),
		actor.RenameMessage("bake", "bakeV1"),
	),
	actor.Version(2, actor.RenameMessage("bakeV1", "roast")),
}

func oven(version int) actor.RegistryOption {
	switch version {
	case 0:
		return actor.Define[oven0]("oven", actor.Handles((*oven0).bake), actor.Handles((*oven0).clean))
	case 1:
		return actor.Define[oven1]("oven", ovenSteps[0], actor.Handles((*oven1).bakeFor), actor.Handles((*oven1).clean))
	}
	return actor.Define[oven2]("oven", ovenSteps[0], ovenSteps[1], actor.Handles((*oven2).roast))
}

func wantOven(s *site, want ...string) {
	s.t.Helper()
	raw, _ := json.Marshal(append([]string{}, want...))
	s.want(string(raw), "oven", "a", "get")
}

// TestAVersionHandlesTheMessagesOfEachEarlierOne, also after a crash.
func TestAVersionHandlesTheMessagesOfEachEarlierOne(t *testing.T) {
	results := []string{"bake 7", "bake for 7m", "roast for 7m"}
	for from := range 3 {
		for to := from; to < 3; to++ {
			t.Run(fmt.Sprint(from, "to", to), func(t *testing.T) {
				onEachStore(t, func(s *site) {
					s.deploy(oven(from))
					s.call("oven", "a", "schedule", 7)
					s.deploy(oven(to))
					wantOven(s)
					s.crash(oven(to))
					time.Sleep(61 * time.Minute)
					wantOven(s, results[to])
					s.crash(oven(to))
					wantOven(s, results[to])
					s.call("oven", "a", "schedule", 7) // what it makes itself has no steps to go
					time.Sleep(61 * time.Minute)
					if to == 2 {
						wantOven(s, results[to], results[to])
						return
					}
					wantOven(s, results[to], "clean", results[to])
				})
			})
		}
	}
}

// TestMessagesWithoutAHandlerWaitForOne: those of a type that is gone, and those of a newer
// version, are parked, and handled when a binary that knows them loads the actor.
func TestMessagesWithoutAHandlerWaitForOne(t *testing.T) {
	onEachStore(t, func(s *site) {
		s.deploy(oven(1))
		s.call("oven", "a", "schedule", 7)
		s.deploy(oven(2))
		time.Sleep(4 * time.Hour)
		wantOven(s, "roast for 7m")
		parked := 0
		for _, m := range s.stored("oven", "a").Messages {
			if m.Type == "clean" && strings.Contains(m.Parked, `no handler of messages of type "clean"`) {
				parked++
			}
		}
		if parked != 1 {
			s.t.Errorf("got %d parked messages, want one: %+v", parked, s.stored("oven", "a").Messages)
		}
	})
}

// TestAMessageWhoseStepPanicsIsParked, and is kept.
func TestAMessageWhoseStepPanicsIsParked(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newSite(t, "")
		s.deploy(oven(0))
		s.call("oven", "a", "schedule", 7)
		s.deploy(actor.Define[oven1]("oven", actor.Version(1,
			actor.MigrateMessage("bake", func(bake) bakeV1 { panic("burnt") }),
			actor.RenameMessage("bake", "bakeV1")),
			actor.Handles((*oven1).bakeFor), actor.Handles((*oven1).clean)))
		time.Sleep(4 * time.Hour)
		wantOven(s, "clean")
		for _, m := range s.stored("oven", "a").Messages {
			if !strings.Contains(m.Parked, "migrate the message bake") || !strings.Contains(m.Parked, "burnt") {
				t.Errorf("got %+v, want it parked by its step", m)
			}
		}
		s.deploy(oven(1)) // a mended one
		if n := len(s.stored("oven", "a").Messages); n != 1 {
			t.Errorf("got %d messages, want the one that is parked", n)
		}
	})
}

// cook sends messages to ovens. hotOven is an oven of version 0 that fails for now.
type (
	cook    struct{}
	hotOven struct{ oven0 }
)

func (*cook) Order(c *actor.Context[actor.NoState], minutes int) {
	c.Send(actor.Of("oven", "a"), bake{minutes})
}

func (*hotOven) bake(*actor.Context[actor.NoState], bake) error { return errors.New("too hot") }

// TestAVersionHandlesTheMessagesThatWereOnTheirWay from another actor.
func TestAVersionHandlesTheMessagesThatWereOnTheirWay(t *testing.T) {
	onEachStore(t, func(s *site) {
		s.deploy(actor.Define[hotOven]("oven", actor.Handles((*hotOven).bake)), actor.Define[cook]("cook"))
		s.call("cook", "b", "order", 7)
		time.Sleep(10 * time.Second) // in a minute, chance may have used up its ten tries
		s.deploy(oven(2), actor.Define[cook]("cook"))
		time.Sleep(10 * time.Minute)
		wantOven(s, "roast for 7m")
		if m := s.stored("cook", "b").Messages; len(m) > 0 {
			s.t.Errorf("the sender still has %+v", m)
		}
	})
}
