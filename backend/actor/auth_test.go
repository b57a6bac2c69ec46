package actor_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

// safe lets in who has a cookie, or says in the params who they are.
type safe struct {
	Log []string `json:"log"`
}

type (
	visitor  struct{ Name, Level string }
	keyring  struct{ Level string } // of a connection
	safeNote struct{ Text string }
	safeAsk  struct {
		As    string `json:"as,omitempty"`
		Level string `json:"level,omitempty"`
	}
	safeContext = actor.Context[keyring]
)

// Subject is who a visitor is, whatever the level.
func (v visitor) Subject() string { return v.Name }

func (safe) OnAuth(ctx context.Context, r *actor.AuthRequest) (visitor, error) {
	var ask safeAsk
	r.Params(&ask)
	v := visitor{Name: r.Header.Cookie("who"), Level: ask.Level}
	if ask.As != "" {
		v.Name = ask.As
	}
	switch v.Name {
	case "":
		return v, actor.Errorf("unauthorized", "who are you?")
	case "broken":
		return v, errors.New("the user database at 10.0.0.7 is down")
	case "panicking":
		panic("of all things")
	case "slow":
		<-ctx.Done()
		time.Sleep(time.Minute) // it does not even look at its context
	case "large":
		v.Level = strings.Repeat("x", 5<<10)
	}
	if r.RemoteAddr != "192.0.2.1" || r.Actor != "safe" || r.Key.String() != `["one"]` {
		return v, actor.Errorf("odd_request", "%+v", r)
	}
	return v, nil
}

func (s *safe) note(what string, v visitor) { s.Log = append(s.Log, what+" "+v.Name+v.Level) }

func (s *safe) OnCreate(c *safeContext) error { s.note("create", actor.Auth[visitor](c)); return nil }
func (s *safe) OnStart(c *safeContext)        { s.note("start", actor.Auth[visitor](c)) }

func (s *safe) OnBeforeConnect(c *actor.ConnectContext, ask safeAsk) error {
	s.note("before", actor.Auth[visitor](c))
	if ask.Level == "barred" {
		return actor.Errorf("barred", "not you")
	}
	return nil
}

func (s *safe) CreateConnState(c *actor.ConnectContext, _ safeAsk) (keyring, error) {
	return keyring{actor.Auth[visitor](c).Level}, nil
}

func (s *safe) OnConnect(c *safeContext) {
	s.note("connect", actor.Auth[visitor](c))
	s.note("conn", actor.Auth[visitor](c.Conn()))
}

func (s *safe) OnRefresh(c *safeContext) error {
	var ask safeAsk
	c.Conn().Params(&ask)
	v := actor.Auth[visitor](c)
	s.note("refresh", v)
	switch v.Level {
	case "over":
		c.Conn().Disconnect("that is over")
	}
	if ask.Level == "failing" {
		s.note("left behind", v)
		return errors.New("no")
	}
	c.Conn().SetState(keyring{v.Level})
	c.Conn().Send(safeNote{"now " + v.Level})
	return nil
}

func (s *safe) OnDrop(c *safeContext)       { s.note("drop", actor.Auth[visitor](c)) }
func (s *safe) OnDisconnect(c *safeContext) { s.note("bye", actor.Auth[visitor](c)) }

func (s *safe) Who(c *safeContext) visitor   { return actor.Auth[visitor](c) }
func (s safe) Level(c *safeContext) string   { return c.Conn().State().Level }
func (s *safe) Wrong(c *safeContext) keyring { return actor.Auth[keyring](c) }
func (s safe) Others(c *safeContext) (names []string) {
	for conn := range c.Conns() {
		names = append(names, actor.Auth[visitor](conn).Name)
	}
	return names
}

// Take returns what was written down, and forgets it.
func (s *safe) Take(*safeContext) []string {
	log := s.Log
	s.Log = nil
	return log
}

var safes = actor.NewRegistry(actor.Define[safe]("safe", actor.Emits[safeNote]()))

// inSafe runs a test with a safe.
func inSafe(t *testing.T, test func(one *actortest.Actor)) {
	actortest.Run(t, safes, func(n *actortest.Node) { test(n.Actor("safe", "one")) })
}

func taken(s *actortest.Actor) string {
	return strings.Join(actortest.Call[[]string](s.As(visitor{Name: "test"}), "take"), ", ")
}

func TestAuth_isAvailableInTheTurnsOfARequest(t *testing.T) {
	inSafe(t, func(one *actortest.Actor) {
		ada := one.WithHeader("Cookie", "theme=dark; who=ada").Connect(safeAsk{Level: "2"})
		if got := actortest.Call[visitor](ada, "who"); got != (visitor{"ada", "2"}) {
			t.Errorf("by connection: got %+v", got)
		}
		if got := actortest.Call[visitor](one.WithHeader("Cookie", `who="bob"`), "who"); got != (visitor{"bob", ""}) {
			t.Errorf("without a connection: got %+v", got)
		}
		ada.Drop()
		ada.Close()
		const want = "create ada2, start , before ada2, connect ada2, conn ada2, drop ada2, bye ada2"
		if got := taken(one); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if err := one.As(visitor{}).Fail("wrong"); err.Code != "internal_error" {
			t.Errorf("a type that OnAuth does not return: got %v, want internal_error", err)
		}
	})
}

// OnAuth's result is not stored: a connection that is not resumed has none.
func TestAuth_afterARestart(t *testing.T) {
	actortest.Run(t, safes, func(n *actortest.Node) {
		one := n.Actor("safe", "one")
		ada, bob := one.As(visitor{Name: "ada"}).Connect(nil), one.As(visitor{Name: "bob"}).Connect(nil)
		n.Restart()
		ada.Resume()
		if got := actortest.Call[[]string](ada, "others"); strings.Join(got, ",") != "ada," {
			t.Errorf("bob is not back: got %q", got)
		}
		bob.As(visitor{Name: "bob"}).Resume()
		if got := actortest.Call[[]string](ada, "others"); strings.Join(got, ",") != "ada,bob" {
			t.Errorf("bob is back: got %q", got)
		}
	})
}

func TestAuth_refuses(t *testing.T) {
	inSafe(t, func(one *actortest.Actor) {
		for _, test := range []struct{ who, code string }{
			{"", "unauthorized"}, {"broken", "internal_error"}, {"panicking", "internal_error"}, {"slow", "timeout"}, {"large", "internal_error"},
		} {
			asked := one.WithHeader("Cookie", "who="+test.who)
			_, err := asked.TryConnect(nil)
			var e *actor.Error
			if !errors.As(err, &e) || e.Code != test.code {
				t.Errorf("%q connects: got %v, want %s", test.who, err, test.code)
			}
			if err := asked.Fail("who"); err.Code != test.code {
				t.Errorf("%q calls: got %v, want %s", test.who, err, test.code)
			}
		}
		if got := taken(one); got != "create test, start " {
			t.Errorf("the actor has heard of those who were refused: %s", got)
		}
	})
}

// TestRefresh: a client passes new params without a disconnect.
func TestRefresh(t *testing.T) {
	inSafe(t, func(one *actortest.Actor) {
		ada := one.WithHeader("Cookie", "who=ada").Connect(safeAsk{Level: "1"})
		taken(one)
		ada.Refresh(safeAsk{Level: "2"})
		if got := actortest.Call[visitor](ada, "who"); got != (visitor{"ada", "2"}) {
			t.Errorf("got %+v", got)
		}
		if got := actortest.Call[string](ada, "level"); got != "2" {
			t.Errorf("the connection's state: got %s", got)
		}
		if got := actortest.Events[safeNote](ada); len(got) != 1 || got[0].Text != "now 2" {
			t.Errorf("got %v", got)
		}
		if got := taken(one); got != "before ada2, refresh ada2" {
			t.Errorf("got %s", got)
		}
		if code, closed := ada.Closed(); closed {
			t.Errorf("the connection is closed: %s", code)
		}
	})
}

func TestRefresh_refused(t *testing.T) {
	for _, test := range []struct {
		ask        safeAsk
		code, want string
	}{
		{safeAsk{As: "broken"}, "internal_error", "drop ada1"}, // the actor does not notice, and the connection may come back
		{safeAsk{Level: "barred"}, "barred", "bye ada1"},
		{safeAsk{Level: "failing"}, "internal_error", "bye ada1"},
		{safeAsk{Level: "over"}, "disconnected", "before adaover, refresh adaover, bye adaover"},
	} {
		inSafe(t, func(one *actortest.Actor) {
			ada := one.WithHeader("Cookie", "who=ada").Connect(safeAsk{Level: "1"})
			taken(one)
			ada.Refresh(test.ask)
			if code, _ := ada.Closed(); code != test.code {
				t.Errorf("%+v: closed with %q, want %s", test.ask, code, test.code)
			}
			if got := taken(one); got != test.want {
				t.Errorf("%+v: got %s, want %s", test.ask, got, test.want)
			}
		})
	}
}

// A resume is a refresh, too: also if the old socket is still there, so that
// OnResume does not run.
func TestRefresh_atAResume(t *testing.T) {
	for _, drop := range []bool{true, false} {
		inSafe(t, func(one *actortest.Actor) {
			ada := one.As(visitor{"ada", "1"}).Connect(nil)
			if drop {
				ada.Drop()
			}
			ada.As(visitor{"ada", "2"}).Resume()
			if got := actortest.Call[string](ada, "level"); got != "2" {
				t.Errorf("dropped %v: got level %s, want 2", drop, got)
			}
			if got := actortest.Events[safeNote](ada); len(got) != 1 || got[0].Text != "now 2" {
				t.Errorf("dropped %v: got %v", drop, got)
			}
			if !drop {
				return
			}
			ada.Drop()
			ada.Clear()
			if err := ada.As(visitor{"ada", "over"}).TryResume(); err == nil || !strings.HasPrefix(err.Error(), "disconnected") {
				t.Errorf("OnRefresh ends it: got %v", err)
			}
		})
	}
}
