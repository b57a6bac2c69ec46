package runtime_test

import (
	"encoding/json"
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
