package actor_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

type entry struct {
	Text string   `json:"text"`
	Tags []string `json:"tags,omitempty"`
}

// diary has a table with each kind of key.
type diary struct {
	N       int                        `json:"n"`
	Entries actor.Table[uint64, entry] `json:"entries"`
	Days    actor.Table[string, entry] `json:"days"`
	Degrees actor.Table[int8, entry]   `json:"degrees"`
	Names   actor.Map[string, string]  `json:"names"`
}

type diaryContext = actor.Context[actor.NoState]

func (d *diary) Write(_ *diaryContext, text string) uint64 {
	return d.Entries.Append(entry{Text: text})
}
func (d *diary) Set(_ *diaryContext, key uint64, text string) { d.Entries.Set(key, entry{Text: text}) }
func (d *diary) Delete(_ *diaryContext, key uint64)           { d.Entries.Delete(key) }
func (d *diary) SetDay(_ *diaryContext, day, text string)     { d.Days.Set(day, entry{Text: text}) }
func (d *diary) SetDegree(_ *diaryContext, n int8)            { d.Degrees.Set(n, entry{}) }
func (d diary) Len(*diaryContext) int                         { return d.Entries.Len() }
func (d diary) Get(_ *diaryContext, key uint64) string {
	e, ok := d.Entries.Get(key)
	return fmt.Sprint(e.Text, " ", ok)
}
func (d diary) Before(_ *diaryContext, before *uint64, n int) actor.Page[uint64, entry] {
	return d.Entries.Page(actor.Before(before), n)
}
func (d diary) After(_ *diaryContext, after *uint64, n int) actor.Page[uint64, entry] {
	return d.Entries.Page(actor.After(after), n)
}
func (d diary) Ends(*diaryContext) string {
	first, _, _ := d.Entries.First()
	last, _, ok := d.Entries.Last()
	return fmt.Sprint(first, " ", last, " ", ok)
}
func (d diary) Ranges(_ *diaryContext, from, to uint64) []string {
	var got []string
	for k, e := range d.Entries.Range(from, to) {
		got = append(got, fmt.Sprint(k, e.Text))
	}
	got = append(got, "|")
	for k := range d.Entries.Backward(to) {
		got = append(got, fmt.Sprint(k))
	}
	got = append(got, "|")
	for k := range d.Entries.From(from) {
		got = append(got, fmt.Sprint(k))
	}
	return got
}
func (d diary) DayKeys(*diaryContext) []string {
	var got []string
	for k := range d.Days.All() {
		got = append(got, k)
	}
	return got
}
func (d diary) DegreeKeys(*diaryContext) []int8 {
	var got []int8
	for k := range d.Degrees.Backward() {
		got = append(got, k)
	}
	return got
}

var diaries = actor.NewRegistry(actor.Define[diary]("diary"))

// texts returns a page in one line: "1a 2b <>", with < if there are items before it and > if
// there are some after it.
func texts(p actor.Page[uint64, entry]) string {
	var all []string
	for _, item := range p.Items {
		all = append(all, fmt.Sprint(item.Key, item.Value.Text))
	}
	more := ""
	if p.HasBefore {
		more += "<"
	}
	if p.HasAfter {
		more += ">"
	}
	return strings.Join(append(all, more), " ")
}

func TestTable(t *testing.T) {
	actortest.Run(t, diaries, func(n *actortest.Node) {
		a := n.Actor("diary", "ada")
		page := func(action string, key, count int, want string) {
			t.Helper()
			var at any
			if key > 0 {
				at = key
			}
			if got := texts(actortest.Call[actor.Page[uint64, entry]](a, action, at, count)); got != want {
				t.Errorf("%s(%v, %d): got %q, want %q", action, at, count, got, want)
			}
		}
		page("before", 0, 3, "")
		for i, text := range []string{"a", "b", "c", "d", "e"} {
			if got := actortest.Call[uint64](a, "write", text); got != uint64(i+1) {
				t.Errorf("write %s: got key %d, want %d", text, got, i+1)
			}
		}
		for range 2 { // the second time from the store
			page("before", 0, 3, "3c 4d 5e <")
			page("before", 3, 3, "1a 2b >")
			page("before", 3, 1, "2b <>")
			page("before", 1, 3, ">")
			page("after", 0, 2, "1a 2b >")
			page("after", 3, 5, "4d 5e <")
			page("after", 5, 5, "<")
			if got := actortest.Call[[]string](a, "ranges", 2, 4); !slices.Equal(got, []string{"2b", "3c", "|", "3", "2", "1", "|", "2", "3", "4", "5"}) {
				t.Errorf("ranges: got %q", got)
			}
			if got := actortest.Call[string](a, "ends"); got != "1 5 true" {
				t.Errorf("ends: got %q", got)
			}
			n.Restart()
		}
		actortest.Call[any](a, "set", 2, "B")
		actortest.Call[any](a, "set", 9, "i")
		actortest.Call[any](a, "delete", 5)
		actortest.Call[any](a, "delete", 7)
		page("before", 0, 9, "1a 2B 3c 4d 9i ")
		if got := actortest.Call[uint64](a, "write", "j"); got != 10 {
			t.Errorf("write after a key was set: got %d, want 10", got)
		}
		actortest.Call[any](a, "delete", 10)
		if got := actortest.Call[uint64](a, "write", "k"); got != 11 {
			t.Errorf("write after the last item was deleted: got %d, want 11", got)
		}
		if got := actortest.Call[int](a, "len"); got != 6 {
			t.Errorf("len: got %d, want 6", got)
		}
		if got := actortest.Call[string](a, "get", 2) + ", " + actortest.Call[string](a, "get", 5); got != "B true,  false" {
			t.Errorf("get: got %q", got)
		}
		for _, day := range []string{"Tuesday", "", "Monday", "Ärger", "a"} {
			actortest.Call[any](a, "setDay", day, "x")
		}
		if got := actortest.Call[[]string](a, "dayKeys"); !slices.Equal(got, []string{"", "Monday", "Tuesday", "a", "Ärger"}) {
			t.Errorf("strings in order: got %q", got)
		}
		for _, n := range []int8{3, -128, 127, 0, -1} {
			actortest.Call[any](a, "setDegree", n)
		}
		if got := actortest.Call[[]int8](a, "degreeKeys"); !slices.Equal(got, []int8{127, 3, 0, -1, -128}) {
			t.Errorf("integers backward: got %v", got)
		}
	})
}

type nestedTable struct {
	In struct {
		T actor.Table[int, string] `json:"t"`
	} `json:"in"`
}

type listOfTables struct {
	L actor.List[actor.Table[int, string]] `json:"l"`
}

type tableOfLists struct {
	T actor.Table[int, actor.List[string]] `json:"t"`
}

type sameName struct {
	A int                      `json:"a"`
	T actor.Table[int, string] `json:"A"`
}

type sentTable struct {
	T actor.Table[int, string] `json:"t"`
}

func (s sentTable) Whole(*diaryContext) actor.Table[int, string] { return s.T }

type sentState struct {
	T actor.Table[int, string] `json:"t"`
}

func (s sentState) Whole(*diaryContext) []sentState { return []sentState{s} }

// Define refuses a Table that could not work.
func TestTable_DefineRefuses(t *testing.T) {
	for want, define := range map[string]func(){
		"field In.T: a actor.Table[int,string] must be a field of":  func() { actor.Define[nestedTable]("x") },
		"field L: a actor.Table[int,string] must be a field of":     func() { actor.Define[listOfTables]("x") },
		"field T: a actor.List[string] must be a field of":          func() { actor.Define[tableOfLists]("x") },
		`another field is also named "A" in JSON`:                   func() { actor.Define[sameName]("x") },
		"the result of Whole: a actor.Table[int,string] cannot be":  func() { actor.Define[sentTable]("x") },
		"the result of Whole: a actor.Table[int,string] cannot be ": func() { actor.Define[sentState]("x") },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("got %s, want %s", got, want)
				}
			}()
			define()
		}()
	}
}

// A Table that is sent in a way that Define cannot see, or that belongs to no actor, panics
// with what to do.
func TestTable_PanicsWithTheRemedy(t *testing.T) {
	var table actor.Table[int, string]
	for want, use := range map[string]func(){
		"return a Page of it": func() { _, _ = json.Marshal(table) },
		"actortest":           func() { table.Set(1, "x") },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("got %s, want %s", got, want)
				}
			}()
			use()
		}()
	}
}

// What an item loses in JSON is found in check mode, in which tests run; and so are numbers
// beyond the last key, and texts without a next one.
func TestTable_Checks(t *testing.T) {
	registry := actor.NewRegistry(actor.Define[lossy]("lossy"))
	actortest.Run(t, registry, func(n *actortest.Node) {
		a := n.Actor("lossy", "a")
		for _, action := range []string{"lose", "full", "noNext"} {
			if err := a.Fail(action); err.Code != "internal_error" {
				t.Errorf("%s: got %v, want internal_error", action, err)
			}
		}
		if got := actortest.Call[int](a, "len"); got != 0 {
			t.Errorf("after failed turns: got %d items, want none", got)
		}
	})
}

type lossy struct {
	T actor.Table[int8, any]    `json:"t"`
	S actor.Table[string, bool] `json:"s"`
}

func (l *lossy) Lose(*diaryContext)   { l.T.Append(int64(1)) }
func (l *lossy) Full(*diaryContext)   { l.T.Set(127, "x"); l.T.Append("y") }
func (l *lossy) NoNext(*diaryContext) { l.S.Set("x", true); l.S.Append(true) }
func (l lossy) Len(*diaryContext) int { return l.T.Len() + l.S.Len() }
