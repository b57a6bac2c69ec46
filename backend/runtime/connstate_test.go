package runtime_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

// purse has a state that encodes itself by methods with pointer receivers.
type purse struct{ N int }

type purseState struct {
	Amount big.Int
	Pin    pin
	Notes  []string // makes it no copy-safe type
}

type pin struct{ digits string }

func (p *pin) MarshalJSON() ([]byte, error)  { return json.Marshal(p.digits) }
func (p *pin) UnmarshalJSON(b []byte) error  { return json.Unmarshal(b, &p.digits) }
func (s *purseState) text() string           { return s.Amount.String() + " " + s.Pin.digits }
func purseWith(n int64, p string) purseState { return purseState{Amount: *big.NewInt(n), Pin: pin{p}} }

func (*purse) CreateConnState(*actor.ConnectContext) (purseState, error) {
	return purseWith(5, "1234"), nil
}

func (purse) Read(c *actor.Context[purseState]) string {
	s := c.Conn().State()
	return s.text()
}

func (*purse) Set(c *actor.Context[purseState]) string {
	c.Conn().SetState(purseWith(7, "9876"))
	s := c.Conn().State()
	return s.text()
}

// TestG3_AConnectionStateThatEncodesItselfSurvivesARestart: also with a MarshalJSON that
// has a pointer receiver.
func TestG3_AConnectionStateThatEncodesItselfSurvivesARestart(t *testing.T) {
	actortest.Run(t, actor.NewRegistry(actor.Define[purse]("purse")), func(n *actortest.Node) {
		c := n.Actor("purse", "a").Connect(nil)
		read := func(when, want string) {
			t.Helper()
			if got := actortest.Call[string](c, "read"); got != want {
				t.Errorf("%s: got %q, want %q", when, got, want)
			}
		}
		read("CreateConnState", "5 1234")
		n.Restart()
		c.Resume()
		read("CreateConnState and a restart", "5 1234")
		if got := actortest.Call[string](c, "set"); got != "7 9876" {
			t.Errorf("SetState in its turn: got %q", got)
		}
		n.Restart()
		c.Resume()
		read("SetState and a restart", "7 9876")
	})
}

// lodge has connection states that can be stored and not be read.
type lodge struct {
	Members, Ends int
}

type garbled struct{ cache map[string]int }

func (g *garbled) UnmarshalJSON([]byte) error { return errors.New("another version wrote it") }

// lodgeDown makes OnStart fail.
var lodgeDown bool

func (*lodge) OnStart(*actor.Context[garbled]) error {
	if lodgeDown {
		return errors.New("the database is down")
	}
	return nil
}

func (*lodge) CreateConnState(*actor.ConnectContext) (garbled, error) {
	return garbled{map[string]int{"a": 1}}, nil
}

func (l *lodge) OnConnect(*actor.Context[garbled]) error {
	l.Members++
	return nil
}

func (l *lodge) OnDisconnect(c *actor.Context[garbled]) error {
	if c.Conn().State().cache != nil {
		return errors.New("the state is not the zero value")
	}
	if lodgeDown {
		l.Members = -100 // OnStart has failed: no other hook may run
	}
	l.Members--
	l.Ends++
	return nil
}

func (l lodge) Count(*actor.Context[garbled]) string { return fmt.Sprint(l.Members, " ", l.Ends) }

// TestAConnectionStateThatCannotBeDecodedEndsItsConnection: OnDisconnect sees the zero
// value, and runs once, after an OnStart that succeeds.
func TestAConnectionStateThatCannotBeDecodedEndsItsConnection(t *testing.T) {
	actortest.Run(t, actor.NewRegistry(actor.Define[lodge]("lodge")), func(n *actortest.Node) {
		a := n.Actor("lodge")
		a.Connect(nil)
		lodgeDown = true
		defer func() { lodgeDown = false }()
		for range 2 {
			n.Restart()
			if _, err := a.TryConnect(nil); err == nil {
				t.Error("got a connection though OnStart failed")
			}
		}
		lodgeDown = false
		n.Restart()
		if got := actortest.Call[string](a, "count"); got != "0 1" {
			t.Errorf("got %s (members, ends), want 0 1", got)
		}
	})
}
