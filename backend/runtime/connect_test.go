package runtime_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

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

// porter takes as long for a connection as its params say.
type porter struct{}

type porterParams struct {
	Before, Connect, Resume, Back time.Duration
}

func wait(c interface {
	Done() <-chan struct{}
	Err() error
}, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-c.Done():
		return c.Err()
	}
}

func (*porter) OnBeforeConnect(c *actor.ConnectContext, p porterParams) error {
	if c.Resuming() {
		return wait(c, p.Resume)
	}
	return wait(c, p.Before)
}

func (*porter) OnConnect(c *nothing) error {
	var p porterParams
	c.Conn().Params(&p)
	return wait(c, p.Connect)
}

func (*porter) OnResume(c *nothing) error {
	var p porterParams
	c.Conn().Params(&p)
	return wait(c, p.Back)
}

func TestConnectingHasItsOwnTimeLimit(t *testing.T) {
	reg := actor.NewRegistry(actor.Define[porter]("porter", actor.WithOptions(actor.Options{ConnectTimeout: 2 * time.Second})))
	for _, test := range []struct {
		name   string
		params porterParams
		want   string
	}{
		{"in time", porterParams{Before: time.Second, Connect: time.Second / 2}, ""},
		{"OnBeforeConnect is late", porterParams{Before: 3 * time.Second}, "timeout"},
		{"OnConnect is late", porterParams{Connect: 3 * time.Second}, "timeout"},
		{"together they are late", porterParams{Before: 1500 * time.Millisecond, Connect: time.Second}, "timeout"},
	} {
		t.Run(test.name, func(t *testing.T) {
			actortest.Run(t, reg, func(n *actortest.Node) {
				start := time.Now()
				_, err := n.Actor("porter", "a").TryConnect(test.params)
				if test.want == "" && err != nil || test.want != "" && code(err) != test.want {
					t.Errorf("got %v, want %q", err, test.want)
				}
				if got := time.Since(start); test.want != "" && got != 2*time.Second {
					t.Errorf("the answer came after %s, want 2s", got)
				}
			})
		})
	}
	t.Run("a resume is late", func(t *testing.T) {
		actortest.Run(t, reg, func(n *actortest.Node) {
			c := n.Actor("porter", "a").Connect(porterParams{Resume: 3 * time.Second})
			c.Drop()
			start := time.Now()
			if err := c.TryResume(); code(err) != "timeout" || time.Since(start) != 2*time.Second {
				t.Errorf("got %v after %s, want timeout after 2s", err, time.Since(start))
			}
		})
	})
	for _, pause := range []time.Duration{0, 9 * time.Second} {
		t.Run(fmt.Sprintf("a resume is late, %s after a turn with a longer limit", pause), func(t *testing.T) {
			actortest.Run(t, reg, func(n *actortest.Node) {
				c := n.Actor("porter", "a").Connect(porterParams{Back: 3 * time.Second})
				time.Sleep(5 * time.Second) // the watchdog of the turn that connected has nothing to end
				c.Drop()
				time.Sleep(pause)
				start := time.Now()
				if err := c.TryResume(); err != nil || time.Since(start) != 2*time.Second {
					t.Errorf("got %v after %s, want the connection after 2s", err, time.Since(start))
				}
			})
		})
	}
	t.Run("OnResume is late, and is undone alone", func(t *testing.T) {
		actortest.Run(t, reg, func(n *actortest.Node) {
			c := n.Actor("porter", "a").Connect(porterParams{Back: 3 * time.Second})
			c.Drop()
			start := time.Now()
			if err := c.TryResume(); err != nil || time.Since(start) != 2*time.Second {
				t.Errorf("got %v after %s, want the connection after 2s", err, time.Since(start))
			}
		})
	})
}
