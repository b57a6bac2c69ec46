package runtime_test

import (
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
)

// fragile panics when some of its JSON is read.
type fragile struct{ Text string }

func (f *fragile) UnmarshalJSON(b []byte) error {
	if strings.Contains(string(b), "bad") {
		panic("bad")
	}
	f.Text = strings.Trim(string(b), `"`)
	return nil
}

func (f fragile) MarshalJSON() ([]byte, error) { return []byte(`"` + f.Text + `"`), nil }

type fragileActor struct {
	N     int                 `json:"n"`
	Field fragile             `json:"field"`
	List  actor.List[fragile] `json:"list"`
}

func (a *fragileActor) Set(_ *archiveContext, text string) { a.Field.Text = text }
func (a *fragileActor) Add(_ *archiveContext, text string) { a.List.Append(fragile{text}) }
func (a fragileActor) Get(*archiveContext) int             { return a.N }

// A stored state whose UnmarshalJSON panics is one that does not decode.
func TestLoad_UnmarshalJSONPanics(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, actor.NewRegistry(actor.Define[fragileActor]("fragile")))
		for _, action := range []string{"set", "add"} {
			ref := host.Ref{Name: "fragile", Key: host.Key{action}}
			if _, err := result[any](b, ref, action, "bad"); err != nil {
				t.Fatal(err)
			}
			b.restart()
			if _, err := result[int](b, ref, "get"); code(err) != "state_incompatible" {
				t.Errorf("%s: got %v, want state_incompatible", action, err)
			}
			advance()
		}
		if got := strings.Count(b.log.String(), "ended unexpectedly"); got != 0 {
			t.Errorf("the actor's goroutine has ended %d times", got)
		}
	})
}

type fragileConns struct {
	N int `json:"n"`
}

func (*fragileConns) CreateConnState(*actor.ConnectContext) fragile { return fragile{"bad"} }
func (f *fragileConns) Add(*actor.Context[fragile])                 { f.N++ }

// A connection ends if the UnmarshalJSON of its stored state panics.
func TestLoad_UnmarshalJSONOfAConnStatePanics(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		ref := host.Ref{Name: "fragile", Key: host.Key{"a"}}
		b := newBench(t, nil, actor.NewRegistry(actor.Define[fragileConns]("fragile")))
		b.open(ref, asAda)
		b.restart()
		if _, err := result[any](b, ref, "add"); err != nil {
			t.Error(err)
		}
		snap, err := b.store.Load(t.Context(), host.ActorID(ref.Name, ref.Key))
		if err != nil || len(snap.Conns) > 0 {
			t.Errorf("got %+v, %v; want no connection", snap, err)
		}
		if !strings.Contains(b.log.String(), "the connection ends") {
			t.Errorf("got the log\n%s", b.log.String())
		}
	})
}
