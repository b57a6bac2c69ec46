package runtime_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

// planner schedules messages to itself, and notes which have run.
type planner struct {
	Ran   []string `json:"ran"`
	Fails int      `json:"fails"` // how often the next message still fails
}

// remind is its message. Its text says what the handler does.
type remind struct {
	Text string `json:"text"`
}

type forgotten struct{}

// planned is what an order of a test schedules.
type planned struct {
	Text  string `json:"text"`
	In    int    `json:"in"` // milliseconds from now
	Name  string `json:"name,omitempty"`
	Times int    `json:"times,omitempty"`
}

var plannerRuns counts // of the handler, by the message's id

// counts counts by a name.
type counts struct {
	mu sync.Mutex
	of map[string]int
}

// plannerTries notes when the handler runs, by the message's id, between start and stop.
var plannerTries tries

type tries struct {
	mu sync.Mutex
	of map[string][]time.Time
}

func (n *tries) start() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.of = map[string][]time.Time{}
}

func (n *tries) stop() map[string][]time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	of := n.of
	n.of = nil
	return of
}

func (n *tries) add(id string, at time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of != nil {
		n.of[id] = append(n.of[id], at)
	}
}

func (n *counts) add(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[string]int{}
	}
	n.of[name]++
	return n.of[name]
}

func (n *counts) clear() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.of = nil
}

func (n *counts) get(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.of[name]
}

func (p *planner) OnStart(c *nothing) error {
	if c.Key()[0] == "startup" && len(p.Ran) == 0 {
		c.Schedule(c.Now().Add(time.Minute), remind{"startup"})
	}
	return nil
}

func (p *planner) OnDisconnect(c *nothing) error {
	if c.Key()[0] == "undo" {
		c.CancelNamed("kept")
		c.Schedule(c.Now().Add(time.Second), remind{"undone"})
		return errors.New("as asked")
	}
	return nil
}

func (p *planner) Plan(c *nothing, what planned) actor.MessageID {
	id := actor.MessageID("")
	for range max(what.Times, 1) {
		at := c.Now().Add(time.Duration(what.In) * time.Millisecond)
		if what.Name != "" {
			id = c.Schedule(at, remind{what.Text}, actor.Named(what.Name))
		} else {
			id = c.Schedule(at, remind{what.Text})
		}
	}
	return id
}

// PlanAndFail changes everything that a turn can change of messages, and fails.
func (p *planner) PlanAndFail(c *nothing, cancel actor.MessageID) error {
	c.Schedule(c.Now().Add(time.Second), remind{"never"})
	c.Schedule(c.Now().Add(time.Second), remind{"neither"}, actor.Named("kept"))
	if !c.Cancel(cancel) || !c.CancelNamed("kept") || c.CancelNamed("kept") {
		return errors.New("it was not there, or is twice")
	}
	return actor.Errorf("failed", "as asked")
}

// PlanAndKick schedules, and ends the connections, whose OnDisconnect fails.
func (p *planner) PlanAndKick(c *nothing) {
	c.Schedule(c.Now().Add(time.Second), remind{"outer"})
	for conn := range c.Conns() {
		conn.Disconnect("kicked")
	}
}

func (p *planner) Cancel(c *nothing, id actor.MessageID) bool { return c.Cancel(id) }
func (p *planner) CancelNamed(c *nothing, name string) bool   { return c.CancelNamed(name) }
func (p *planner) PlanUndeclared(c *nothing)                  { c.Schedule(c.Now(), forgotten{}) }
func (p *planner) PlanPointer(c *nothing)                     { c.Schedule(c.Now(), &remind{}) }
func (p *planner) PlanNil(c *nothing)                         { c.Schedule(c.Now(), nil) }
func (p *planner) PlanLarge(c *nothing, n int) {
	c.Schedule(c.Now().Add(time.Hour), remind{strings.Repeat("x", n)})
}
func (p *planner) Break(_ *nothing, fails int) { p.Fails = fails }
func (p planner) PlanReadOnly(c *nothing)      { c.Schedule(c.Now(), remind{}) }
func (p planner) CancelReadOnly(c *nothing)    { c.Cancel("x") }
func (p planner) GetRan(*nothing) []string     { return p.Ran }

// GetPlanned lists what is scheduled.
func (p planner) GetPlanned(c *nothing) []string {
	var all []string
	for m := range c.Scheduled() {
		text := m.Type + "@" + fmt.Sprint(time.Until(m.Due).Round(time.Millisecond))
		if m.Name != "" {
			text += " named " + m.Name
		}
		if m.Parked != "" {
			text += " parked: " + m.Parked
		} else if m.Tries > 0 {
			text += fmt.Sprint(" tries ", m.Tries)
		}
		all = append(all, text)
	}
	return all
}

func (p *planner) remind(c *nothing, m remind) error {
	plannerRuns.add(string(c.MessageID()))
	plannerTries.add(string(c.MessageID()), c.Now())
	p.Ran = append(p.Ran, m.Text)
	c.Broadcast(note(m))
	switch {
	case p.Fails > 0:
		return fmt.Errorf("%d to go", plannerRuns.get(string(c.MessageID())))
	case m.Text == "refuse":
		return actor.Errorf("refused", "as asked")
	case m.Text == "panic":
		panic("as asked")
	case m.Text == "late" && c.Now().Before(c.Due()):
		return errors.New("it runs before its time")
	case m.Text == "more":
		for range 12 {
			c.Schedule(c.Now(), remind{"answer"})
		}
	case m.Text == "far too many":
		for range 25 {
			c.Schedule(c.Now(), remind{"answer"})
		}
	}
	return nil
}

var planners = actor.NewRegistry(actor.Define[planner]("planner",
	actor.Emits[note](), actor.Handles((*planner).remind), actor.WithOptions(actor.Options{MaxMessages: 10, MaxMessagesBytes: 200_000})))

func getRan(a actortest.Caller) []string     { return actortest.Call[[]string](a, "getRan") }
func getPlanned(a actortest.Caller) []string { return actortest.Call[[]string](a, "getPlanned") }

func plan(a actortest.Caller, what planned) actor.MessageID {
	return actortest.Call[actor.MessageID](a, "plan", what)
}

func wantList(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestAScheduledMessageRunsAtItsTime(t *testing.T) {
	actortest.Run(t, planners, func(n *actortest.Node) {
		a := n.Actor("planner", "a").Connect(nil)
		plan(a, planned{Text: "third", In: 60_000})
		plan(a, planned{Text: "first", In: 1000})
		plan(a, planned{Text: "second", In: 1000})
		wantList(t, "scheduled", getPlanned(a), "remind@1s", "remind@1s", "remind@1m0s")
		time.Sleep(999 * time.Millisecond)
		wantList(t, "before the time", getRan(a))
		time.Sleep(time.Millisecond)
		wantList(t, "after 1s", getRan(a), "first", "second")
		if got := actortest.Events[note](a); len(got) != 2 {
			t.Errorf("got events %v", got)
		}
		time.Sleep(time.Hour)
		wantList(t, "after an hour", getRan(a), "first", "second", "third")
		wantList(t, "scheduled", getPlanned(a))
		plan(a, planned{Text: "at once", In: -5000})
		time.Sleep(time.Millisecond)
		wantList(t, "with one of the past", getRan(a), "first", "second", "third", "at once")
	})
}

func TestScheduledMessagesAreStored(t *testing.T) {
	actortest.Run(t, planners, func(n *actortest.Node) {
		a := n.Actor("planner", "a")
		plan(a, planned{Text: "late", In: 1000})
		canceled := plan(a, planned{Text: "canceled", In: 500})
		plan(a, planned{Text: "replaced", In: 600, Name: "one"})
		plan(a, planned{Text: "later", In: 3000, Name: "one"})
		n.Restart()
		if !actortest.Call[bool](a, "cancel", canceled) || actortest.Call[bool](a, "cancel", canceled) {
			t.Error("want Cancel to be true once")
		}
		n.Restart()
		wantList(t, "scheduled", getPlanned(a), "remind@1s", "remind@3s named one")
		time.Sleep(2 * time.Second)
		n.Restart()
		wantList(t, "ran", getRan(a), "late")
		wantList(t, "scheduled", getPlanned(a), "remind@1s named one")
		if !actortest.Call[bool](a, "cancelNamed", "one") || actortest.Call[bool](a, "cancelNamed", "one") {
			t.Error("want CancelNamed to be true once")
		}
		n.Restart()
		time.Sleep(time.Hour)
		wantList(t, "ran", getRan(a), "late")
	})
}

// Messages of an actor that is not stored yet are stored with its first commit.
func TestMessagesOfANewActor(t *testing.T) {
	actortest.Run(t, planners, func(n *actortest.Node) {
		a := n.Actor("planner", "startup")
		wantList(t, "of a new actor", getPlanned(a), "remind@1m0s") // read-only: it is not stored
		plan(a, planned{Text: "first commit", In: 90_000})
		n.Restart()
		c := a.Connect(nil)
		wantList(t, "after a restart", getPlanned(c), "remind@1m0s", "remind@1m0s", "remind@1m30s")
		time.Sleep(2 * time.Minute)
		wantList(t, "ran", getRan(c), "startup", "startup", "first commit")
	})
}

// The first commit of a new actor sets the alarm, too.
func TestTheFirstCommitSetsTheAlarm(t *testing.T) {
	actortest.Run(t, planners, func(n *actortest.Node) {
		c := n.Actor("planner", "startup").Connect(nil)
		time.Sleep(time.Minute)
		wantList(t, "ran", getRan(c), "startup")
	})
}

func TestG7_AFailedTurnSchedulesNothing(t *testing.T) {
	actortest.Run(t, planners, func(n *actortest.Node) {
		a := n.Actor("planner", "a").Connect(nil)
		id := plan(a, planned{Text: "a", In: 1000})
		plan(a, planned{Text: "b", In: 2000, Name: "kept"})
		before := getPlanned(a)
		if err := a.Fail("planAndFail", id); err.Code != "failed" {
			t.Fatal(err)
		}
		wantList(t, "scheduled", getPlanned(a), before...)
		time.Sleep(time.Minute)
		wantList(t, "ran", getRan(a), "a", "b")
	})
	actortest.Run(t, planners, func(n *actortest.Node) {
		a := n.Actor("planner", "undo")
		a.Connect(nil)
		plan(a, planned{Text: "kept", In: 2000, Name: "kept"})
		actortest.Call[any](a, "planAndKick")
		wantList(t, "after a failed OnDisconnect", getPlanned(a), "remind@1s", "remind@2s named kept")
	})
}

func TestTurnsThatCannotSchedule(t *testing.T) {
	actortest.Run(t, planners, func(n *actortest.Node) {
		a := n.Actor("planner", "a").Connect(nil)
		for action, want := range map[string]string{
			"planReadOnly":   "planReadOnly is read-only (it has a value receiver) and cannot schedule a message",
			"cancelReadOnly": "cancelReadOnly is read-only (it has a value receiver) and cannot cancel a message",
			"planUndeclared": `message type runtime_test.forgotten has no handler: add actor.Handles((*planner).forgotten) to the definition of "planner", and a method forgotten(c *actor.Context[S], m runtime_test.forgotten) error`,
			"planPointer":    "a message is a value, not a *runtime_test.remind: pass what it points to",
			"planNil":        "the message is nil",
		} {
			if err := a.Fail(action); !strings.Contains(err.Message, want) {
				t.Errorf("%s: got %v, want %q", action, err, want)
			}
		}
		if err := a.Fail("planLarge", 64<<10); err.Code != "too_large" {
			t.Errorf("got %v", err)
		}
		if err := a.Fail("plan", planned{Text: "x", Times: 11, In: 1000}); err.Code != "overloaded" || !strings.Contains(fmt.Sprintf("%s", err.Metadata), "MaxMessages\"") {
			t.Errorf("got %v %s", err, err.Metadata)
		}
		for range 3 {
			actortest.Call[any](a, "planLarge", 60<<10)
		}
		if err := a.Fail("planLarge", 60<<10); err.Code != "overloaded" || !strings.Contains(fmt.Sprintf("%s", err.Metadata), "MaxMessagesBytes") {
			t.Errorf("got %v %s", err, err.Metadata)
		}
		wantList(t, "scheduled", getPlanned(a), "remind@1h0m0s", "remind@1h0m0s", "remind@1h0m0s")
	})
}

// A turn that handles a message may go to twice the limit.
func TestAHandlerMayAddMoreMessages(t *testing.T) {
	actortest.Run(t, planners, func(n *actortest.Node) {
		a := n.Actor("planner", "a").Connect(nil)
		plan(a, planned{Text: "x", Times: 7, In: 3_600_000})
		plan(a, planned{Text: "more"})
		time.Sleep(time.Second)
		wantList(t, "ran", getRan(a), append([]string{"more"}, slices.Repeat([]string{"answer"}, 12)...)...)
		plan(a, planned{Text: "far too many"})
		time.Sleep(time.Second)
		if got := getRan(a); len(got) != 13 {
			t.Errorf("got %q", got)
		}
	})
}

func TestAHandlerThatFailsLeavesNoTrace(t *testing.T) {
	actortest.Run(t, planners, func(n *actortest.Node) {
		plannerRuns.clear()
		a := n.Actor("planner", "failing").Connect(nil)
		actortest.Call[any](a, "break", 1)
		id := plan(a, planned{Text: "x", In: 1000})
		time.Sleep(1000*time.Millisecond + 1)
		wantList(t, "ran", getRan(a))
		if got := getPlanned(a); len(got) != 1 || !strings.Contains(got[0], "tries 1") {
			t.Errorf("got %q", got)
		}
		actortest.Call[any](a, "break", 0)
		time.Sleep(time.Second)
		wantList(t, "ran", getRan(a), "x")
		if got := plannerRuns.get(string(id)); got != 2 {
			t.Errorf("message %s ran %d times, want 2 with the same id", id, got)
		}
		plan(a, planned{Text: "refuse"})
		time.Sleep(time.Second)
		wantList(t, "ran", getRan(a), "x")
		wantList(t, "scheduled", getPlanned(a))
		if got := actortest.Events[note](a); len(got) != 1 {
			t.Errorf("got events %v", got)
		}
	})
}
