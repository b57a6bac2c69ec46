package runtime_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// shelfV0 is what a shelf was before it had collections.
type shelfV0 struct {
	Books  []book         `json:"books"`
	Count  int            `json:"count,omitempty"`
	Scores map[string]int `json:"scores"`
	Gone   string         `json:"gone"`
	Name   string         `json:"name"`
}

func (s *shelfV0) Fill(_ *actor.Context[actor.NoState]) {
	s.Books = []book{{"Emma", 474}, {"Persuasion", 249}}
	s.Scores = map[string]int{"a": 1}
	s.Count, s.Name = 7, "old"
}

func (s *shelfV0) Get(_ *actor.Context[actor.NoState]) string {
	return fmt.Sprint(s.Books, s.Scores, s.Count, s.Name)
}

// A field may become a collection, and a scalar field again.
func TestAFieldBecomesACollection(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		old := actor.NewRegistry(actor.Define[shelfV0]("shelf"))
		b := newBench(t, memory.New(memory.Options{}), old)
		ref := host.Ref{Name: "shelf", Key: host.Key{"a"}}
		call := func(action string, args ...json.RawMessage) string {
			t.Helper()
			got, err := b.node.CallOnce(t.Context(), ref, host.DirectCall{Create: true, Action: action, Args: args})
			if err != nil {
				t.Fatal(err)
			}
			return string(got)
		}
		call("fill")
		b.reg = shelves
		b.restart()
		want := emptyShelf()
		want.Books, want.Scores, want.Count, want.Name = []book{{"Emma", 474}, {"Persuasion", 249}}, map[string]int{"a": 1}, 7, "old"
		for range 3 { // as it was loaded, after the commit of all of it, after one with changes
			if got := call("dump"); got != marshal(t, want) {
				t.Errorf("got %s, want %s", got, marshal(t, want))
			}
			steps := []step{{Kind: "append", I: 1, Book: book{"Sanditon", 1}}}
			call("do", []byte(marshal(t, steps)), []byte(`""`))
			want.do(steps)
		}
		b.restart()
		if got := call("dump"); got != marshal(t, want) {
			t.Errorf("after a restart: got %s, want %s", got, marshal(t, want))
		}
		b.reg = old
		b.restart()
		if got, want := call("get"), marshal(t, fmt.Sprint(want.Books, want.Scores, want.Count, want.Name)); got != want {
			t.Errorf("as scalar fields: got %s, want %s", got, want)
		}
	})
}

// notesV0 is what notes were before they had a List, and a tag.
type notesV0 struct{ Notes []string }

func (n *notesV0) Add(_ *actor.Context[actor.NoState], text string) { n.Notes = append(n.Notes, text) }

type notes struct {
	List actor.List[string] `json:"notes"`
}

func (n *notes) Add(_ *actor.Context[actor.NoState], text string) { n.List.Append(text) }

func (n notes) Get(*actor.Context[actor.NoState]) []string { return n.List.Values() }

// As encoding/json does for scalar fields, a collection is found under its name in
// another case.
func TestACollectionIsReadInAnotherCase(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, actor.NewRegistry(actor.Define[notesV0]("notes")))
		call := func(action string, args ...json.RawMessage) string {
			got, err := b.node.CallOnce(t.Context(), host.Ref{Name: "notes", Key: host.Key{"a"}}, host.DirectCall{Create: true, Action: action, Args: args})
			if err != nil {
				t.Fatal(err)
			}
			return string(got)
		}
		call("add", []byte(`"old"`))
		b.reg = actor.NewRegistry(actor.Define[notes]("notes"))
		b.restart()
		call("add", []byte(`"new"`))
		b.restart()
		if got := call("get"); got != `["old","new"]` {
			t.Errorf("got %s", got)
		}
	})
}

// bigNumbers has items whose MarshalJSON has a pointer receiver.
type bigNumbers struct {
	List actor.List[big.Int]
	Map  actor.Map[string, struct{ N big.Int }]
}

func (n *bigNumbers) Fill(_ *actor.Context[actor.NoState]) {
	n.List.Append(*big.NewInt(42))
	n.Map.Set("a", struct{ N big.Int }{*big.NewInt(43)})
}

func (n bigNumbers) Get(_ *actor.Context[actor.NoState]) string {
	list := n.List.At(0)
	pair, _ := n.Map.Get("a")
	return list.String() + " " + pair.N.String()
}

// Items are encoded as those of a slice are.
func TestItemsThatEncodeThemselves(t *testing.T) {
	actortest.Run(t, actor.NewRegistry(actor.Define[bigNumbers]("numbers")), func(n *actortest.Node) {
		a := n.Actor("numbers", "a")
		actortest.Call[any](a, "fill")
		n.Restart()
		if got := actortest.Call[string](a, "get"); got != "42 43" {
			t.Errorf("got %s", got)
		}
	})
}

// A stored state in another form than this binary writes is read, and rewritten.
func TestAStateWithAnotherFieldOrderIsRewritten(t *testing.T) {
	for text, whole := range map[string]bool{
		`{"visits":1,"log":["a","b"]}`:            false,
		`{"log":["a","b"],"visits":1}`:            true,
		`{"visits":1,"log":["a", "b"]}`:           true,
		`{"visits":1,"log":["a","b"],"gone":0}`:   true,
		`{"visits":1,"gone":"x","log":["a","b"]}`: false,
		`{"visits":1 ,"log" : ["a","b"] } `:       true,
		`{"log":["a","b"]}`:                       false,
	} {
		t.Run(text, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := &commitStore{Store: memory.New(memory.Options{})}
				ref := host.Ref{Name: "vault", Key: host.Key{"a"}}
				b := newBench(t, s, actor.NewRegistry(actor.Define[vault]("vault")))
				if _, err := b.node.Create(t.Context(), ref, nil, host.Identity{}); err != nil {
					t.Fatal(err)
				}
				b.stop()
				c := *s.last
				c.Rev, c.Base, c.State, c.Entries = c.Rev+1, nil, []byte(text), nil
				if errs := s.Commit(t.Context(), []*store.Commit{&c}); errs != nil {
					t.Fatal(errs)
				}
				b.start()
				for i := range 3 {
					if _, err := b.node.CallOnce(t.Context(), ref, host.DirectCall{Action: "rotate"}); err != nil {
						t.Fatal(err)
					}
					if got := s.last.State != nil; got != (whole && i == 0) {
						t.Errorf("commit %d has the whole state: %t", i, got)
					}
				}
				b.restart()
				got, err := b.node.CallOnce(t.Context(), ref, host.DirectCall{Action: "get"})
				if visits := strings.Count(text, "visits"); err != nil || string(got) != fmt.Sprintf(`"[b a] %d"`, visits+3) {
					t.Errorf("got %s, %v", got, err)
				}
			})
		})
	}
}

// Rotate moves the first item to the end.
func (v *vault) Rotate(*actor.Context[actor.NoState]) {
	v.Visits++
	v.Log.Append(v.Log.At(0))
	v.Log.Delete(0, 1)
}

// derived has an OnRestore that changes what it must not.
type derived struct {
	List actor.List[int]
}

func (d *derived) OnRestore() { d.List.Append(99) }

func (d *derived) Add(_ *actor.Context[actor.NoState], n int) error {
	d.List.Append(n)
	if n < 0 {
		return actor.Errorf("negative", "as asked")
	}
	return nil
}

func (d derived) Get(*actor.Context[actor.NoState]) string { return fmt.Sprint(d.List.Values()) }

// OnRestore runs outside turns, so its changes would belong to none.
func TestOnRestoreCannotChangeACollection(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, actor.NewRegistry(actor.Define[derived]("derived")))
		ref := host.Ref{Name: "derived", Key: host.Key{"a"}}
		call := func(action string, args ...json.RawMessage) string {
			got, _ := b.node.CallOnce(t.Context(), ref, host.DirectCall{Create: true, Action: action, Args: args})
			return string(got)
		}
		call("add", []byte("1"))
		ada := b.open(ref, asAda)
		call("add", []byte("-1"))
		if got := call("get"); got != `"[1]"` {
			t.Errorf("after an undo: got %s", got)
		}
		b.node.Close(ref, ada.req.Attachment)
		call("add", []byte("2"))
		found, err := b.node.Resolve(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if snap, err := b.store.Load(t.Context(), found.ID); err != nil || string(snap.State) != `{"List":[1,2]}` {
			t.Errorf("stored: got %s, %v", snap.State, err)
		}
	})
}
