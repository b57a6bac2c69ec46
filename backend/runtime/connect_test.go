package runtime_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

// cabin has room for two.
type cabin struct{}

type seat struct {
	Tags []string `json:"tags"`
}

func (*cabin) OnBeforeConnect(c *actor.ConnectContext, p seat) error {
	var taken []string
	for conn := range c.Conns() {
		s := conn.State().(seat)
		taken = append(taken, s.Tags...)
		s.Tags[0] = "changed" // a copy
		if len(p.Tags) > 1 {
			if p.Tags[1] == "set" {
				conn.SetState(seat{[]string{"set"}})
			} else {
				conn.SetState("no seat")
			}
		}
	}
	if len(taken) >= 2 && !c.Resuming() {
		return &actor.Error{Code: "full", Message: fmt.Sprintf("%s %s has %q", c.Name(), c.Key(), taken)}
	}
	return nil
}

func (*cabin) CreateConnState(_ *actor.ConnectContext, p seat) (seat, error) { return p, nil }

func (cabin) Taken(c *actor.Context[seat]) []string {
	all := []string{c.Name()}
	for conn := range c.Conns() {
		all = append(all, conn.State().Tags...)
	}
	return all
}

// TestConnectContext_Conns: a hook sees who is there before a connection is made.
func TestConnectContext_Conns(t *testing.T) {
	actortest.Run(t, actor.NewRegistry(actor.Define[cabin]("cabin")), func(n *actortest.Node) {
		a := n.Actor("cabin", "a")
		taken := func(want ...string) {
			t.Helper()
			if got := actortest.Call[[]string](a, "taken"); !slices.Equal(got, append([]string{"cabin"}, want...)) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		a.Connect(seat{[]string{"ada"}})
		bob := a.Connect(seat{[]string{"bob"}})
		if _, err := a.TryConnect(seat{[]string{"eve"}}); code(err) != "full" || err.Error() != `full: cabin ["a"] has ["ada" "bob"]` {
			t.Errorf("got %v", err)
		}
		taken("ada", "bob")
		bob.Drop()
		bob.Resume()
		bob.Refresh(seat{[]string{"bob", "set"}})
		taken("set", "set")
		bob.Refresh(seat{[]string{"bob", "wrong"}})
		if code, _ := bob.Closed(); code != "internal_error" {
			t.Errorf("a state of another type: got %q", code)
		}
		taken("set")
	})
}
