package storetest

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

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
	want := &store.Snapshot{Actor: "ada", Name: c.Name, Key: c.Key, Log: c.Log, Rev: 1, Head: 2, State: c.State, NextConn: 2, Changed: c.Time.UTC()}
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
	a := store.Conn{Num: 1, ID: "a", Start: 7, Joined: 9, State: json.RawMessage(`{"name":"Ada"}`), Subject: "s"}
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
	x := store.Caller{ID: "x", Highest: 7, Used: start.UTC(), Print: "call", Subject: "s", Answers: []store.Answer{
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
	c.Version, c.Born, c.CallersSince = 3, 1_700_000_000_000_001, 1_700_000_000_000_002
	c.Tables = []store.Table{{ID: 1, Field: "messages", Len: 1, Bytes: 9, Next: 2, Keys: "u"}}
	c.Items = []store.ItemEdit{{Table: 1, Key: key(1), Value: []byte(`"a"`), Version: 3}}
	c.NextMessage, c.Floor = 9, 4
	c.Messages = []store.Message{message(8)}
	c.Senders = []store.Sender{{ID: "bob", Born: 5, Highest: 6, Refused: []store.Answer{{Call: 6, Code: "no", Message: "not so"}}}}
	c.Due = start.Add(time.Hour)
	return c
}

func isolation(t *testing.T, s store.Store) {
	commit(t, s, full())
	snapshot := load(t, s, "ada")
	snapshot.Key[0] = "spoilt"
	snapshot.Conns[0].ID = "spoilt"
	snapshot.Callers[0].Highest = 99
	snapshot.Callers[0].Answers[0].Code = "spoilt"
	snapshot.Tables[0].Len = 99
	snapshot.Messages[0].Key[0] = "spoilt"
	snapshot.Senders[0].Refused[0].Code = "spoilt"
	page := page(t, s, "ada", store.ItemRange{Table: 1, Limit: 10, MaxBytes: 1 << 20})
	page.Items[0].Version = 99
	got := entries(t, s, "ada", 0, 10, 1<<20)
	got[0].Seq, got[0].Target.Conns[0] = 99, 99

	want := full()
	equal(t, "snapshot", load(t, s, "ada"), snapshotOf(want))
	equal(t, "entries", entries(t, s, "ada", 0, 10, 1<<20), want.Entries)
	equal(t, "items", itemsOf(t, s, "ada", 1), []store.Item{{Key: key(1), Value: []byte(`"a"`), Version: 3}})
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
	c.Messages[0].Key[0] = "spoilt"
	c.Senders[0].Refused[0] = store.Answer{}

	want := full()
	equal(t, "snapshot", load(t, s, "ada"), snapshotOf(want))
	equal(t, "entries", entries(t, s, "ada", 0, 10, 1<<20), want.Entries)
}

// snapshotOf is what Load returns after c alone.
func snapshotOf(c *store.Commit) *store.Snapshot {
	s := &store.Snapshot{
		Actor: c.Actor, Name: c.Name, Key: c.Key, Log: c.Log, Rev: c.Rev,
		Head: uint64(len(c.Entries)), State: c.State, NextConn: c.NextConn, Conns: c.Conns, Callers: c.Callers,
		Version: c.Version, Born: c.Born, CallersSince: c.CallersSince, Tables: c.Tables,
		NextMessage: c.NextMessage, Floor: c.Floor, Messages: c.Messages, Senders: c.Senders, Changed: c.Time.UTC(),
	}
	if !c.Due.IsZero() {
		s.Due = c.Due.UTC()
	}
	return withEmpty(s)
}

// withEmpty is s as it is compared: an empty slice is a nil one.
func withEmpty(s *store.Snapshot) *store.Snapshot {
	if len(s.Conns) == 0 {
		s.Conns = nil
	}
	if len(s.Callers) == 0 {
		s.Callers = nil
	}
	if len(s.Tables) == 0 {
		s.Tables = nil
	}
	if len(s.Messages) == 0 {
		s.Messages = nil
	}
	if len(s.Senders) == 0 {
		s.Senders = nil
	}
	if len(s.State) == 0 {
		s.State = nil
	}
	return s
}
