package actortest_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

func TestTheExample(t *testing.T) { testGuestBook(t) }

// Poster is emitted by hall: of any size.
type Poster struct {
	Text string `json:"text"`
}

// hall is an actor of this package's own tests.
type hall struct {
	N int `json:"n"`
}

func (*hall) OnBeforeConnect(c *actor.ConnectContext, name string) error {
	if c.Resuming() && name == "banned" {
		return actor.Errorf("banned", "go away")
	}
	return nil
}

func (h *hall) Put(c *actor.Context[actor.NoState], n, bytes int) {
	h.N += n
	for range n {
		c.Broadcast(Poster{strings.Repeat("x", bytes)})
	}
}

func (*hall) Leave(c *actor.Context[actor.NoState]) {
	c.Broadcast(Poster{"bye"})
	c.Conn().Disconnect("you asked for it")
}

func (h hall) Get(*actor.Context[actor.NoState]) int { return h.N }

func halls(window time.Duration) *actor.Registry {
	return actor.NewRegistry(actor.Define[hall]("hall", actor.Emits[Poster]()),
		actor.WithOptions(actor.Options{ResumeWindow: window}))
}

func TestEvents_ofOneTypeSinceClear(t *testing.T) {
	actortest.Run(t, halls(0), func(n *actortest.Node) {
		c := n.Actor("hall", "a").Connect("ada")
		actortest.Call[any](c, "put", 2, 1)
		if got := len(actortest.Events[Poster](c)); got != 2 {
			t.Errorf("got %d posters, want 2", got)
		}
		if got := len(actortest.Events[Signed](c)); got != 0 {
			t.Errorf("got %d events of another type, want none", got)
		}
		c.Clear()
		actortest.Call[any](c, "put", 1, 1)
		if got := len(actortest.Events[Poster](c)); got != 1 {
			t.Errorf("got %d posters since then, want 1", got)
		}
	})
}

func TestAConnectionThatComesBack(t *testing.T) {
	for _, test := range []struct {
		name   string
		window time.Duration
		away   time.Duration
		same   bool
		reason string
		events int // of the three
	}{
		{"in time", 0, 2*time.Minute - time.Second, true, "", 3},
		{"too late", 0, 2*time.Minute + time.Second, false, "expired", 0},
		{"in time of a long window", time.Hour, 59 * time.Minute, true, "", 3}, // what it missed is retained for as long
	} {
		t.Run(test.name, func(t *testing.T) {
			actortest.Run(t, halls(test.window), func(n *actortest.Node) {
				room := n.Actor("hall", "a")
				c := room.Connect("ada")
				if ok, reason := c.Recovered(); !ok {
					t.Errorf("a new connection has lost something: %s", reason)
				}
				c.Drop()
				for range 3 {
					actortest.Call[any](room, "put", 1, 1)
					time.Sleep(test.away / 3)
				}
				if got := c.Resume(); got != test.same {
					t.Errorf("the same connection: %v, want %v", got, test.same)
				}
				if ok, reason := c.Recovered(); ok != (test.reason == "") || reason != test.reason {
					t.Errorf("recovered: %v, %q, want reason %q", ok, reason, test.reason)
				}
				if got := len(actortest.Events[Poster](c)); got != test.events {
					t.Errorf("got %d events, want %d", got, test.events)
				}
				c.Clear()
				actortest.Call[any](c, "put", 1, 1)
				if got := len(actortest.Events[Poster](c)); got != 1 {
					t.Errorf("got %d events from then on, want 1", got)
				}
				c.Drop()
				c.Resume()
				if ok, reason := c.Recovered(); !ok {
					t.Errorf("the next time it has lost something, too: %s", reason)
				}
			})
		})
	}
}

// The store keeps 64 MiB of events.
func TestG4_AGapIsNeverReplayedInPart(t *testing.T) {
	if testing.Short() {
		t.Skip("68 MB of events take long with the race detector: see make test-long")
	}
	actortest.Run(t, halls(0), func(n *actortest.Node) {
		room := n.Actor("hall", "a")
		c := room.Connect("ada")
		c.Drop()
		for range 17 {
			actortest.Call[any](room, "put", 4, 1_000_000)
		}
		if !c.Resume() {
			t.Error("it is another connection, want the same")
		}
		if ok, reason := c.Recovered(); ok || reason != "overflow" {
			t.Errorf("recovered: %v, %q, want overflow", ok, reason)
		}
		if got := len(actortest.Events[Poster](c)); got != 0 {
			t.Errorf("got %d events, want none", got)
		}
	})
}

func TestARestartKeepsStoredActors(t *testing.T) {
	actortest.Run(t, halls(0), func(n *actortest.Node) {
		room := n.Actor("hall", "a")
		c := room.Connect("ada")
		actortest.Call[any](c, "put", 2, 1)
		n.Restart()
		if got := actortest.Call[int](room, "get"); got != 2 {
			t.Errorf("got %d, want 2", got)
		}
		actortest.Call[any](room, "put", 1, 1) // missed
		if !c.Resume() || len(actortest.Events[Poster](c)) != 3 {
			t.Errorf("got %v, want the same connection and three events", actortest.Events[Poster](c))
		}
		if got := actortest.Call[int](c, "get"); got != 3 {
			t.Errorf("got %d, want 3", got)
		}
	})
}

func TestAConnectionThatTheActorEndsIsClosed(t *testing.T) {
	actortest.Run(t, halls(0), func(n *actortest.Node) {
		c := n.Actor("hall", "a").Connect("ada")
		if _, closed := c.Closed(); closed {
			t.Error("it is closed at the start")
		}
		actortest.Call[any](c, "leave")
		if code, closed := c.Closed(); !closed || code != "disconnected" {
			t.Errorf("got %q, %v, want disconnected", code, closed)
		}
		if got := actortest.Events[Poster](c); len(got) != 1 {
			t.Errorf("got %v, want what was sent before the end", got)
		}
	})
}

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestMistakesFailTheTest(t *testing.T) {
	for _, test := range []struct {
		what string
		do   func(*actortest.Actor, *actortest.Conn)
		want string
	}{
		{"an action fails", func(_ *actortest.Actor, c *actortest.Conn) { actortest.Call[any](c, "put") }, "put: invalid_args: put takes 2 arguments, got 0"},
		{"without a connection, too", func(a *actortest.Actor, _ *actortest.Conn) { actortest.Call[any](a, "nothing") }, "nothing: unknown_action"},
		{"its result is of another type", func(a *actortest.Actor, _ *actortest.Conn) { actortest.Call[string](a, "get") }, "get: its result 0 is not a string"},
		{"an action does not fail", func(_ *actortest.Actor, c *actortest.Conn) { c.Fail("get") }, "get succeeded, want it to fail"},
		{"an action of the actor's does not", func(a *actortest.Actor, _ *actortest.Conn) { a.Fail("get") }, "get succeeded, want it to fail"},
		{"a connection is refused", func(a *actortest.Actor, _ *actortest.Conn) { a.Connect(7) }, `connect to hall ["a"]: invalid_params`},
		{"a resume is refused", func(_ *actortest.Actor, c *actortest.Conn) { c.Drop(); c.Resume() }, "resume: banned"},
		{"a connection has no socket", func(_ *actortest.Actor, c *actortest.Conn) { c.Drop(); actortest.Call[int](c, "get") }, "get: the connection has no socket"},
		{"nothing", func(_ *actortest.Actor, c *actortest.Conn) { actortest.Call[int](c, "get") }, ""},
	} {
		t.Run(test.what, func(t *testing.T) {
			actortest.Run(t, halls(0), func(n *actortest.Node) {
				room := n.Actor("hall", "a")
				c := room.Connect("banned")
				r := &recorder{TB: n.T}
				n.T = r
				done := make(chan struct{})
				go func() {
					defer close(done)
					test.do(room, c)
				}()
				<-done
				n.T = r.TB
				if test.want == "" && r.failure != "" || !strings.HasPrefix(r.failure, test.want) {
					t.Errorf("the test failed with %q, want %q", r.failure, test.want)
				}
			})
		})
	}
}

func TestAConnectionThatIsClosedIsGone(t *testing.T) {
	actortest.Run(t, registry, func(n *actortest.Node) {
		book := n.Actor("guestBook", "a")
		ada, bob := book.Connect(Guest{"ada"}), book.Connect(Guest{"bob"})
		ada.Close()
		if got, want := actortest.Call[[]string](bob, "guests"), []string{"bob"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if _, err := book.TryConnect(Guest{}); err == nil {
			t.Error("a guest without a name is connected")
		}
	})
}
