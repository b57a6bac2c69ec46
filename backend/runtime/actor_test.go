package runtime_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

// ledger is the actor that most tests of the runtime use.
type nothing = actor.Context[actor.NoState]

type ledger struct {
	Total   int            `json:"total"`
	Entries []string       `json:"entries,omitempty"`
	ByUser  map[string]int `json:"byUser,omitempty"`
}

var ledgerAdds atomic.Int64 // runs of ledger.Add, whatever became of them

type member struct {
	Name string `json:"name"`
}

type memberParams struct {
	Name string `json:"name,omitempty"`
}

type added struct {
	By string `json:"by"`
	N  int    `json:"n"`
}

type note struct {
	Text string `json:"text"`
}

func (l *ledger) CreateConnState(_ *actor.ConnectContext, p memberParams) (member, error) {
	if p.Name == "mallory" {
		return member{}, actor.Errorf("refused", "not you")
	}
	return member(p), nil
}

func (l *ledger) Add(c *actor.Context[member], n int) (int, error) {
	ledgerAdds.Add(1)
	l.Total += n
	if l.ByUser == nil {
		l.ByUser = map[string]int{}
	}
	name := "nobody"
	if c.HasConn() {
		name = c.Conn().State().Name
	}
	l.ByUser[name] += n
	l.Entries = append(l.Entries, name)
	c.Broadcast(added{name, n})
	if n == 13 {
		return 0, actor.Errorf("unlucky", "%d is not added", n)
	}
	if n == 666 {
		panic("the beast")
	}
	if n == 999 {
		return 0, errors.New("a secret detail")
	}
	return l.Total, nil
}

// Ping changes one number and broadcasts it.
func (l *ledger) Ping(c *actor.Context[member], n int) int {
	l.Total++
	c.Broadcast(added{"ping", n})
	return l.Total
}

func (l ledger) Get(*actor.Context[member]) int { return l.Total }

func (l *ledger) Rename(c *actor.Context[member], name string) {
	c.Conn().SetState(member{name})
}

func (l *ledger) Whisper(c *actor.Context[member], to, text string) {
	for conn := range c.Conns() {
		if conn.State().Name == to {
			conn.Send(note{text})
		}
	}
}

var (
	ledgerDef = actor.Define[ledger]("ledger", actor.Emits[added](), actor.Emits[note]())
	ledgers   = actor.NewRegistry(ledgerDef)
)

func TestG7_AFailedActionLeavesNoTrace(t *testing.T) {
	for _, test := range []struct {
		name string
		n    int
		code string
	}{
		{"an error of the action's own", 13, "unlucky"},
		{"a panic", 666, "internal_error"},
		{"any other error", 999, "internal_error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			actortest.Run(t, ledgers, func(n *actortest.Node) {
				ada := n.Actor("ledger", "a").Connect(memberParams{"ada"})
				actortest.Call[int](ada, "add", 5)
				ada.Clear()
				if err := ada.Fail("add", test.n); err.Code != test.code {
					t.Errorf("got code %q, want %q", err.Code, test.code)
				}
				if got := actortest.Events[added](ada); len(got) != 0 {
					t.Errorf("got events %v of a failed action, want none", got)
				}
				if got := actortest.Call[int](ada, "get"); got != 5 {
					t.Errorf("got total %d after a failed action, want 5", got)
				}
				if got := actortest.Call[int](ada, "add", 1); got != 6 {
					t.Errorf("got total %d, want 6", got)
				}
				n.Restart()
				if got := actortest.Call[int](n.Actor("ledger", "a"), "get"); got != 6 {
					t.Errorf("got total %d after a restart, want 6", got)
				}
			})
		})
	}
}
