package runtime_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// paper is an actor; sheet is the same after two fields were renamed without a version, and
// slip has neither Lists nor any other field that it had.
type paper struct {
	Title string             `json:"title"`
	N     int                `json:"n"`
	Lines actor.List[string] `json:"lines"`
}

type sheet struct {
	Name string             `json:"name"`
	N    int                `json:"n"`
	Rows actor.List[string] `json:"rows"`
}

type slip struct {
	Mark bool `json:"mark,omitempty"`
}

type noState = actor.Context[actor.NoState]

func (p *paper) Write(_ *noState, text string) {
	p.Title, p.N = text, p.N+1
	p.Lines.Append(text)
}

func (p paper) Get(*noState) []any { return []any{p.Title, p.N, p.Lines.Values()} }

func (s *sheet) Write(_ *noState, text string) {
	s.Name, s.N = text, s.N+1
	s.Rows.Append(text)
}

func (s *sheet) Fail(_ *noState) error {
	s.Name, s.N = "failed", 1000
	s.Rows.Append("failed")
	return actor.Errorf("failed", "as asked")
}

func (s sheet) Get(*noState) []any { return []any{s.Name, s.N, s.Rows.Values()} }

func (s *slip) Toggle(_ *noState) { s.Mark = !s.Mark }

// TestUnknownFieldsAreKept: the fields of a state that a binary does not have outlive it,
// whether they are scalar fields or Lists.
func TestUnknownFieldsAreKept(t *testing.T) {
	onEachStore(t, func(s *site) {
		papers, sheets, slips := actor.Define[paper]("paper"), actor.Define[sheet]("paper"), actor.Define[slip]("paper")
		s.deploy(papers)
		s.call("paper", "a", "write", "one")
		s.call("paper", "b", "write", "one")
		s.deploy(sheets)
		s.want(`["",1,[]]`, "paper", "a", "get")
		s.wantStored(`{"title":"one","n":1,"lines":["one"]}`, "paper", "a")
		for _, text := range []string{"two", "three"} {
			s.call("paper", "a", "write", text)
			s.want("failed", "paper", "a", "fail")
		}
		s.wantStored(`{"name":"three","n":3,"title":"one","lines":["one"],"rows":["two","three"]}`, "paper", "a")
		s.call("paper", "b", "write", "two")
		s.wantLines(1, "field=title")
		s.wantLines(1, "field=lines")
		s.deploy(sheets)
		s.call("paper", "a", "write", "four")
		s.wantStored(`{"name":"four","n":4,"title":"one","lines":["one"],"rows":["two","three","four"]}`, "paper", "a")

		s.deploy(slips)
		s.call("paper", "a", "toggle")
		s.wantStored(`{"mark":true,"name":"four","n":4,"title":"one","lines":["one"],"rows":["two","three","four"]}`, "paper", "a")
		s.call("paper", "a", "toggle")
		s.wantStored(`{"name":"four","n":4,"title":"one","lines":["one"],"rows":["two","three","four"]}`, "paper", "a")
		s.deploy(slips)
		s.call("paper", "a", "toggle")
		s.wantStored(`{"mark":true,"name":"four","n":4,"title":"one","lines":["one"],"rows":["two","three","four"]}`, "paper", "a")

		s.deploy(papers)
		s.want(`["one",4,["one"]]`, "paper", "a", "get")
		s.call("paper", "a", "write", "five")
		s.wantStored(`{"title":"five","n":5,"mark":true,"name":"four","rows":["two","three","four"],"lines":["one","five"]}`, "paper", "a")
		s.deploy(sheets)
		s.want(`["four",5,["two","three","four"]]`, "paper", "a", "get")
	})
}

// TestUnknownFieldsAreNotWrittenAgain: a turn costs the same with and without them.
func TestUnknownFieldsAreNotWrittenAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &commitStore{Store: memory.New(memory.Options{Retention: time.Hour})}
		ref := host.Ref{Name: "paper", Key: host.Key{"a"}}
		for i, state := range []string{
			`{"name":"a","n":1,"old":"` + strings.Repeat("x", 10_000) + `","rows":["b"]}`,
			`{"old":"` + strings.Repeat("x", 10_000) + `"}`,
		} {
			ref.Key[0] += "x"
			if errs := s.Store.Commit(t.Context(), []*store.Commit{{
				Actor: host.ActorID(ref.Name, ref.Key), Name: ref.Name, Key: ref.Key, Log: "log", Rev: 1, Time: time.Now(), NextConn: 1, State: []byte(state),
			}}); errs != nil {
				t.Fatal(errs)
			}
			definition, action := actor.Define[sheet]("paper"), "write"
			if i == 1 {
				definition, action = actor.Define[slip]("paper"), "toggle"
			}
			b := newBench(t, s, actor.NewRegistry(definition))
			for range 2 {
				call := host.DirectCall{Action: action}
				if action == "write" {
					call.Args = append(call.Args, []byte(`"c"`))
				}
				if _, err := b.node.CallOnce(context.Background(), ref, call); err != nil {
					t.Fatal(err)
				}
				size := len(s.last.State)
				for _, e := range s.last.Edits {
					size += len(e.Put)
				}
				if size > 100 {
					t.Errorf("%s: a commit has %d bytes of the state", action, size)
				}
			}
		}
	})
}
