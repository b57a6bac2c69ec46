package runtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/host"
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

var (
	attics   = actor.NewRegistry(actor.Define[attic]("attic"))
	atticRef = host.Ref{Name: "attic", Key: host.Key{"a"}}
)

func TestG7_EveryKindOfFieldIsUndone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, memory.New(memory.Options{}), attics)
		ref := atticRef
		if _, err := b.node.Create(context.Background(), ref, json.RawMessage(`["one","two"]`), host.Identity{}); err != nil {
			t.Fatal(err)
		}
		dump := func() string {
			raw, err := b.node.CallOnce(context.Background(), ref, host.DirectCall{Action: "dump"})
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
			_, err := b.node.CallOnce(context.Background(), ref, host.DirectCall{Action: "mess", Args: []json.RawMessage{[]byte(fail)}})
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
		if got, want := dump(), strings.TrimSuffix(after, "2")+"0"; got != want { // with the index
			t.Errorf("after a restart got\n%s, want\n%s", got, want)
		}
		if _, err := b.node.Create(context.Background(), host.Ref{Name: "attic", Key: host.Key{"b"}}, json.RawMessage(`["x",""]`), host.Identity{}); err == nil || err.(*host.Fault).Code != "empty_label" {
			t.Errorf("create with a bad label: got %v, want empty_label", err)
		}
		if _, err := b.node.Create(context.Background(), host.Ref{Name: "attic", Key: host.Key{"b"}}, json.RawMessage(`7`), host.Identity{}); err == nil || err.(*host.Fault).Code != "invalid_input" {
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
		_, err := b.node.CallOnce(context.Background(), ledgerRef, host.DirectCall{Create: true, Action: "get"})
		if e, ok := err.(*host.Fault); !ok || e.Code != "state_incompatible" {
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

// embedding has stored fields in an embedded struct of an unexported type.
type embedding struct {
	embedded
	Calls int `json:"-"`
}

type embedded struct {
	Total int `json:"total"`
}

func (e *embedding) Fail(*nothing) error {
	e.Total++
	e.Calls++
	return actor.Errorf("failed", "as asked")
}

func (e embedding) Get(*nothing) int { return e.Total*1000 + e.Calls }

func TestG7_AnEmbeddedStructIsUndone(t *testing.T) {
	actortest.Run(t, actor.NewRegistry(actor.Define[embedding]("embedding")), func(n *actortest.Node) {
		ada := n.Actor("embedding", "a").Connect(nil)
		if err := ada.Fail("fail"); err.Code != "failed" {
			t.Errorf("got %v, want failed", err)
		}
		if got := actortest.Call[int](ada, "get"); got != 1 {
			t.Errorf("got %d, want 1: the total undone, the ephemeral field kept", got)
		}
	})
}

// versioned is an actor before a field was added, versionedToo after it.
type (
	versioned struct {
		A int `json:"a"`
	}
	versionedToo struct {
		A int      `json:"a"`
		B []string `json:"b"`
	}
)

func (v *versioned) Inc(*nothing) int   { v.A++; return v.A }
func (v versionedToo) Get(*nothing) int { return v.A }

// The stored bytes differ from what this version makes of the same state: that is
// no change.
func TestAFieldThatWasAddedIsNoChangeOfTheState(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, actor.NewRegistry(actor.Define[versioned]("versioned")))
		b.check = true
		ref := host.Ref{Name: "versioned", Key: host.Key{"a"}}
		if _, err := result[int](b, ref, "inc"); err != nil {
			t.Fatal(err)
		}
		b.reg = actor.NewRegistry(actor.Define[versionedToo]("versioned"))
		b.restart()
		if got, err := result[int](b, ref, "get"); got != 1 || err != nil {
			t.Errorf("a read-only action got %d, %v, want 1", got, err)
		}
		if got := b.log.String(); got != "" {
			t.Errorf("the log says\n%s", got)
		}
	})
}

// leaky lets its state out.
type leaky struct {
	N int `json:"n"`
}

var leaked atomic.Pointer[leaky]

func (l *leaky) Leak(*nothing)   { leaked.Store(l) }
func (l leaky) Get(*nothing) int { return l.N }

func TestChecksReportAndUndoChangesOutsideATurn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, actor.NewRegistry(actor.Define[leaky]("leaky")))
		b.check = true
		b.restart()
		ref := host.Ref{Name: "leaky", Key: host.Key{"a"}}
		if _, err := result[any](b, ref, "leak"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		leaked.Load().N = 7
		if got := b.total(ref); got != 0 {
			t.Errorf("got %d, want what the last turn left", got)
		}
		if got := b.log.String(); !strings.Contains(got, "the state changed outside a turn") || strings.Count(got, "\n") != 1 {
			t.Errorf("the log says\n%s\nwant one line about it", got)
		}
	})
}

// doodle has a scalar field alone, jotter a list.
type doodle struct {
	Lines []string `json:"lines"`
}

func (s *doodle) Write(_ *nothing, line string) { s.Lines = []string{line} }

type jotter struct {
	Notes actor.List[string] `json:"notes"`
}

func (j *jotter) Write(_ *nothing, line string) { j.Notes.Append(line) }

// Replace reads all notes from JSON.
func (j *jotter) Replace(_ *nothing, notes json.RawMessage) error {
	return json.Unmarshal(notes, &j.Notes)
}

// What an actor keeps of a small state takes no room for a large one of the same type.
func TestG8_ASmallStateAfterALargeOne(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, large := &commitStore{Store: memory.New(memory.Options{})}, actor.WithOptions(actor.Options{MaxState: 32 << 20})
		b := newBench(t, s, actor.NewRegistry(actor.Define[doodle]("doodle", large), actor.Define[jotter]("jotter", large)))
		for _, does := range []struct {
			of, action string
			arg        any
		}{{"doodle", "write", "small"}, {"doodle", "write", "small again"}, {"jotter", "write", "small"}, {"jotter", "write", "small"}, {"jotter", "replace", []string{"small", "small"}}} {
			call(t, b.node, host.Ref{Name: does.of, Key: host.Key{"large"}}, "write", strings.Repeat("x", 1<<20))
			call(t, b.node, host.Ref{Name: does.of, Key: host.Key{"small"}}, does.action, does.arg)
			if n := cap(s.last.State); n > 1024 {
				t.Errorf("after %s %s %v: room for %d bytes is kept with a state of %d", does.of, does.action, does.arg, n, len(s.last.State))
			}
			for _, e := range s.last.Edits {
				if n := cap(e.Put); n > 1024 {
					t.Errorf("after %s %s %v: room for %d bytes is kept with a change of %d", does.of, does.action, does.arg, n, len(e.Put))
				}
			}
			if s.last.State == nil && len(s.last.Edits) == 0 {
				t.Errorf("after %s %s %v: nothing has changed", does.of, does.action, does.arg)
			}
		}
	})
}
