package actor_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
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

func (tower) EmitReadOnly(c *actor.Context[member])       { c.Broadcast(note{"no"}) }
func (tower) SetStateReadOnly(c *actor.Context[member])   { c.Conn().SetState(member{"no"}) }
func (tower) DisconnectReadOnly(c *actor.Context[member]) { c.Conn().Disconnect("no") }

var towers = actor.NewRegistry(actor.Define[tower]("tower", actor.Emits[note]()))

var towerRef = actor.Ref{Name: "tower", Key: actor.Key{"a"}}

func TestWhoReceivesAnEvent(t *testing.T) {
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
			conns = append(conns, b.open(towerRef, actor.OpenRequest{Conn: fmt.Sprint(i), Caller: fmt.Sprint(i)}))
			conns[i].read()
		}
		conns[0].call(1, "loop")
		got := conns[0].read()[1:]
		if len(got) != 3 || len(got[0].Target.Conns) != 5 || len(got[1].Target.Conns) != 1 || got[0].Target.Mode != store.ToOnly {
			t.Errorf("got %d outputs, want the send to all, the second one to the first, and the reply", len(got))
		}
	})
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
