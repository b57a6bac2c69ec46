package actor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// attic has every kind of field that undoing gets wrong.
type attic struct {
	Map     map[string]int     `json:"map,omitempty"`
	List    []*box             `json:"list"`
	Omitted string             `json:"omitted,omitempty"`
	Raw     json.RawMessage    `json:"raw,omitempty"`
	Nested  struct{ A, B int } `json:"nested"`
	Array   [3]int             `json:"array"`
	Any     any                `json:"any,omitempty"`

	Index map[string]*box `json:"-"`
	calls int
}

type box struct {
	Label string `json:"label"`
	Inner []int  `json:"inner,omitempty"`
}

func (a *attic) OnRestore() {
	a.Index = map[string]*box{}
	for _, b := range a.List {
		a.Index[b.Label] = b
	}
}

func (a *attic) OnCreate(_ *actor.Context[actor.NoState], labels []string) error {
	for _, l := range labels {
		if l == "" {
			return actor.Errorf("empty_label", "a label is not empty")
		}
		a.List = append(a.List, &box{Label: l, Inner: []int{1, 2, 3}})
	}
	a.OnRestore()
	return nil
}

// Mess changes everything, deep inside, and may fail.
func (a *attic) Mess(_ *actor.Context[actor.NoState], fail bool) error {
	a.calls++
	a.Map = map[string]int{"new": 1}
	for _, b := range a.List {
		b.Label += "!"
		b.Inner[0] = 99
	}
	a.List = append(a.List, &box{Label: "another"})
	a.Omitted = "not omitted"
	a.Raw = json.RawMessage(`{"raw":true}`)
	a.Nested.A = 7
	a.Array[1] = 8
	a.Any = []any{"x", 1.0}
	a.OnRestore()
	if fail {
		return actor.Errorf("failed", "as asked")
	}
	return nil
}

func (a attic) Dump(*actor.Context[actor.NoState]) string {
	b, err := json.Marshal(a)
	if err != nil {
		return err.Error()
	}
	var labels []string
	for _, l := range a.List {
		labels = append(labels, fmt.Sprint(l.Label, a.Index[l.Label] == l))
	}
	return fmt.Sprint(string(b), labels, a.calls)
}

// Sneaky is read-only by its receiver, but shares memory with the state.
func (a attic) Sneaky(*actor.Context[actor.NoState]) { a.List[0].Label = "sneaky" }

var attics = actor.NewRegistry(actor.Define[attic]("attic"))

func TestG7_EveryKindOfFieldIsUndone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, memory.New(memory.Options{}), attics)
		ref := actor.Ref{Name: "attic", Key: actor.Key{"a"}}
		if _, err := b.node.Create(context.Background(), ref, json.RawMessage(`["one","two"]`)); err != nil {
			t.Fatal(err)
		}
		dump := func() string {
			raw, err := b.node.CallOnce(context.Background(), ref, actor.SingleCall{Action: "dump"})
			if err != nil {
				t.Fatal(err)
			}
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				t.Fatal(err)
			}
			return s
		}
		mess := func(fail string) error {
			_, err := b.node.CallOnce(context.Background(), ref, actor.SingleCall{Action: "mess", Args: []json.RawMessage{[]byte(fail)}})
			return err
		}
		before := dump()
		if err := mess("true"); err == nil {
			t.Fatal("mess(true) succeeded")
		}
		// The index is rebuilt by OnRestore; calls is ephemeral and stays counted.
		if got, want := dump(), strings.TrimSuffix(before, "0")+"1"; got != want {
			t.Errorf("after a failed turn got\n%s, want\n%s", got, want)
		}
		if err := mess("false"); err != nil {
			t.Fatal(err)
		}
		after := dump()
		if err := mess("true"); err == nil {
			t.Fatal("mess(true) succeeded")
		}
		if got, want := dump(), strings.TrimSuffix(after, "2")+"3"; got != want {
			t.Errorf("after a second failed turn got\n%s, want\n%s", got, want)
		}
		b.restart()
		if got := dump(); !strings.HasPrefix(got, after[:strings.Index(after, "[one")]) {
			t.Errorf("after a restart got\n%s, want\n%s", got, after)
		}
		if _, err := b.node.Create(context.Background(), actor.Ref{Name: "attic", Key: actor.Key{"b"}}, json.RawMessage(`["x",""]`)); err == nil || err.(*actor.Error).Code != "empty_label" {
			t.Errorf("create with a bad label: got %v, want empty_label", err)
		}
		if _, err := b.node.Create(context.Background(), actor.Ref{Name: "attic", Key: actor.Key{"b"}}, json.RawMessage(`7`)); err == nil || err.(*actor.Error).Code != "invalid_input" {
			t.Errorf("create with bad input: got %v, want invalid_input", err)
		}
	})
}

func TestChecksFindReadOnlyActionsThatChangeTheState(t *testing.T) {
	actortest.Run(t, attics, func(n *actortest.Node) {
		room := n.Actor("attic", "a")
		actortest.Call[any](room, "mess", false)
		before := actortest.Call[string](room, "dump")
		if err := room.Fail("sneaky"); err.Code != "internal_error" {
			t.Errorf("got %v, want internal_error", err)
		}
		if got := actortest.Call[string](room, "dump"); got != before {
			t.Errorf("got %s, want %s", got, before)
		}
	})
}

func TestAStateThatDoesNotFitIsNotOverwritten(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := memory.New(memory.Options{})
		b := newBench(t, s, ledgers)
		ada := b.open(ledgerRef, asAda)
		ada.call(1, "add", 3)
		ada.read()
		b.stop()
		b.reg = actor.NewRegistry(actor.Define[otherLedger]("ledger"))
		b.start()
		_, err := b.node.CallOnce(context.Background(), ledgerRef, actor.SingleCall{Create: true, Action: "get"})
		if e, ok := err.(*actor.Error); !ok || e.Code != "state_incompatible" {
			t.Errorf("got %v, want state_incompatible", err)
		}
		b.stop()
		b.reg = ledgers
		b.start()
		if got := b.total(ledgerRef); got != 3 {
			t.Errorf("got %d, want the old state", got)
		}
	})
}

type otherLedger struct {
	Total string `json:"total"`
}

func (otherLedger) Get(*actor.Context[actor.NoState]) string { return "" }
