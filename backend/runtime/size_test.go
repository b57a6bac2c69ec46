package runtime_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// hoard grows in its scalar fields, its list and its map.
type hoard struct {
	Text  string                    `json:"text"`
	List  actor.List[string]        `json:"list"`
	Named actor.Map[string, string] `json:"named"`
}

func (h *hoard) Put(_ *actor.Context[actor.NoState], where string, bytes int) error {
	text := strings.Repeat("x", bytes)
	switch where {
	case "scalar":
		h.Text = text
	case "list":
		h.List.Append(text)
	case "map":
		h.Named.Set("a", text)
	case "clear":
		h.List.Clear()
	case "swap":
		h.List.Clear()
		h.List.Append(text)
	}
	return nil
}

func (h hoard) Size(*actor.Context[actor.NoState]) int {
	return len(h.Text) + h.List.Size() + h.Named.Size()
}

const hoardLimit = 10_000

var (
	hoards   = actor.NewRegistry(actor.Define[hoard]("hoard", actor.WithOptions(actor.Options{MaxState: hoardLimit})))
	hoardRef = host.Ref{Name: "hoard", Key: host.Key{"a"}}
)

type putCase struct {
	where string
	bytes int
	want  string
}

func putAll(t *testing.T, b *bench, cases []putCase) {
	t.Helper()
	for _, test := range cases {
		before, _ := result[int](b, hoardRef, "size")
		_, err := result[any](b, hoardRef, "put", test.where, test.bytes)
		if code(err) != test.want {
			t.Errorf("%s %d: got %v, want %s", test.where, test.bytes, err, test.want)
		}
		if after, _ := result[int](b, hoardRef, "size"); err != nil && after != before {
			t.Errorf("%s %d: a refused turn left %d bytes, want %d", test.where, test.bytes, after, before)
		}
	}
}

// TestAStateIsBounded: a state does not grow beyond MaxState, wherever it grows, and its
// actor works on.
func TestAStateIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, hoards)
		putAll(t, b, []putCase{
			{"scalar", 4_000, "none"},
			{"list", 4_000, "none"},
			{"map", 3_000, "too_large"},
			{"list", 3_000, "too_large"},
			{"scalar", 7_000, "too_large"},
			{"map", 1_000, "none"},
			{"clear", 0, "none"},
			{"map", 3_000, "none"},
		})
		if got := strings.Count(b.log.String(), "half of its limit"); got != 1 {
			t.Errorf("got %d warnings, want one", got)
		}
		if log := b.log.String(); !strings.Contains(log, "actor=hoard") || !strings.Contains(log, "option=actor.Options.MaxState") {
			t.Errorf("got log %s, want that it names the actor and the option", log)
		}
	})
}

// TestAStoredStateBeyondTheLimitWorks: of what is stored already only growth is refused.
func TestAStoredStateBeyondTheLimitWorks(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := memory.New(memory.Options{Retention: time.Hour})
		large := strings.Repeat("x", 3*hoardLimit)
		if errs := s.Commit(t.Context(), []*store.Commit{{
			Actor: host.ActorID(hoardRef.Name, hoardRef.Key), Name: hoardRef.Name, Key: hoardRef.Key, Log: "log", Rev: 1, Time: time.Now(), NextConn: 1,
			State: []byte(`{"text":"` + large + `","list":["` + large + `"],"named":{}}`),
		}}); errs != nil {
			t.Fatal(errs)
		}
		b := newBench(t, s, hoards)
		putAll(t, b, []putCase{
			{"swap", 3 * hoardLimit, "none"},
			{"swap", 3*hoardLimit + 1, "too_large"},
			{"map", 1, "too_large"},
			{"scalar", hoardLimit, "none"},
			{"map", hoardLimit, "too_large"},
			{"clear", 0, "none"},
			{"map", 1, "too_large"},
			{"scalar", hoardLimit / 2, "none"},
			{"map", 1, "none"},
		})
		b.restart()
		putAll(t, b, []putCase{{"map", 2, "none"}})
	})
}

// luggage has connections with a state of the size that their params ask for.
type luggage struct{}

type bag struct {
	Text string `json:"text"`
}

func (*luggage) CreateConnState(_ *actor.ConnectContext, bytes int) (bag, error) {
	return bag{strings.Repeat("x", bytes)}, nil
}

// Pack sets the states of all connections, to each size in turn.
func (*luggage) Pack(c *actor.Context[bag], bytes []int) {
	for conn := range c.Conns() {
		for _, n := range bytes {
			conn.SetState(bag{strings.Repeat("x", n)})
		}
	}
}

func (luggage) Weigh(c *actor.Context[bag]) (bytes int) {
	for conn := range c.Conns() {
		bytes += len(conn.State().Text)
	}
	return bytes
}

// TestAConnStateIsBounded: the state of a connection does not grow beyond MaxConnState,
// whichever way it is set; one that is stored beyond it works, and may shrink.
func TestAConnStateIsBounded(t *testing.T) {
	limited := func(text int) *actor.Registry {
		limit := text + len(`{"text":""}`)
		return actor.NewRegistry(actor.Define[luggage]("luggage", actor.WithOptions(actor.Options{MaxConnState: limit})))
	}
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, limited(500))
		ref := host.Ref{Name: "luggage", Key: host.Key{"a"}}
		if o := b.open(ref, host.OpenRequest{Conn: "eve", Params: []byte("501")}).last(); o.Kind != host.OutputClosed || o.Err.Code != "too_large" {
			t.Errorf("CreateConnState beyond the limit: got %+v, want too_large", o)
		}
		if o := b.open(ref, host.OpenRequest{Conn: "ada", Params: []byte("500")}).last(); o.Kind != host.OutputOpened {
			t.Fatalf("CreateConnState at the limit: got %+v, want opened", o)
		}
		pack := func(want string, weight int, bytes ...int) {
			t.Helper()
			if _, err := result[any](b, ref, "pack", bytes); code(err) != want {
				t.Errorf("pack %v: got %v, want %s", bytes, err, want)
			}
			if got, err := result[int](b, ref, "weigh"); err != nil || got != weight {
				t.Errorf("after pack %v: got %d bytes and %v, want %d", bytes, got, err, weight)
			}
		}
		pack("too_large", 500, 501)
		pack("none", 10, 10)
		pack("too_large", 10, 20, 501)
		pack("none", 300, 300)

		b.reg = limited(100)
		b.restart()
		pack("none", 300, 5, 300) // not more than before the turn
		pack("too_large", 300, 301)
		pack("none", 200, 200)
		pack("too_large", 200, 201)
	})
}

// visited writes down its visitors in hooks.
type visited struct {
	Present map[string]bool    `json:"present"`
	Diary   actor.List[string] `json:"diary"`
}

func (v *visited) OnStart(*actor.Context[actor.NoState]) error {
	v.Diary.Append("started")
	return nil
}

func (v *visited) OnConnect(c *actor.Context[actor.NoState]) error {
	if v.Present == nil {
		v.Present = map[string]bool{}
	}
	v.Present[c.Conn().ID()] = true
	return nil
}

func (v *visited) OnDrop(c *actor.Context[actor.NoState]) error {
	v.Diary.Append("dropped")
	return nil
}

func (v *visited) OnDisconnect(c *actor.Context[actor.NoState]) error {
	delete(v.Present, c.Conn().ID())
	v.Diary.Append("somebody has left, and that is worth a line in the diary")
	return nil
}

func (v *visited) Fill(*actor.Context[actor.NoState]) int {
	for v.Diary.Size() < visitedLimit-100 {
		v.Diary.Append("something has happened here")
	}
	return v.Diary.Size()
}

func (v *visited) Write(*actor.Context[actor.NoState]) {
	v.Diary.Append(strings.Repeat("x", 100))
}

func (v *visited) Kick(c *actor.Context[actor.NoState], write bool) {
	if write {
		v.Write(c)
	}
	for conn := range c.Conns() {
		conn.Disconnect("kicked")
	}
}

func (v *visited) WriteLater(c *actor.Context[actor.NoState]) {
	c.After(time.Second, func(c *actor.Context[actor.NoState]) error { v.Write(c); return nil })
}

func (v visited) Count(*actor.Context[actor.NoState]) string {
	return fmt.Sprint(len(v.Present), " ", v.Diary.Size())
}

const visitedLimit = 1_000

// TestHooksWorkAtTheLimitOfTheState: an actor at MaxState starts, and its connections come,
// drop and go; actions and timers fail to make it larger.
func TestHooksWorkAtTheLimitOfTheState(t *testing.T) {
	def := actor.Define[visited]("visited", actor.WithOptions(actor.Options{MaxState: visitedLimit}))
	actortest.Run(t, actor.NewRegistry(def), func(n *actortest.Node) {
		a := n.Actor("visited", "a")
		present := func(when string, want int) {
			t.Helper()
			if got := actortest.Call[string](a, "count"); !strings.HasPrefix(got, fmt.Sprint(want, " ")) {
				t.Errorf("%s: got %s present, want %d", when, got, want)
			}
		}
		actortest.Call[int](a, "fill")
		for range 3 {
			n.Restart()
			c := a.Connect(nil)
			present("a connect", 1)
			c.Drop()
			c.Resume()
			c.Close()
			present("a disconnect", 0)
		}
		a.Connect(nil)
		before := actortest.Call[string](a, "count")
		for _, refused := range []func() *actor.Error{
			func() *actor.Error { return a.Fail("write") },
			func() *actor.Error { return a.Fail("kick", true) },
		} {
			if err := refused(); err.Code != "too_large" {
				t.Errorf("got %v, want too_large", err)
			}
		}
		actortest.Call[any](a, "writeLater")
		time.Sleep(2 * time.Second)
		if after := actortest.Call[string](a, "count"); after != before {
			t.Errorf("got %s after refused turns, want %s", after, before)
		}
		actortest.Call[any](a, "kick", false)
		present("a kick", 0)
	})
}
