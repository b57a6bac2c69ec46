package runtime_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/internal/definition/definitiontest"
)

var copiesSeed = flag.Uint64("runtime.copies", 0, "of the random values that actors keep; 0: a new one")

// shared keeps values of T wherever an actor can keep some.
type shared[T any] struct {
	List  actor.List[T]        `json:"list"`
	Map   actor.Map[string, T] `json:"map"`
	Field T                    `json:"field"`
}

type connData[T any] struct {
	Data T `json:"data"`
}

type happened struct {
	Data any `json:"data"`
}

type contents[T any] struct {
	Key   actor.Key
	List  []T
	Map   map[string]T
	Conns []T
}

func mutate[T any](v T) { definitiontest.Mutate(reflect.ValueOf(&v).Elem()) }

func (s *shared[T]) CreateConnState(_ *actor.ConnectContext, data T) (connData[T], error) {
	own := connData[T]{data}
	kept = append(kept, func() { mutate(own) })
	return own, nil
}

// kept are changes of values that turns have passed on and still refer to.
var kept []func()

func (s *shared[T]) Put(c *actor.Context[connData[T]], v T) {
	s.List.Append(v, v)
	s.List.Insert(0, v)
	s.List.Set(1, v)
	s.Map.Set("a", v)
	s.Map.Set("b", v)
	state := connData[T]{v}
	c.Conn().SetState(state)
	mutate(v)
	kept = append(kept, func() { mutate(v) })
}

func (s shared[T]) Dump(c *actor.Context[connData[T]]) contents[T] {
	all := contents[T]{Key: c.Key(), List: s.List.Values(), Map: map[string]T{}}
	for conn := range c.Conns() {
		all.Conns = append(all.Conns, conn.State().Data)
	}
	for k, v := range s.Map.All() {
		all.Map[k] = v
	}
	return all
}

// Spoil changes every value that it can get.
func (s *shared[T]) Spoil(c *actor.Context[connData[T]], fail bool) (T, error) {
	mutate(s.List.At(0))
	for _, v := range s.List.All() {
		mutate(v)
	}
	for _, v := range s.List.Backward() {
		mutate(v)
	}
	mutate(s.List.Slice(1, 3))
	mutate(s.List.Values())
	s.List.IndexFunc(func(v T) bool { mutate(v); return false })
	s.List.DeleteFunc(func(v T) bool { mutate(v); return false })
	v, _ := s.Map.Get("a")
	mutate(v)
	for _, v := range s.Map.All() {
		mutate(v)
	}
	for _, v := range s.Map.From("b") {
		mutate(v)
	}
	s.Map.DeleteFunc(func(_ string, v T) bool { mutate(v); return false })
	for conn := range c.Conns() {
		mutate(conn.State())
	}
	mutate(c.Key())
	event := happened{s.List.At(0)}
	c.Broadcast(event, actor.Where(func(conn *actor.Conn[connData[T]]) bool { mutate(conn.State()); return true }))
	c.Conn().Send(event)
	mutate(event.Data)
	result := s.List.At(0)
	kept = append(kept, func() { mutate(result); mutate(event.Data) })
	mutate(s.Field) // undone with the turn
	if fail {
		return result, &actor.Error{Code: "failed", Message: "no", Metadata: s.List.At(0)}
	}
	s.Field = *new(T)
	return result, nil
}

type inner struct {
	Tags   []string         `json:"tags"`
	Scores map[string][]int `json:"scores"`
	Next   *inner           `json:"next,omitempty"`
	At     time.Time        `json:"at"`
}

type exotic struct {
	Raw    json.RawMessage     `json:"raw"`
	Any    any                 `json:"any"`
	Amount *big.Int            `json:"amount"`
	Grid   [2][]int            `json:"grid"`
	Nodes  definitiontest.Node `json:"nodes"`
}

// hidden keeps something that its JSON shows and package reflect cannot set.
type hidden struct{ tags []string }

func (h hidden) MarshalJSON() ([]byte, error) { return json.Marshal(h.tags) }
func (h *hidden) Mutate()                     { mutate(h.tags) }

func (h *hidden) Randomize(r *rand.Rand) { h.tags = []string{fmt.Sprint(r.IntN(100))} }

func (h *hidden) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &h.tags) }

// TestG7_NothingReadOutOfAStateReachesBackIntoIt: values that were passed to a List, a Map
// or a connection, or read out of one, and those of results and events, share no memory
// with what is kept: whatever becomes of them and of their turn.
func TestG7_NothingReadOutOfAStateReachesBackIntoIt(t *testing.T) {
	t.Run("slice", reachesBack[[]string])
	t.Run("map", reachesBack[map[string][]int])
	t.Run("pointer", reachesBack[*inner])
	t.Run("struct", reachesBack[inner])
	t.Run("nested", reachesBack[map[string][]*inner])
	t.Run("array", reachesBack[[2]map[int]string])
	t.Run("exotic", reachesBack[exotic])
	t.Run("hidden", reachesBack[hidden])
	t.Run("raw", reachesBack[json.RawMessage])
	t.Run("any", reachesBack[any])
	t.Run("scalar", reachesBack[member])
}

func reachesBack[T any](t *testing.T) {
	reg := actor.NewRegistry(actor.Define[shared[T]]("shared", actor.Emits[happened]()))
	if *copiesSeed == 0 {
		*copiesSeed = rand.Uint64()
	}
	t.Logf("-runtime.copies %d", *copiesSeed)
	r := rand.New(rand.NewPCG(*copiesSeed, 0))
	actortest.Run(t, reg, func(n *actortest.Node) {
		for round := range 20 {
			value := func() (v T) {
				definitiontest.Randomize(r, reflect.ValueOf(&v).Elem(), 2)
				return v
			}
			kept = nil
			a := n.Actor("shared", fmt.Sprint(round))
			a.Connect(value())
			c := a.Connect(value())
			actortest.Call[any](c, "put", value())
			dump := func() string { return string(actortest.Call[json.RawMessage](c, "dump")) }
			before := dump()
			check := func(when string) {
				t.Helper()
				if got := dump(); got != before {
					t.Fatalf("%s: got %s, want %s", when, got, before)
				}
			}
			disturb := func() {
				for _, f := range kept {
					f()
				}
			}
			disturb()
			check("after values that were passed in have changed")
			if err := c.Fail("spoil", true); err.Code != "failed" {
				t.Fatal(err)
			}
			check("after a turn that failed")
			item := string(actortest.Call[json.RawMessage](c, "spoil", false))
			disturb()
			check("after a turn that succeeded")
			want := first(before)
			if item != want {
				t.Fatalf("result: got %s, want %s", item, want)
			}
			events := actortest.Events[happened](c)
			if len(events) != 2 {
				t.Fatalf("got %d events, want 2", len(events))
			}
			for _, e := range events {
				if got, _ := json.Marshal(e.Data); !sameJSON(string(got), want) {
					t.Fatalf("event: got %s, want %s", got, want)
				}
			}
			n.Restart()
			c.Resume()
			check("after a restart")
		}
	})
}

// first returns the first item of the list in a dump.
func first(dump string) string {
	var d struct{ List []json.RawMessage }
	if err := json.Unmarshal([]byte(dump), &d); err != nil {
		panic(errors.Join(errors.New(dump), err))
	}
	return string(d.List[0])
}

func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}
