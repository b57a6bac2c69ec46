package runtime_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// cellar keeps things that nest without bound.
type cellar struct {
	Raw   json.RawMessage                    `json:"raw"`
	Any   any                                `json:"any"`
	Boxes actor.List[json.RawMessage]        `json:"boxes"`
	Named actor.Map[string, json.RawMessage] `json:"named"`
}

type cellarState struct {
	Data json.RawMessage `json:"data"`
}

type crate struct {
	Inner []crate `json:"inner"`
}

type unpacked struct {
	Data any `json:"data"`
}

func (*cellar) OnAuth(_ context.Context, r *actor.AuthRequest) (cellarState, error) {
	return cellarState{nested(len(r.Header.Get("Depth")))}, nil
}

func (*cellar) CreateConnState(*actor.ConnectContext, json.RawMessage) (cellarState, error) {
	return cellarState{nested(0)}, nil
}

func (*cellar) Text(*actor.Context[cellarState], json.RawMessage) {}
func (*cellar) Value(*actor.Context[cellarState], any)            {}
func (*cellar) Tree(*actor.Context[cellarState], crate)           {}

// Put puts a value of so many levels, with those around it, where it is told to.
func (a *cellar) Put(c *actor.Context[cellarState], where string, levels int) (any, error) {
	switch where {
	case "event":
		c.Broadcast(unpacked{nested(levels - 1)})
	case "result":
		return nested(levels), nil
	case "metadata":
		return nil, &actor.Error{Code: "no", Message: "no", Metadata: nested(levels)}
	case "connection":
		c.Conn().SetState(cellarState{nested(levels - 1)})
	case "raw":
		a.Raw = nested(levels - 1)
	case "any":
		return nil, json.Unmarshal(nested(levels-1), &a.Any)
	case "list":
		a.Boxes.Append(nested(levels - 2))
	case "set":
		a.Boxes.Set(0, nested(levels-2))
	case "map":
		a.Named.Set("a", nested(levels-2))
	case "move":
		deepest := a.Boxes.At(0)
		a.Boxes.Delete(0, 1)
		a.Boxes.Append(deepest)
	}
	return nil, nil
}

// nested returns JSON of so many levels, not flat for 0.
func nested(levels int) json.RawMessage {
	return json.RawMessage(strings.Repeat("[", levels) + "1" + strings.Repeat("]", levels))
}

var cellars = actor.NewRegistry(actor.Define[cellar]("cellar", actor.Emits[unpacked]()))

// TestWhatNestsTooDeepIsRefused: nothing that a turn takes, keeps or lets out has more
// than 500 levels, so that it can be decoded wherever it is wrapped.
func TestWhatNestsTooDeepIsRefused(t *testing.T) {
	actortest.Run(t, cellars, func(n *actortest.Node) {
		a := n.Actor("cellar", "a")
		call := func(c failer, levels int, action string, args ...any) {
			t.Helper()
			if args[0] != "metadata" && levels <= 500 {
				actortest.Call[any](c, action, args...)
				return
			}
			want := "too_deep"
			if levels <= 500 {
				want = "no"
			}
			if got := c.Fail(action, args...).Code; got != want {
				t.Errorf("%s %.20s of %d levels: got %s, want %s", action, args[0], levels, got, want)
			}
		}
		for _, levels := range []int{498, 500, 502, 9_996} {
			for _, action := range []string{"text", "value"} {
				call(a, levels, action, nested(levels))
			}
			call(a, levels, "tree", json.RawMessage(strings.Repeat(`{"inner":[`, levels/2)+strings.Repeat("]}", levels/2)))
			refused := "none"
			if levels > 500 {
				refused = "too_deep"
			}
			if _, err := a.TryConnect(nested(levels)); code(err) != refused {
				t.Errorf("params of %d levels: got %v, want %s", levels, err, refused)
			}
			if _, err := a.WithHeader("Depth", strings.Repeat("x", levels-1)).TryConnect(nil); levels < 1_000 && code(err) != refused {
				t.Errorf("a result of OnAuth of %d levels: got %v, want %s", levels, err, refused)
			}
			c := a.Connect(nil)
			for _, where := range []string{"event", "result", "metadata", "connection", "raw", "any", "list", "set", "map"} {
				call(c, levels, "put", where, levels)
			}
			c.Close()
		}
		n.Restart()
		actortest.Call[any](a, "put", "event", 3)
	})
}

// failer is an *actortest.Actor or *actortest.Conn.
type failer interface {
	actortest.Caller
	Fail(action string, args ...any) *actor.Error
}

// TestWhatIsStoredTooDeepWorks: the limit refuses growth, and nothing that was stored
// before it.
func TestWhatIsStoredTooDeepWorks(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := memory.New(memory.Options{Retention: time.Hour})
		ref := host.Ref{Name: "cellar", Key: host.Key{"a"}}
		deep := string(nested(2_000))
		if errs := s.Commit(t.Context(), []*store.Commit{{
			Actor: host.ActorID(ref.Name, ref.Key), Name: ref.Name, Key: ref.Key, Log: "log", Rev: 1, Time: time.Now(), NextConn: 1,
			State: []byte(`{"raw":` + deep + `,"any":null,"boxes":[` + deep + `],"named":{"a":` + deep + `}}`),
		}}); errs != nil {
			t.Fatal(errs)
		}
		b := newBench(t, s, cellars)
		for _, test := range []struct {
			where  string
			levels int
			want   string
		}{
			{"move", 0, "none"}, {"raw", 2_001, "none"}, {"raw", 2_002, "too_deep"}, {"any", 501, "none"},
			{"list", 600, "none"}, {"list", 2_003, "too_deep"}, {"map", 2_003, "too_deep"}, {"map", 700, "none"},
			{"map", 701, "too_deep"}, {"map", 20, "none"}, {"map", 501, "too_deep"}, {"map", 500, "none"}, {"raw", 20, "none"}, {"raw", 502, "too_deep"},
		} {
			if _, err := result[any](b, ref, "put", test.where, test.levels); code(err) != test.want {
				t.Errorf("%s %d: got %v, want %s", test.where, test.levels, err, test.want)
			}
		}
		b.restart()
		if _, err := result[any](b, ref, "put", "move", 0); err != nil {
			t.Errorf("after a restart: %v", err)
		}
	})
}
