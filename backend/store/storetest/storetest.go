// Package storetest is the suite that every store.Store passes, and stores that
// misbehave on purpose for tests of those who use one.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// Run checks that the stores that open makes keep every rule of store.Store.
// Each call of open returns an empty store that retains all that the suite
// writes (a few MiB within some seconds); Run closes it. reopen closes a store
// and returns one with what it kept, as after a restart.
func Run(t *testing.T, open func(t *testing.T) store.Store, reopen func(t *testing.T, s store.Store) store.Store) {
	type test struct {
		name string
		test func(t *testing.T, s store.Store)
	}
	with := func(f func(t *testing.T, s *reopenable)) func(*testing.T, store.Store) {
		return func(t *testing.T, s store.Store) { f(t, s.(*reopenable)) }
	}
	tests := []test{
		{"an actor that was never committed is not found", unknownActor},
		{"a first commit makes the actor", firstCommit},
		{"a commit without a state leaves it", stateUnchanged},
		{"connections join, change and go", connections},
		{"callers are kept with their answers", callers},
		{"a revision that does not follow is a conflict, and nothing of it is kept", conflict},
		{"a failed commit fails those of its actor that follow in the group, no others", failedGroup},
		{"a group may hold several commits of an actor", severalOfOneActor},
		{"entries come in order, with what they hold and the time of their commit", entriesWhole},
		{"entries come up to a limit", entriesLimit},
		{"entries come up to a size, but at least one", entriesSize},
		{"entries that do not follow the head are refused", entriesGap},
		{"actors do not see one another", twoActors},
		{"what a caller does to what it got changes nothing stored", isolation},
		{"a reused Commit changes nothing stored", reusedCommit},
		{"Connected names the actors with connections", connected},
		{"Connected stops when told to, and may be called into", connectedStops},
		{"all methods may be called at the same time", concurrent},
		{"all survives reopening", with(survives)},
		{"nothing is found in an empty store that was reopened", with(reopenedEmpty)},
		{"many commits of one actor survive reopening", with(manyCommits)},
		{"a large group survives reopening", with(largeGroup)},
		{"states of every kind survive reopening", with(states)},
		{"random operations agree with a model", with(random)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &reopenable{Store: open(t), reopen: reopen}
			defer func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}()
			test.test(t, s)
		})
	}
}

// reopenable is a store that can be reopened.
type reopenable struct {
	store.Store
	reopen func(t *testing.T, s store.Store) store.Store
}

func (r *reopenable) again(t *testing.T) {
	t.Helper()
	r.Store = r.reopen(t, r.Store)
}

// start is when the commits of the suite begin: stores round to no less than a
// millisecond.
var start = time.Now().Truncate(time.Millisecond)

// turn makes the commit of revision rev of an actor, with the given entries.
func turn(actor string, rev uint64, entries ...store.Entry) *store.Commit {
	c := &store.Commit{
		Actor: actor, Name: "room", Key: []string{"a", actor}, Log: "log of " + actor,
		Time: start.Add(time.Duration(rev) * time.Millisecond),
		Rev:  rev, State: stateAt(actor, rev), Entries: entries, NextConn: uint32(rev) + 1,
	}
	if rev > 1 {
		c.Base = stateAt(actor, rev-1)
	}
	return c
}

func stateAt(actor string, rev uint64) []byte {
	return fmt.Appendf(nil, `{"actor":%q,"rev":%d}`, actor, rev)
}

func event(seq uint64) store.Entry {
	return store.Entry{Seq: seq, Event: "said", Data: fmt.Appendf(nil, `{"n":%d}`, seq)}
}

func commit(t *testing.T, s store.Store, group ...*store.Commit) {
	t.Helper()
	for i, err := range commitAndReuse(t, s, group) {
		if err != nil {
			t.Fatalf("Commit of revision %d of %s: %v", group[i].Rev, group[i].Actor, err)
		}
	}
}

// commitAndReuse commits a group and then writes over what a caller may use again. The
// group itself is not touched.
func commitAndReuse(t *testing.T, s store.Store, group []*store.Commit) []error {
	t.Helper()
	passed := make([]*store.Commit, len(group))
	for i, c := range group {
		again := *c
		again.Key, again.Gone, again.GoneCallers = slices.Clone(c.Key), slices.Clone(c.Gone), slices.Clone(c.GoneCallers)
		again.Edits, again.Entries, again.Conns, again.Callers = slices.Clone(c.Edits), slices.Clone(c.Entries), slices.Clone(c.Conns), slices.Clone(c.Callers)
		passed[i] = &again
	}
	errs := s.Commit(t.Context(), passed)
	for _, c := range passed {
		clear(c.Key)
		clear(c.Gone)
		clear(c.GoneCallers)
		clear(c.Edits)
		clear(c.Entries)
		clear(c.Conns)
		clear(c.Callers)
		*c = store.Commit{}
	}
	return errs
}

func load(t *testing.T, s store.Store, actor string) *store.Snapshot {
	t.Helper()
	snapshot, err := s.Load(t.Context(), actor)
	if err != nil {
		t.Fatalf("Load(%q): %v", actor, err)
	}
	return snapshot
}

func entries(t *testing.T, s store.Store, actor string, after uint64, limit, maxBytes int) []store.Entry {
	t.Helper()
	got, err := s.Entries(t.Context(), actor, after, limit, maxBytes)
	if err != nil {
		t.Fatalf("Entries(%q, %d, %d, %d): %v", actor, after, limit, maxBytes, err)
	}
	return got
}

func numbers(entries []store.Entry) []uint64 {
	var seqs []uint64
	for _, e := range entries {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

// equal compares by what is encoded, so that nil and empty are the same.
func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := encode(t, got), encode(t, want); g != w {
		t.Errorf("%s: got\n%s\nwant\n%s", what, g, w)
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	if r := reflect.ValueOf(v); r.Kind() == reflect.Slice && r.Len() == 0 {
		return "[]"
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("encode %T: %v", v, err)
	}
	return string(b)
}

func unknownActor(t *testing.T, s store.Store) {
	if _, err := s.Load(t.Context(), "nobody"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Load: got %v, want ErrNotFound", err)
	}
	if got := entries(t, s, "nobody", 0, 10, 1<<20); len(got) != 0 {
		t.Errorf("Entries: got %v, want none", got)
	}
}

func firstCommit(t *testing.T, s store.Store) {
	c := turn("ada", 1, event(1), event(2))
	commit(t, s, c)
	got := load(t, s, "ada")
	want := &store.Snapshot{Actor: "ada", Name: c.Name, Key: c.Key, Log: c.Log, Rev: 1, Head: 2, State: c.State, NextConn: 2}
	equal(t, "snapshot", got, withEmpty(want))
	equal(t, "entries", entries(t, s, "ada", 0, 10, 1<<20), c.Entries)
}

func stateUnchanged(t *testing.T, s store.Store) {
	commit(t, s, turn("ada", 1))
	c := turn("ada", 2, event(1))
	c.State = nil
	commit(t, s, c)
	got := load(t, s, "ada")
	if string(got.State) != string(stateAt("ada", 1)) || got.Rev != 2 || got.Head != 1 {
		t.Errorf("got state %s, rev %d, head %d; want that of rev 1, 2, 1", got.State, got.Rev, got.Head)
	}
}

func connections(t *testing.T, s store.Store) {
	a := store.Conn{Num: 1, ID: "a", Start: 7, State: json.RawMessage(`{"name":"Ada"}`)}
	b := store.Conn{Num: 2, ID: "b"}
	c1 := turn("ada", 1)
	c1.Conns = []store.Conn{b, a}
	commit(t, s, c1)
	equal(t, "joined, by number", load(t, s, "ada").Conns, []store.Conn{a, b})

	a.State = json.RawMessage(`{"name":"Ada L."}`)
	c2 := turn("ada", 2)
	c2.Conns, c2.Gone = []store.Conn{a}, []uint32{2}
	commit(t, s, c2)
	equal(t, "changed and gone", load(t, s, "ada").Conns, []store.Conn{a})

	c3 := turn("ada", 3)
	c3.Conns, c3.Gone = []store.Conn{{Num: 3, ID: "c"}}, []uint32{3, 1, 99}
	commit(t, s, c3)
	equal(t, "come and gone in one turn", load(t, s, "ada").Conns, []store.Conn(nil))
}

func callers(t *testing.T, s store.Store) {
	x := store.Caller{ID: "x", Highest: 7, Used: start.UTC(), Answers: []store.Answer{
		{Call: 5, Code: "no", Message: "not so", Metadata: json.RawMessage(`{"a":1}`)},
		{Call: 7, Result: json.RawMessage(`[1]`)},
	}}
	y := store.Caller{ID: "y", Highest: 1, Used: start.UTC()}
	c1 := turn("ada", 1)
	c1.Callers = []store.Caller{y, x}
	commit(t, s, c1)
	equal(t, "callers, by id", load(t, s, "ada").Callers, []store.Caller{x, y})

	x.Highest, x.Answers = 8, nil
	c2 := turn("ada", 2)
	c2.Callers, c2.GoneCallers = []store.Caller{x}, []string{"y", "z"}
	commit(t, s, c2)
	equal(t, "changed and gone", load(t, s, "ada").Callers, []store.Caller{x})
}

func conflict(t *testing.T, s store.Store) {
	commit(t, s, turn("ada", 1, event(1)), turn("ada", 2))
	for _, rev := range []uint64{0, 1, 2, 4} {
		c := turn("ada", rev, event(2))
		c.Conns, c.Callers = []store.Conn{{Num: 1, ID: "a"}}, []store.Caller{{ID: "x", Used: start}}
		errs := s.Commit(t.Context(), []*store.Commit{c})
		if len(errs) != 1 || !errors.Is(errs[0], store.ErrConflict) {
			t.Errorf("revision %d after 2: got %v, want one ErrConflict", rev, errs)
		}
	}
	errs := s.Commit(t.Context(), []*store.Commit{turn("bob", 2)})
	if len(errs) != 1 || !errors.Is(errs[0], store.ErrConflict) {
		t.Errorf("revision 2 of a new actor: got %v, want one ErrConflict", errs)
	}
	got := load(t, s, "ada")
	if got.Rev != 2 || got.Head != 1 || len(got.Conns) != 0 || len(got.Callers) != 0 {
		t.Errorf("got %+v, want revision 2 with nothing of those that failed", got)
	}
	if _, err := s.Load(t.Context(), "bob"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Load of an actor whose first commit failed: got %v, want ErrNotFound", err)
	}
}

func failedGroup(t *testing.T, s store.Store) {
	commit(t, s, turn("ada", 1), turn("bob", 1))
	group := []*store.Commit{
		turn("bob", 2, event(1)),
		turn("ada", 3), // does not follow
		turn("ada", 2), // would, but for the one before
		turn("bob", 3, event(2)),
		turn("cleo", 1),
	}
	errs := s.Commit(t.Context(), group)
	if len(errs) != len(group) {
		t.Fatalf("got %d results, want %d", len(errs), len(group))
	}
	for i, want := range []error{nil, store.ErrConflict, store.ErrConflict, nil, nil} {
		if !errors.Is(errs[i], want) {
			t.Errorf("commit %d of the group: got %v, want %v", i, errs[i], want)
		}
	}
	for actor, rev := range map[string]uint64{"ada": 1, "bob": 3, "cleo": 1} {
		if got := load(t, s, actor).Rev; got != rev {
			t.Errorf("revision of %s: got %d, want %d", actor, got, rev)
		}
	}
}

func severalOfOneActor(t *testing.T, s store.Store) {
	commit(t, s, turn("ada", 1, event(1)), turn("ada", 2), turn("bob", 1), turn("ada", 3, event(2), event(3)))
	got := load(t, s, "ada")
	if got.Rev != 3 || got.Head != 3 || string(got.State) != string(stateAt("ada", 3)) {
		t.Errorf("got rev %d, head %d, state %s; want 3, 3, that of rev 3", got.Rev, got.Head, got.State)
	}
	equal(t, "entries", numbers(entries(t, s, "ada", 0, 10, 1<<20)), []uint64{1, 2, 3})
}

func entriesWhole(t *testing.T, s store.Store) {
	first := []store.Entry{
		{Seq: 1, Event: "said", Data: json.RawMessage(`{"text":"ä \u0000 <b>"}`)},
		{Seq: 2, Event: "whispered", Direct: true, Target: store.Target{Mode: store.ToOnly, Conns: []uint32{1, 4}}, Data: json.RawMessage(`null`)},
	}
	second := []store.Entry{
		{Seq: 3, Event: "moved", Target: store.Target{Mode: store.ToExcept, Conns: []uint32{7}}, Data: json.RawMessage(`[]`)},
		{Seq: 4, Caller: "x", Call: 9, Target: store.Target{Mode: store.ToOnly, Conns: []uint32{7}}, Data: json.RawMessage(`"ok"`)},
		{Seq: 5, Caller: "x", Call: 10, Target: store.Target{Mode: store.ToOnly, Conns: []uint32{7}}},
	}
	commit(t, s, turn("ada", 1, first...), turn("ada", 2, second...))
	got := entries(t, s, "ada", 0, 10, 1<<20)
	equal(t, "entries", got, slices.Concat(first, second))
	for _, e := range got {
		want := start.Add(time.Millisecond)
		if e.Seq > 2 {
			want = start.Add(2 * time.Millisecond)
		}
		if !e.Time.Equal(want) {
			t.Errorf("time of entry %d: got %v, want %v", e.Seq, e.Time, want)
		}
	}
	if last := got[len(got)-1]; last.Data != nil {
		t.Errorf("data of a reply without a result: got %q, want nil", last.Data)
	}
}

func entriesLimit(t *testing.T, s store.Store) {
	commit(t, s, turn("ada", 1, event(1)), turn("ada", 2, event(2), event(3)), turn("ada", 3), turn("ada", 4, event(4)))
	tests := []struct {
		after uint64
		limit int
		want  []uint64
	}{
		{0, 10, []uint64{1, 2, 3, 4}},
		{0, 2, []uint64{1, 2}}, // within a commit
		{2, 1, []uint64{3}},
		{2, 10, []uint64{3, 4}},
		{3, 10, []uint64{4}},
		{4, 10, nil}, // the head
		{9, 10, nil}, // beyond it
		{0, 0, nil},
	}
	for _, test := range tests {
		what := fmt.Sprintf("after %d, at most %d", test.after, test.limit)
		equal(t, what, numbers(entries(t, s, "ada", test.after, test.limit, 1<<20)), test.want)
	}
}

func entriesSize(t *testing.T, s store.Store) {
	large := func(seq uint64) store.Entry {
		return store.Entry{Seq: seq, Event: "said", Data: json.RawMessage(`"` + strings.Repeat("x", 1000) + `"`)}
	}
	commit(t, s, turn("ada", 1, large(1), large(2)), turn("ada", 2, large(3)), turn("ada", 3, large(4), large(5)))
	if got := entries(t, s, "ada", 0, 10, 1); len(got) != 1 {
		t.Errorf("with room for less than one entry: got %d, want 1", len(got))
	}
	got := entries(t, s, "ada", 1, 10, 2500)
	if len(got) == 0 || len(got) > 3 || got[0].Seq != 2 {
		t.Errorf("with room for two and a half: got %v, want 2 and 3, perhaps 4", numbers(got))
	}
}

func entriesGap(t *testing.T, s store.Store) {
	commit(t, s, turn("ada", 1, event(1)))
	for _, wrong := range [][]store.Entry{{event(1)}, {event(3)}, {event(2), event(4)}} {
		errs := s.Commit(t.Context(), []*store.Commit{turn("ada", 2, wrong...)})
		if len(errs) != 1 || !errors.Is(errs[0], store.ErrConflict) {
			t.Errorf("entries %v after 1: got %v, want one ErrConflict", numbers(wrong), errs)
		}
	}
	commit(t, s, turn("ada", 2, event(2)))
}

func twoActors(t *testing.T, s store.Store) {
	a, b := turn("ada", 1, event(1)), turn("bob", 1, event(1), event(2))
	a.Conns = []store.Conn{{Num: 1, ID: "same"}}
	b.Conns = []store.Conn{{Num: 1, ID: "same", State: json.RawMessage(`1`)}}
	b.Callers = []store.Caller{{ID: "x", Used: start}}
	commit(t, s, a, b)
	gone := turn("bob", 2)
	gone.Gone, gone.GoneCallers = []uint32{1}, []string{"x"}
	commit(t, s, gone)
	equal(t, "connections of the other", load(t, s, "ada").Conns, a.Conns)
	equal(t, "entries of the other", entries(t, s, "ada", 0, 10, 1<<20), a.Entries)
}

// full is a commit with something in every field.
func full() *store.Commit {
	c := turn("ada", 1, store.Entry{
		Seq: 1, Event: "said", Direct: true, Data: json.RawMessage(`1`),
		Target: store.Target{Mode: store.ToOnly, Conns: []uint32{1, 2}},
	})
	c.Conns = []store.Conn{{Num: 1, ID: "a", State: json.RawMessage(`1`)}, {Num: 2, ID: "b"}}
	c.Callers = []store.Caller{{ID: "x", Highest: 1, Used: start.UTC(), Answers: []store.Answer{{Call: 1, Code: "no"}}}}
	return c
}

func isolation(t *testing.T, s store.Store) {
	commit(t, s, full())
	snapshot := load(t, s, "ada")
	snapshot.Key[0] = "spoilt"
	snapshot.Conns[0].ID = "spoilt"
	snapshot.Callers[0].Highest = 99
	snapshot.Callers[0].Answers[0].Code = "spoilt"
	got := entries(t, s, "ada", 0, 10, 1<<20)
	got[0].Seq, got[0].Target.Conns[0] = 99, 99

	want := full()
	equal(t, "snapshot", load(t, s, "ada"), snapshotOf(want))
	equal(t, "entries", entries(t, s, "ada", 0, 10, 1<<20), want.Entries)
}

func reusedCommit(t *testing.T, s store.Store) {
	c := full()
	commit(t, s, c)
	c.Key[0] = "spoilt"
	c.Entries[0].Target.Conns[0] = 99
	c.Entries[0] = event(99)
	c.Conns[0] = store.Conn{Num: 9}
	c.Callers[0].Answers[0] = store.Answer{}
	c.Callers[0] = store.Caller{}

	want := full()
	equal(t, "snapshot", load(t, s, "ada"), snapshotOf(want))
	equal(t, "entries", entries(t, s, "ada", 0, 10, 1<<20), want.Entries)
}

// snapshotOf is what Load returns after c alone.
func snapshotOf(c *store.Commit) *store.Snapshot {
	return withEmpty(&store.Snapshot{
		Actor: c.Actor, Name: c.Name, Key: c.Key, Log: c.Log, Rev: c.Rev,
		Head: uint64(len(c.Entries)), State: c.State, NextConn: c.NextConn, Conns: c.Conns, Callers: c.Callers,
	})
}

// withEmpty is s as it is compared: an empty slice is a nil one.
func withEmpty(s *store.Snapshot) *store.Snapshot {
	if len(s.Conns) == 0 {
		s.Conns = nil
	}
	if len(s.Callers) == 0 {
		s.Callers = nil
	}
	return s
}

func connected(t *testing.T, s store.Store) {
	for i := range uint32(5) {
		c := turn(fmt.Sprint("actor", i), 1)
		if i != 2 {
			c.Conns = []store.Conn{{Num: 1, ID: "a"}, {Num: 2, ID: "b"}}
		}
		commit(t, s, c)
	}
	gone := turn("actor4", 2)
	gone.Gone = []uint32{1, 2}
	half := turn("actor3", 2)
	half.Gone = []uint32{1}
	commit(t, s, gone, half)

	var got []string
	if err := s.Connected(t.Context(), func(actor string) bool { got = append(got, actor); return true }); err != nil {
		t.Fatalf("Connected: %v", err)
	}
	slices.Sort(got)
	equal(t, "connected actors", got, []string{"actor0", "actor1", "actor3"})
}

func connectedStops(t *testing.T, s store.Store) {
	for i := range 3 {
		c := turn(fmt.Sprint("actor", i), 1)
		c.Conns = []store.Conn{{Num: 1, ID: "a"}}
		commit(t, s, c)
	}
	calls := 0
	err := s.Connected(t.Context(), func(actor string) bool {
		calls++
		load(t, s, actor)
		return calls < 2
	})
	if err != nil || calls != 2 {
		t.Errorf("got %d calls and error %v, want 2 and none", calls, err)
	}
}

func concurrent(t *testing.T, s store.Store) {
	const actors, turns = 8, 50
	var wg sync.WaitGroup
	for i := range actors {
		actor := fmt.Sprint("actor", i)
		wg.Go(func() {
			for rev := uint64(1); rev <= turns; rev++ {
				c := turn(actor, rev, event(rev))
				c.Conns = []store.Conn{{Num: uint32(rev), ID: "a"}}
				if errs := s.Commit(context.Background(), []*store.Commit{c}); errs != nil {
					t.Errorf("commit %d of %s: %v", rev, actor, errs)
					return
				}
			}
		})
		wg.Go(func() {
			for range turns {
				snapshot, err := s.Load(context.Background(), actor)
				if err != nil {
					continue // not there yet
				}
				got, err := s.Entries(context.Background(), actor, 0, 1000, 1<<20)
				if err != nil || len(got) < int(snapshot.Head) {
					t.Errorf("entries of %s: got %d and error %v, want at least %d", actor, len(got), err, snapshot.Head)
				}
			}
		})
	}
	wg.Go(func() {
		for range turns {
			if err := s.Connected(context.Background(), func(string) bool { return true }); err != nil {
				t.Errorf("Connected: %v", err)
			}
		}
	})
	wg.Wait()
	for i := range actors {
		if got := load(t, s, fmt.Sprint("actor", i)); got.Rev != turns || len(got.Conns) != turns {
			t.Errorf("actor%d: got revision %d with %d connections, want %d with %d", i, got.Rev, len(got.Conns), turns, turns)
		}
	}
}
