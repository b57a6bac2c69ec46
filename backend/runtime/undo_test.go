package runtime_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

// mixer makes all kinds of changes in one turn, and fails in all places.
type mixer struct {
	N     int                      `json:"n"`
	Items actor.Table[int, string] `json:"items"`
	Ran   []int                    `json:"ran"` // messages that were handled
}

type (
	mixerState struct {
		Note int `json:"note"`
	}
	mixed struct {
		N int `json:"n"`
	}
	mixerContext = actor.Context[mixerState]
)

// mixerStep is one change of a turn.
type mixerStep struct {
	Do string `json:"do"`
	N  int    `json:"n"`
}

// mixerPlan is what a turn does. Hook is what OnDisconnect does in it.
type mixerPlan struct {
	Steps    []mixerStep `json:"steps"`
	Fails    bool        `json:"fails"`
	Hook     []mixerStep `json:"hook"`
	HookFail bool        `json:"hookFail"`
}

var mixerHook struct {
	steps []mixerStep
	fails bool
	keep  string // the connection that called
}

func (m *mixer) CreateConnState(*actor.ConnectContext, struct{}) mixerState { return mixerState{} }

func (m *mixer) run(c *mixerContext, steps []mixerStep) {
	for _, s := range steps {
		switch s.Do {
		case "n":
			m.N += s.N
		case "set":
			m.Items.Set(s.N, fmt.Sprint(m.N))
		case "delete":
			m.Items.Delete(s.N)
		case "schedule":
			c.Schedule(c.Now().Add(time.Hour), mixed{s.N}, actor.Named(fmt.Sprint(s.N)))
		case "cancel":
			c.CancelNamed(fmt.Sprint(s.N))
		case "send":
			c.Send(actor.Of("mixed", "m"), mixed{s.N})
		case "note":
			for conn := range c.Conns() {
				conn.SetState(mixerState{s.N})
			}
		case "emit":
			c.Broadcast(mixed{s.N})
		case "disconnect":
			for conn := range c.Conns() {
				if conn.ID() != mixerHook.keep {
					conn.Disconnect("mixed")
					break
				}
			}
		case "destroy":
			c.Destroy()
		}
	}
}

func (m *mixer) Turn(c *mixerContext, p mixerPlan) error {
	mixerHook.steps, mixerHook.fails, mixerHook.keep = p.Hook, p.HookFail, c.Conn().ID()
	m.run(c, p.Steps)
	if p.Fails {
		return actor.Errorf("planned", "it was to fail")
	}
	return nil
}

func (m *mixer) OnDisconnect(c *mixerContext) error {
	steps, fails := mixerHook.steps, mixerHook.fails
	mixerHook.steps = nil // of the first one only
	m.run(c, steps)
	if fails && steps != nil {
		return errors.New("planned")
	}
	return nil
}

func (m *mixer) mixed(_ *mixerContext, msg mixed) error {
	m.Ran = append(m.Ran, msg.N)
	return nil
}

// mixedLog gets the messages that a mixer sends.
type mixedLog struct {
	Got []int `json:"got"`
}

func (l *mixedLog) mixed(_ *nothing, m mixed) error {
	l.Got = append(l.Got, m.N)
	return nil
}

func (l mixedLog) All(*nothing) []int { return l.Got }

// mixerView is all that the model compares after each turn.
type mixerView struct {
	N         int            `json:"n"`
	Items     map[int]string `json:"items"`
	Scheduled []int          `json:"scheduled"`
	Notes     []int          `json:"notes"`
}

func (m *mixer) View(c *mixerContext) mixerView {
	v := mixerView{N: m.N, Items: map[int]string{}, Scheduled: []int{}, Notes: []int{}}
	for k, item := range m.Items.All() {
		v.Items[k] = item
	}
	for s := range c.Scheduled() {
		var n int
		fmt.Sscan(s.Name, &n)
		v.Scheduled = append(v.Scheduled, n)
	}
	slices.Sort(v.Scheduled)
	for conn := range c.Conns() {
		v.Notes = append(v.Notes, conn.State().Note)
	}
	return v
}

var mixers = actor.NewRegistry(actor.Define[mixer]("mixer", actor.Emits[mixed](), actor.Handles((*mixer).mixed)),
	actor.Define[mixedLog]("mixed", actor.Handles((*mixedLog).mixed)))

// mixerModel is a mixer as it should be.
type mixerModel struct {
	view      mixerView
	events    int
	destroyed bool
	sent      []int // in all lives
}

func (m mixerModel) clone() mixerModel {
	m.view.Items, m.sent = maps.Clone(m.view.Items), slices.Clone(m.sent)
	m.view.Scheduled, m.view.Notes = slices.Clone(m.view.Scheduled), slices.Clone(m.view.Notes)
	return m
}

// run applies steps. The caller's connection is the first one and stays. It reports whether
// another one was disconnected, for each of which the hook runs.
func (m *mixerModel) run(steps []mixerStep) (disconnected int) {
	for _, s := range steps {
		v := &m.view
		switch s.Do {
		case "n":
			v.N += s.N
		case "set":
			v.Items[s.N] = fmt.Sprint(v.N)
		case "delete":
			delete(v.Items, s.N)
		case "schedule":
			v.Scheduled = append(slices.DeleteFunc(v.Scheduled, func(n int) bool { return n == s.N }), s.N)
			slices.Sort(v.Scheduled)
		case "cancel":
			v.Scheduled = slices.DeleteFunc(v.Scheduled, func(n int) bool { return n == s.N })
		case "send":
			m.sent = append(m.sent, s.N)
		case "note":
			for i := range v.Notes {
				v.Notes[i] = s.N
			}
		case "emit":
			m.events++
		case "disconnect":
			if len(v.Notes) > 1 {
				v.Notes = slices.Delete(v.Notes, 1, 2)
				disconnected++
			}
		case "destroy":
			m.destroyed = true
		}
	}
	return disconnected
}

// turn applies a turn.
func (m mixerModel) turn(p mixerPlan) mixerModel {
	before := m.clone()
	ended := m.run(p.Steps)
	if p.Fails {
		return before
	}
	if ended == 0 || m.destroyed {
		return m
	}
	undo := m.clone()
	if m.run(p.Hook); p.HookFail && p.Hook != nil {
		return undo
	}
	return m
}

// TestG7_EverythingOfATurnIsUndone: random turns that change the state, a table, messages to
// itself and to another actor, connection states and connections, emit and destroy, and fail, as a whole or in a hook
// inside them, against a model.
func TestG7_EverythingOfATurnIsUndone(t *testing.T) {
	kinds := []string{"n", "set", "delete", "schedule", "cancel", "send", "note", "emit", "disconnect"}
	for seed := range uint64(seeds) {
		actortest.Run(t, mixers, func(n *actortest.Node) {
			r := rand.New(rand.NewPCG(seed, 2))
			steps := func(destroys int) (all []mixerStep) {
				for range r.IntN(6) {
					all = append(all, mixerStep{kinds[r.IntN(len(kinds))], r.IntN(5)})
				}
				if r.IntN(destroys) == 0 {
					all = slices.Insert(all, r.IntN(len(all)+1), mixerStep{Do: "destroy"})
				}
				return all
			}
			mixer := n.Actor("mixer", "a")
			model := mixerModel{view: mixerView{Items: map[int]string{}, Scheduled: []int{}}}
			var conns []*actortest.Conn
			connect := func() {
				for len(model.view.Notes) < 3 {
					c := mixer.Connect(nil)
					conns = append(conns, c)
					model.view.Notes = append(model.view.Notes, 0)
				}
			}
			connect()
			for i := range 40 {
				p := mixerPlan{Steps: steps(8), Fails: r.IntN(3) == 0, Hook: steps(8), HookFail: r.IntN(2) == 0}
				first := conns[0]
				first.Clear()
				model.events = 0
				model = model.turn(p)
				if p.Fails {
					if err := first.Fail("turn", p); err.Code != "planned" {
						t.Fatalf("seed %d: turn %d %+v: %v", seed, i, p, err)
					}
				} else {
					actortest.Call[any](first, "turn", p)
				}
				if got := len(actortest.Events[mixed](first)); got != model.events {
					t.Fatalf("seed %d: turn %d %+v: got %d events, want %d", seed, i, p, got, model.events)
				}
				code, closed := first.Closed()
				if closed != model.destroyed || closed && code != "destroyed" {
					t.Fatalf("seed %d: turn %d %+v: closed %t %s, want destroyed %t", seed, i, p, closed, code, model.destroyed)
				}
				if model.destroyed {
					model = mixerModel{view: mixerView{Items: map[int]string{}, Scheduled: []int{}}, sent: model.sent}
					conns = nil
				}
				if r.IntN(4) == 0 && conns != nil {
					n.Restart()
					if !first.Resume() {
						t.Fatalf("seed %d: turn %d: the connection has not come back", seed, i)
					}
				}
				if conns == nil {
					connect()
				}
				got := actortest.Call[mixerView](conns[0], "view")
				if fmt.Sprint(got) != fmt.Sprint(model.view) {
					t.Fatalf("seed %d: after turn %d %+v: got %+v, want %+v", seed, i, p, got, model.view)
				}
			}
			time.Sleep(time.Minute)
			if got := actortest.Call[[]int](n.Actor("mixed", "m"), "all"); !slices.Equal(got, model.sent) {
				t.Errorf("seed %d: the other actor got %v, want %v", seed, got, model.sent)
			}
		})
	}
}
