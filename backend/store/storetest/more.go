package storetest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// key is the key of an item whose keys are integers.
func key(n int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// message is a message with something in every field.
func message(id uint64) store.Message {
	return store.Message{
		ID: id, Order: id + 1, To: "bob", Name: "room", Key: []string{"a", "<b>"}, Type: "credit", Version: 2,
		Data: json.RawMessage(`{ "text": "<&>" }`), Due: start.Add(time.Minute).UTC(), Label: "l", Spec: "0 9 * * *", Work: true, Tries: 3,
		Fatal: 1, Retry: start.Add(time.Hour).UTC(),
	}
}

func page(t *testing.T, s store.Store, actor string, q store.ItemRange) store.ItemPage {
	t.Helper()
	p, err := s.Items(t.Context(), actor, q)
	if err != nil {
		t.Fatalf("Items of %q in %+v: %v", actor, q, err)
	}
	return p
}

func itemsOf(t *testing.T, s store.Store, actor string, table int) []store.Item {
	t.Helper()
	return page(t, s, actor, store.ItemRange{Table: table, Limit: 1 << 20, MaxBytes: 1 << 30}).Items
}

// setItems makes a commit that sets items 1 to n of table 1.
func setItems(actor string, rev uint64, n int) *store.Commit {
	c := turn(actor, rev)
	c.Tables = []store.Table{{ID: 1, Field: "messages", Len: int64(n), Bytes: int64(10 * n)}}
	for i := range n {
		c.Items = append(c.Items, store.ItemEdit{Table: 1, Key: key(i + 1), Value: fmt.Append(nil, i+1)})
	}
	return c
}

func connectedPartition(t *testing.T, s store.Store) {
	want := map[int][]string{}
	for i := range 20 {
		c := turn(fmt.Sprint("actor", i), 1)
		c.Conns = []store.Conn{{Num: 1, ID: "a"}}
		commit(t, s, c)
		want[store.Partition(c.Actor)] = append(want[store.Partition(c.Actor)], c.Actor)
	}
	for p := range store.Partitions {
		var got []string
		if err := s.Connected(t.Context(), p, func(actor string) bool { got = append(got, actor); return true }); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		slices.Sort(want[p])
		equal(t, fmt.Sprint("connected actors of partition ", p), got, want[p])
	}
}

func keepsTheRest(t *testing.T, s store.Store) {
	c := full()
	commit(t, s, c)
	equal(t, "all fields", load(t, s, "ada"), snapshotOf(c))
	next := turn("ada", 2)
	commit(t, s, next)
	want := snapshotOf(c)
	want.Rev, want.State, want.NextConn, want.Changed = 2, next.State, next.NextConn, next.Time.UTC()
	equal(t, "after a commit without them", load(t, s, "ada"), want)

	none := turn("ada", 3)
	none.Due, none.GoneMessages, none.GoneSenders = store.NoDue, []uint64{8}, []string{"bob"}
	commit(t, s, none)
	got := load(t, s, "ada")
	if !got.Due.IsZero() || len(got.Messages) != 0 || len(got.Senders) != 0 || got.NextMessage != 9 {
		t.Errorf("after they went: got due %v, messages %v, senders %v, next message %d", got.Due, got.Messages, got.Senders, got.NextMessage)
	}
}

func itemRanges(t *testing.T, s store.Store) {
	commit(t, s, setItems("ada", 1, 9), setItems("bob", 1, 2))
	other := turn("ada", 2)
	other.Tables = []store.Table{{ID: 2, Field: "byName", Len: 2}}
	other.Items = []store.ItemEdit{
		{Table: 2, Key: []byte("b"), Value: []byte(`{"<": 1}`), Version: 2}, {Table: 2, Key: []byte{}, Value: []byte(`null`)},
		{Table: 1, Key: key(4)}, {Table: 1, Key: key(5), Value: []byte(`55`)}, {Table: 1, Key: key(99)},
	}
	commit(t, s, other)
	for _, test := range []struct {
		q    store.ItemRange
		want string
	}{
		{store.ItemRange{}, "1 2 3 55 6 7 8 9"},
		{store.ItemRange{Backward: true}, "9 8 7 6 55 3 2 1"},
		{store.ItemRange{From: key(3)}, "3 55 6 7 8 9"},
		{store.ItemRange{From: key(3), To: key(6)}, "3 55"},
		{store.ItemRange{From: key(3), To: key(6), Backward: true}, "55 3"},
		{store.ItemRange{To: key(4), Backward: true}, "3 2 1"},
		{store.ItemRange{From: key(6), To: key(3)}, ""},
		{store.ItemRange{From: key(100)}, ""},
	} {
		test.q.Table, test.q.Limit, test.q.MaxBytes = 1, 100, 1<<20
		p := page(t, s, "ada", test.q)
		var got []string
		for _, item := range p.Items {
			got = append(got, string(item.Value))
		}
		if g := strings.Join(got, " "); g != test.want || p.More || p.Rev != 2 {
			t.Errorf("%+v: got %s (more: %t, revision %d), want %s", test.q, g, p.More, p.Rev, test.want)
		}
	}
	equal(t, "the other table", itemsOf(t, s, "ada", 2), []store.Item{{Key: []byte{}, Value: []byte(`null`)}, {Key: []byte("b"), Value: []byte(`{"<": 1}`), Version: 2}})
	if got := len(itemsOf(t, s, "bob", 1)) + len(itemsOf(t, s, "bob", 2)) + len(itemsOf(t, s, "nobody", 1)); got != 2 {
		t.Errorf("others: got %d items, want 2", got)
	}
}

func itemLimits(t *testing.T, s store.Store) {
	commit(t, s, setItems("ada", 1, 9))
	for _, test := range []struct {
		limit, bytes, want int
		more               bool
	}{{3, 1000, 3, true}, {9, 1000, 9, false}, {10, 9 * 9, 9, false}, {10, 4 * 9, 4, true}, {10, 1, 1, true}, {10, 0, 1, true}} {
		for _, backward := range []bool{false, true} {
			p := page(t, s, "ada", store.ItemRange{Table: 1, Limit: test.limit, MaxBytes: test.bytes, Backward: backward})
			if len(p.Items) != test.want || p.More != test.more {
				t.Errorf("%d items of %d bytes: got %d (more: %t), want %d (%t)", test.limit, test.bytes, len(p.Items), p.More, test.want, test.more)
			}
		}
	}
}

func droppedTable(t *testing.T, s store.Store) {
	drop := turn("ada", 2)
	drop.Tables = []store.Table{{ID: 1}, {ID: 2, Field: "other"}}
	commit(t, s, setItems("ada", 1, 5), drop)
	equal(t, "items", itemsOf(t, s, "ada", 1), []store.Item(nil))
	equal(t, "tables", load(t, s, "ada").Tables, drop.Tables)
}

func messages(t *testing.T, s store.Store) {
	c := turn("ada", 1)
	c.Messages = []store.Message{message(3), message(1), message(2)}
	c.Senders = []store.Sender{{ID: "z", Highest: 1}, {ID: "b", Born: 1, Highest: 2, Refused: []store.Answer{{Call: 1, Message: "given up"}, {Call: 2, Code: "no"}}}}
	commit(t, s, c)
	got := load(t, s, "ada")
	equal(t, "messages, by ID", got.Messages, []store.Message{message(1), message(2), message(3)})
	equal(t, "senders, by ID", got.Senders, []store.Sender{c.Senders[1], c.Senders[0]})

	next := turn("ada", 2)
	changed := message(2)
	changed.Tries, changed.Parked = 10, "it failed"
	next.Messages, next.GoneMessages = []store.Message{changed}, []uint64{1, 77}
	next.Senders, next.GoneSenders = []store.Sender{{ID: "z", Highest: 9}}, []string{"b", "unknown"}
	commit(t, s, next)
	got = load(t, s, "ada")
	equal(t, "messages", got.Messages, []store.Message{changed, message(3)})
	equal(t, "senders", got.Senders, next.Senders)
}

// dueBefore returns all pages of Due, each with its time.
func dueBefore(t *testing.T, s store.Store, before time.Time, limit int) []string {
	t.Helper()
	var all []string
	var last store.Wake
	for {
		wakes, err := s.Due(t.Context(), last, before, limit)
		if err != nil || len(wakes) > limit {
			t.Fatalf("Due after %v: got %d and error %v, want at most %d", last, len(wakes), err, limit)
		}
		for _, w := range wakes {
			if w.At.Before(last.At) {
				t.Errorf("Due: got %v after %v", w.At, last.At)
			}
			all, last = append(all, fmt.Sprint(w.At.UnixMilli(), w.Actor)), w
		}
		if len(wakes) < limit {
			slices.Sort(all)
			return all
		}
	}
}

func due(t *testing.T, s store.Store) {
	var want []string
	at := func(i int) time.Time { return start.Add(time.Duration(i/3) * time.Second).UTC() }
	for i := range 30 {
		c := turn(fmt.Sprint("actor", i), 1)
		if c.Due = at(i); i%10 == 0 {
			c.Due = time.Time{}
		} else {
			want = append(want, fmt.Sprint(at(i).UnixMilli(), c.Actor))
		}
		commit(t, s, c)
	}
	slices.Sort(want)
	for _, limit := range []int{1, 4, 100} {
		equal(t, fmt.Sprintf("by pages of %d", limit), dueBefore(t, s, start.Add(time.Hour), limit), want)
	}
	if got := dueBefore(t, s, start.Add(2*time.Second), 100); len(got) != 5 {
		t.Errorf("before the third second: got %v, want 5", got)
	}
	never, later := turn("actor1", 2), turn("actor2", 2)
	never.Due, later.Due = store.NoDue, start.Add(time.Hour)
	commit(t, s, never, later)
	if got := dueBefore(t, s, start.Add(time.Hour), 7); len(got) != len(want)-2 {
		t.Errorf("after two have moved: got %d, want %d", len(got), len(want)-2)
	}
}

// listed returns all pages of List, in the order of the actors' ids.
func listed(t *testing.T, s store.Store, q store.ListQuery) []store.ActorInfo {
	t.Helper()
	var all []store.ActorInfo
	for {
		p, err := s.List(t.Context(), q)
		if err != nil || len(p.Actors) > q.Limit {
			t.Fatalf("List %+v: got %d and error %v", q, len(p.Actors), err)
		}
		all = append(all, p.Actors...)
		if q.After = p.Next; p.Next == "" {
			break
		}
	}
	slices.SortFunc(all, func(a, b store.ActorInfo) int { return strings.Compare(a.Actor, b.Actor) })
	return all
}

func list(t *testing.T, s store.Store) {
	for i := range 10 {
		c := turn(fmt.Sprint("actor", i), 1)
		if i%2 == 1 {
			c.Name = "hall"
		}
		c.Key = []string{fmt.Sprint("a", i%3), c.Actor}
		commit(t, s, c)
	}
	for _, test := range []struct {
		q    store.ListQuery
		want int
	}{
		{store.ListQuery{}, 10}, {store.ListQuery{Name: "hall"}, 5}, {store.ListQuery{Name: "cellar"}, 0},
		{store.ListQuery{Prefix: []string{"a0"}}, 4}, {store.ListQuery{Name: "room", Prefix: []string{"a0"}}, 2},
		{store.ListQuery{Prefix: []string{"a0", "actor0"}}, 1}, {store.ListQuery{Prefix: []string{"a"}}, 0},
		{store.ListQuery{Prefix: []string{"a0", "actor0", "x"}}, 0},
	} {
		for _, limit := range []int{1, 3, 100} {
			if test.q.Limit = limit; len(listed(t, s, test.q)) != test.want {
				t.Errorf("%+v: got %v, want %d", test.q, listed(t, s, test.q), test.want)
			}
		}
	}
	c := full()
	commit(t, s, c)
	got := listed(t, s, store.ListQuery{Prefix: []string{"a"}, Limit: 10})
	equal(t, "an actor", got, []store.ActorInfo{{
		Actor: "ada", Name: "room", Key: c.Key, Rev: 1, Bytes: int64(len(c.State)) + 9, Conns: 2, Due: c.Due.UTC(), Changed: c.Time.UTC(),
	}})
}

func names(t *testing.T, s store.Store) {
	hall := turn("cleo", 1)
	hall.Name = "hall"
	commit(t, s, turn("ada", 1), turn("bob", 1), hall)
	got, err := s.Names(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "names", got, map[string]int{"room": 2, "hall": 1})
}

func namesOfDestroyed(t *testing.T, s *reopenable) {
	hall := turn("cleo", 1)
	hall.Name = "hall"
	end := *turn("cleo", 2)
	end.Name, end.Base, end.State, end.End = "hall", nil, nil, store.Destroyed
	commit(t, s, turn("bob", 1), hall, full(), destroy(), &end)
	check := func(what string, want map[string]int) {
		t.Helper()
		for range 2 {
			got, err := s.Names(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			equal(t, what, got, want)
			s.again(t)
		}
	}
	check("names", map[string]int{"room": 1})
	again := turn("cleo", 3)
	again.Name, again.Base = "hall", nil
	commit(t, s, again)
	check("names after a new life", map[string]int{"room": 1, "hall": 1})
}

// keyOfDestroyed: the key of a tombstone is that of its newest commit.
func keyOfDestroyed(t *testing.T, s *reopenable) {
	check := func(want []string) {
		t.Helper()
		for range 2 {
			got := load(t, s, "ada")
			equal(t, "key", got.Key, want)
			equal(t, "listed", listed(t, s, store.ListQuery{Limit: 5})[0].Key, want)
			s.again(t)
		}
	}
	commit(t, s, full(), destroy())
	check(full().Key)
	settle := turn("ada", 3)
	settle.Base, settle.State, settle.Key = nil, nil, nil
	commit(t, s, settle)
	check(nil)
	again := turn("ada", 4)
	again.Base = nil
	commit(t, s, again)
	check(again.Key)
	end := turn("ada", 5)
	end.Base, end.State, end.Key, end.End = nil, nil, nil, store.Destroyed
	after := turn("ada", 6)
	after.Base = nil
	commit(t, s, end, after)
	check(after.Key)
}

func secret(t *testing.T, s *reopenable) {
	made := 0
	get := func(name, value string) string {
		got, err := s.Secret(t.Context(), name, func() []byte { made++; return []byte(value) })
		if err != nil {
			t.Fatalf("Secret %s: %v", name, err)
		}
		again := string(got)
		clear(got)
		return again
	}
	for range 2 {
		if got := get("a", "first\x00\xff") + get("a", "second") + get("b", "third"); got != "first\x00\xfffirst\x00\xffthird" {
			t.Errorf("got %q", got)
		}
		s.again(t)
	}
	if made != 2 {
		t.Errorf("made %d secrets, want 2", made)
	}
	if _, err := s.Secret(t.Context(), "empty", func() []byte { return nil }); err == nil {
		t.Error("an empty secret: got no error")
	}
}

// destroy makes the commit that destroys the actor of full.
func destroy() *store.Commit {
	c := turn("ada", 2, event(2))
	c.Base, c.State, c.End = nil, nil, store.Destroyed
	c.Callers = []store.Caller{{ID: "y", Highest: 5, Used: start.UTC(), Answers: []store.Answer{{Call: 5, Result: json.RawMessage(`1`)}}}}
	c.Messages = []store.Message{message(10)}
	c.Due = start.Add(24 * time.Hour)
	return c
}

func destroyed(t *testing.T, s *reopenable) {
	first := full()
	parked, own := message(6), message(7)
	parked.Parked, own.To = "it failed", ""
	first.Messages = append(first.Messages, parked, own)
	c := destroy()
	commit(t, s, first, c)
	want := snapshotOf(first)
	want.Rev, want.Head, want.State, want.Conns, want.Tables, want.NextConn = 2, 2, nil, nil, nil, c.NextConn
	x := first.Callers[0]
	x.Answers = nil
	want.Callers = []store.Caller{x, c.Callers[0]}
	want.Messages = []store.Message{message(8), message(10)}
	want.Due, want.Changed, want.Tombstone = c.Due.UTC(), c.Time.UTC(), true
	want.Ended = &store.Ended{At: c.Time.UTC(), Order: 9, Log: c.Log}
	for range 2 {
		equal(t, "tombstone", withEmpty(load(t, s, "ada")), withEmpty(want))
		equal(t, "entries", entries(t, s, "ada", 0, 10, 1<<20), []store.Entry(nil))
		equal(t, "items", itemsOf(t, s, "ada", 1), []store.Item(nil))
		if got := listed(t, s, store.ListQuery{Limit: 5}); len(got) != 1 || !got[0].Destroyed || got[0].Conns != 0 || got[0].Bytes != 0 {
			t.Errorf("listed: got %+v", got)
		}
		s.again(t)
	}
	settle := turn("ada", 3)
	settle.State, settle.GoneMessages = nil, []uint64{8, 10}
	commit(t, s, settle)
	if got := load(t, s, "ada"); !got.Tombstone || len(got.Messages) != 0 {
		t.Errorf("after a commit of the tombstone: got %+v", got)
	}
}

func newLife(t *testing.T, s *reopenable) {
	commit(t, s, full(), destroy())
	s.again(t)
	c := setItems("ada", 3, 3)
	c.Log, c.Base, c.Entries = "another log", nil, []store.Entry{event(3)}
	c.Tables[0].ID, c.Items = 2, c.Items[:1]
	c.Items[0].Table = 2
	commit(t, s, c)
	for range 2 {
		got := load(t, s, "ada")
		if got.Tombstone || string(got.State) != string(c.State) || got.Log != c.Log || got.Ended == nil || got.Ended.Log != destroy().Log || got.Rev != 3 {
			t.Errorf("got %+v, ended %+v", got, got.Ended)
		}
		equal(t, "entries", numbers(entries(t, s, "ada", 0, 10, 1<<20)), []uint64{3})
		equal(t, "items of the life before", itemsOf(t, s, "ada", 1), []store.Item(nil))
		equal(t, "items", itemsOf(t, s, "ada", 2), []store.Item{{Key: key(1), Value: []byte(`1`)}})
		s.again(t)
	}
}

func forgotten(t *testing.T, s *reopenable) {
	c := turn("ada", 3)
	c.State, c.End, c.Due = nil, store.Forgotten, store.NoDue
	commit(t, s, full(), destroy(), c)
	for range 2 {
		got, err := s.Load(t.Context(), "ada")
		if err == nil && (!got.Tombstone || got.Rev != 3) || err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("got %+v, %v; want the tombstone or none", got, err)
		}
		s.again(t)
	}
	rev := uint64(0)
	if got, err := s.Load(t.Context(), "ada"); err == nil {
		rev = got.Rev
	}
	again := turn("ada", rev+1)
	again.Base = nil
	commit(t, s, again)
	s.again(t)
	if got := load(t, s, "ada"); got.Tombstone || !bytes.Equal(got.State, again.State) {
		t.Errorf("a new life: got %+v", got)
	}
}

// manyRows is more than a store may keep in one place.
func manyRows(t *testing.T, s *reopenable) {
	const callers, items = 300, 3000
	answer := json.RawMessage(`"` + strings.Repeat("x", 500) + `"`)
	c := setItems("ada", 1, items)
	for i := range callers {
		c.Callers = append(c.Callers, store.Caller{ID: fmt.Sprintf("caller%03d", i), Highest: 1, Used: start.UTC(), Answers: []store.Answer{{Call: 1, Result: answer}}})
	}
	commit(t, s, c)
	want := c.Callers
	for rev := uint64(2); rev < 6; rev++ {
		s.again(t)
		equal(t, "callers", load(t, s, "ada").Callers, want)
		if got := itemsOf(t, s, "ada", 1); len(got) != items || string(got[items-1].Value) != fmt.Sprint(items) {
			t.Errorf("got %d items, want %d", len(got), items)
		}
		next := turn("ada", rev)
		want[rev].Highest, want[rev].Answers = rev, nil
		next.Callers, next.GoneCallers = []store.Caller{want[rev]}, []string{want[0].ID}
		want = want[1:]
		commit(t, s, next)
	}
}
