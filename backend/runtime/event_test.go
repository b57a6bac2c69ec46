package runtime_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
)

// tower emits in every way there is.
type tower struct {
	Sent int `json:"sent"`
}

type undeclared struct{}

func (*tower) CreateConnState(_ *actor.ConnectContext, p memberParams) (member, error) {
	return member(p), nil
}

func (*tower) All(c *actor.Context[member])      { c.Broadcast(note{"all"}) }
func (*tower) Others(c *actor.Context[member])   { c.Broadcast(note{"others"}, actor.Except(c.Conn())) }
func (*tower) Volatile(c *actor.Context[member]) { c.Broadcast(note{"now"}, actor.Volatile) }
func (*tower) Latest(c *actor.Context[member])   { c.Broadcast(note{"now"}, actor.Latest("k")) }
func (*tower) Undeclared(c *actor.Context[member]) {
	c.Broadcast(note{"before"})
	c.Broadcast(undeclared{})
}
func (*tower) Huge(c *actor.Context[member]) { c.Broadcast(note{strings.Repeat("x", 2<<20)}) }
func (*tower) HugeResult(*actor.Context[member]) string {
	return strings.Repeat("x", 2<<20)
}

func (*tower) Where(c *actor.Context[member], prefix string) {
	c.Broadcast(note{"some"}, actor.Where(func(conn *actor.Conn[member]) bool {
		return strings.HasPrefix(conn.State().Name, prefix)
	}), actor.Except(c.Conn()))
}

// Loop sends the same to everybody, twice to the first.
func (*tower) Loop(c *actor.Context[member]) {
	for conn := range c.Conns() {
		conn.Send(note{"each"})
	}
	for conn := range c.Conns() {
		conn.Send(note{"each"})
		break
	}
}

func (*tower) ExceptAll(c *actor.Context[member]) {
	var conns []*actor.Conn[member]
	for conn := range c.Conns() {
		conns = append([]*actor.Conn[member]{conn}, conns...) // the newest first
	}
	c.Broadcast(note{"nobody"}, actor.Except(conns...), actor.Except(c.Conn()))
}

// SendMixed sends the same to each of two connections, in different ways.
func (*tower) SendMixed(c *actor.Context[member]) {
	options := [][]actor.EmitOption{nil, {actor.Volatile}, {actor.Latest("")}, {actor.Latest("k")}}
	i := 0
	for conn := range c.Conns() {
		conn.Send(note{"mixed"}, options[i%len(options)]...)
		i++
	}
}

func (tower) EmitReadOnly(c *actor.Context[member])       { c.Broadcast(note{"no"}) }
func (tower) SetStateReadOnly(c *actor.Context[member])   { c.Conn().SetState(member{"no"}) }
func (tower) DisconnectReadOnly(c *actor.Context[member]) { c.Conn().Disconnect("no") }

func (tower) AfterReadOnly(c *actor.Context[member]) {
	c.After(time.Second, func(*actor.Context[member]) error { return nil })
}

func (tower) EveryReadOnly(c *actor.Context[member]) {
	c.Every(time.Second, func(*actor.Context[member]) error { return nil })
}

var towers = actor.NewRegistry(actor.Define[tower]("tower", actor.Emits[note]()))

var towerRef = host.Ref{Name: "tower", Key: host.Key{"a"}}

func TestTargetsOfEvents(t *testing.T) {
	actortest.Run(t, towers, func(n *actortest.Node) {
		room := n.Actor("tower", "a")
		conns := map[string]*actortest.Conn{}
		for _, name := range []string{"ada", "anna", "bob"} {
			conns[name] = room.Connect(memberParams{name})
		}
		for _, test := range []struct {
			action string
			args   []any
			want   string
		}{
			{"all", nil, "ada:1 anna:1 bob:1"},
			{"others", nil, "ada:0 anna:1 bob:1"},
			{"where", []any{"a"}, "ada:0 anna:1 bob:0"},
			{"loop", nil, "ada:2 anna:1 bob:1"},
			{"volatile", nil, "ada:1 anna:1 bob:1"},
			{"latest", nil, "ada:1 anna:1 bob:1"},
		} {
			for _, c := range conns {
				c.Clear()
			}
			actortest.Call[any](conns["ada"], test.action, test.args...)
			var got []string
			for name, c := range conns {
				got = append(got, fmt.Sprintf("%s:%d", name, len(actortest.Events[note](c))))
			}
			slices.Sort(got)
			if s := strings.Join(got, " "); s != test.want {
				t.Errorf("%s: got %s, want %s", test.action, s, test.want)
			}
		}
	})
}

// A loop over connections costs one entry, not one for each.
func TestSendsOfTheSameEventBecomeOneEntry(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, towers)
		var conns []*reader
		for i := range 5 {
			conns = append(conns, b.open(towerRef, host.OpenRequest{Conn: fmt.Sprint(i), Producer: fmt.Sprint(i)}))
			conns[i].read()
		}
		conns[0].call(1, "loop")
		got := conns[0].read()[1:]
		if len(got) != 3 || len(got[0].Target.Conns) != 5 || len(got[1].Target.Conns) != 1 || got[0].Target.Mode != store.ToOnly {
			t.Errorf("got %d outputs, want the send to all, the second one to the first, and the reply", len(got))
		}
	})
}

type (
	basket struct{ Items []string }
	point  struct{ X float64 }
	ticket int
	linked struct{ To *int }
)

var tickets atomic.Int32

func (ticket) MarshalJSON() ([]byte, error) { return fmt.Append(nil, tickets.Add(1)), nil }

// forger sends what looks like the same value, but is not the same event.
type forger struct{}

func (*forger) Send(c *actor.Context[actor.NoState], kind string) {
	items, n, i := []string{"apple"}, 7, 0
	for conn := range c.Conns() {
		items[0], n = items[0]+"s", n+1
		switch kind {
		case "basket":
			conn.Send(basket{items})
		case "point":
			conn.Send(point{math.Copysign(0, float64(1-2*(i%2)))})
		case "ticket":
			conn.Send(ticket(1))
		case "pointer":
			conn.Send(linked{&n})
		case "note":
			conn.Send(note{fmt.Sprint(i / 2)})
		}
		i++
	}
}

func TestSendsOfEqualValuesAreTheSameEventOnlyIfTheirJSONIs(t *testing.T) {
	reg := actor.NewRegistry(actor.Define[forger]("forger",
		actor.Emits[basket](), actor.Emits[point](), actor.Emits[ticket](), actor.Emits[linked](), actor.Emits[note]()))
	ref := host.Ref{Name: "forger", Key: host.Key{"a"}}
	for kind, want := range map[string]string{
		"basket":  `1:{"Items":["apples"]} 1:{"Items":["appless"]} 1:{"Items":["applesss"]} 1:{"Items":["applessss"]}`,
		"point":   `1:{"X":0} 1:{"X":-0} 1:{"X":0} 1:{"X":-0}`,
		"ticket":  `1:1 1:2 1:3 1:4`,
		"pointer": `1:{"To":8} 1:{"To":9} 1:{"To":10} 1:{"To":11}`,
		"note":    `2:{"text":"0"} 2:{"text":"1"}`,
	} {
		t.Run(kind, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				tickets.Store(0)
				b := newBench(t, nil, reg)
				var conns []*reader
				for i := range 4 {
					conns = append(conns, b.open(ref, as(fmt.Sprint(i))))
					conns[i].read()
				}
				conns[0].call(1, "send", kind)
				conns[0].read()
				stored, err := conns[0].log.Stored(t.Context(), 0, 10, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, o := range stored {
					if o.Kind == host.OutputEvent {
						got = append(got, fmt.Sprintf("%d:%s", len(o.Target.Conns), o.Data))
					}
				}
				if s := strings.Join(got, " "); s != want {
					t.Errorf("got %s, want %s", s, want)
				}
			})
		})
	}
}

func TestVolatileEventsAreNotReplayed(t *testing.T) {
	actortest.Run(t, towers, func(n *actortest.Node) {
		room := n.Actor("tower", "a")
		ada, bob := room.Connect(memberParams{"ada"}), room.Connect(memberParams{"bob"})
		bob.Drop()
		actortest.Call[any](ada, "volatile")
		actortest.Call[any](ada, "all")
		actortest.Call[any](ada, "latest")
		bob.Resume()
		if got := actortest.Events[note](bob); len(got) != 1 || got[0].Text != "all" {
			t.Errorf("got %v, want the one event that is not volatile", got)
		}
	})
}

func TestEventsAndResultsThatCannotBeSentFailTheTurn(t *testing.T) {
	actortest.Run(t, towers, func(n *actortest.Node) {
		ada := n.Actor("tower", "a").Connect(memberParams{"ada"})
		for action, code := range map[string]string{
			"undeclared": "internal_error", "huge": "too_large", "hugeResult": "too_large",
			"emitReadOnly": "read_only", "setStateReadOnly": "read_only", "disconnectReadOnly": "read_only",
			"afterReadOnly": "read_only", "everyReadOnly": "read_only",
		} {
			if err := ada.Fail(action); err.Code != code {
				t.Errorf("%s: got %v, want %s", action, err, code)
			}
		}
		if got := actortest.Events[note](ada); len(got) != 0 {
			t.Errorf("turns that failed emitted %v", got)
		}
		if _, closed := ada.Closed(); closed {
			t.Error("a read-only action ended its connection")
		}
	})
}

func TestExceptTakesConnectionsInAnyOrder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, towers)
		var conns []*reader
		for i := range 5 {
			conns = append(conns, b.open(towerRef, as(fmt.Sprint(i))))
			conns[i].read()
		}
		conns[0].call(1, "exceptAll")
		for i, r := range conns {
			for _, o := range r.read() {
				if o.Kind == host.OutputEvent {
					t.Errorf("connection %d got the event of a broadcast that leaves all out", i)
				}
			}
		}
		stored, err := conns[0].log.Stored(t.Context(), 0, 10, 1<<20)
		if err != nil || fmt.Sprint(stored[0].Target.Conns) != "[1 2 3 4 5]" {
			t.Errorf("the target names %v, %v, want each number once, ascending", stored[0].Target.Conns, err)
		}
	})
}

// Only sends that are alike in every way become one: a volatile one is not
// stored, and the Latest of another key replaces other events.
func TestSendsThatDifferInAnOptionAreNotMerged(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, towers)
		var conns []*reader
		for i := range 5 {
			conns = append(conns, b.open(towerRef, as(fmt.Sprint(i))))
			conns[i].read()
			conns[i].got = nil
		}
		conns[0].call(1, "sendMixed")
		var sent []*host.Output
		for i, numbered := range []bool{true, false, false, false, true} {
			o := conns[i].read()[0]
			if o.Event != "note" || len(o.Target.Conns) != 1 || o.Numbered != numbered || o.Volatile == numbered {
				t.Errorf("connection %d got %+v, want an event of its own, stored: %v", i, o, numbered)
			}
			sent = append(sent, o)
		}
		if volatile, empty, k := sent[1].Latest, sent[2].Latest, sent[3].Latest; volatile != "" || empty == "" || k == "" || k == empty {
			t.Errorf("got Latest %q, %q and %q, want none, and two that differ: an empty key is one, too", volatile, empty, k)
		}
	})
}

// kicker has a hook that sends the same as the action that ends a connection, and
// fails.
type kicker struct{}

func (*kicker) CreateConnState(_ *actor.ConnectContext, p memberParams) (member, error) {
	return member(p), nil
}

func (*kicker) Kick(c *actor.Context[member], name string) {
	for conn := range c.Conns() {
		if conn.State().Name == name {
			conn.Send(note{"bye"})
			conn.Disconnect("kicked")
		}
	}
}

func (*kicker) OnDisconnect(c *actor.Context[member]) error {
	for conn := range c.Conns() {
		conn.Send(note{"bye"})
	}
	return errors.New("fails")
}

func TestG7_SendsOfAFailedHookAreNotMergedIntoItsTurn(t *testing.T) {
	reg := actor.NewRegistry(actor.Define[kicker]("kicker", actor.Emits[note]()))
	actortest.Run(t, reg, func(n *actortest.Node) {
		room := n.Actor("kicker", "a")
		ada, bob, carol := room.Connect(memberParams{"ada"}), room.Connect(memberParams{"bob"}), room.Connect(memberParams{"carol"})
		actortest.Call[any](ada, "kick", "bob")
		if got := actortest.Events[note](bob); len(got) != 1 {
			t.Errorf("who was kicked got %v, want one note", got)
		}
		if got := actortest.Events[note](carol); len(got) != 0 {
			t.Errorf("a hook that failed emitted %v", got)
		}
	})
}
