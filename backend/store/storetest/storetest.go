// Package storetest is the suite that every store.Store passes, and a store whose
// commits a test delays or fails, for tests of code that uses a store.
package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// Run checks that the stores that open returns keep every rule of store.Store.
// Each call of open returns an empty store that retains everything that the suite
// writes (a few MiB within some seconds); Run closes it. reopen closes a store
// and returns one with its data, as after a restart.
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
		{"connections join, change and leave", connections},
		{"callers are kept with their answers", callers},
		{"a revision that does not follow is a conflict, and nothing of it is kept", conflict},
		{"a failed commit fails those of its actor that follow in the group, no others", failedGroup},
		{"a group may hold several commits of an actor", severalOfOneActor},
		{"entries come in order, with their content and the time of their commit", entriesWhole},
		{"entries come up to a limit", entriesLimit},
		{"entries come up to a size, but at least one", entriesSize},
		{"entries that do not follow the head are refused", entriesGap},
		{"replies to a caller are found without its other entries, also when reopened", with(replies)},
		{"actors do not see one another", twoActors},
		{"changing a result changes nothing stored", isolation},
		{"a reused Commit changes nothing stored", reusedCommit},
		{"Connected finds the actors with connections", connected},
		{"Connected stops when f returns false, and f may use the store", connectedStops},
		{"Connected finds those of one partition", connectedPartition},
		{"a commit keeps what it does not have", keepsTheRest},
		{"items come by ranges of keys, in both directions", itemRanges},
		{"items come up to a limit and a size, but at least one", itemLimits},
		{"a dropped table has no items, and keeps its ID", droppedTable},
		{"messages and senders come and go", messages},
		{"Due finds actors in the order of their times, by pages", due},
		{"List finds actors by name and by the beginning of their keys, by pages", list},
		{"Names counts the actors of each definition", names},
		{"a secret is made once", with(secret)},
		{"a destroyed actor is a tombstone, also when reopened", with(destroyed)},
		{"a destroyed actor begins a new life, also when reopened", with(newLife)},
		{"a forgotten tombstone goes, or its next commit follows", with(forgotten)},
		{"Names leaves tombstones out, also when reopened", with(namesOfDestroyed)},
		{"a tombstone has the key of its newest commit, also when reopened", with(keyOfDestroyed)},
		{"many callers and many items survive reopening", with(manyRows)},
		{"all methods may be called at the same time", concurrent},
		{"everything survives reopening", with(survives)},
		{"an empty store is still empty when reopened", with(reopenedEmpty)},
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

// start is the time of the suite's first commit. Stores may round times to
// milliseconds.
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

// commitAndReuse commits a copy of a group and then overwrites everything that a
// caller may reuse. The group itself stays unchanged.
func commitAndReuse(t *testing.T, s store.Store, group []*store.Commit) []error {
	t.Helper()
	passed := make([]*store.Commit, len(group))
	for i, c := range group {
		again := *c
		again.Key, again.Gone, again.GoneCallers = slices.Clone(c.Key), slices.Clone(c.Gone), slices.Clone(c.GoneCallers)
		again.Tables, again.Items, again.Messages, again.Senders = slices.Clone(c.Tables), slices.Clone(c.Items), slices.Clone(c.Messages), slices.Clone(c.Senders)
		again.GoneMessages, again.GoneSenders = slices.Clone(c.GoneMessages), slices.Clone(c.GoneSenders)
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
		clear(c.Tables)
		clear(c.Items)
		clear(c.Messages)
		clear(c.Senders)
		clear(c.GoneMessages)
		clear(c.GoneSenders)
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
			if err := s.Connected(context.Background(), store.AllPartitions, func(string) bool { return true }); err != nil {
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
