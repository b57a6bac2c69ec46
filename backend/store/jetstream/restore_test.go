package jetstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// viewed is a sqlite.View as a Source.
type viewed struct {
	*sqlite.View
	before func(n int) error // it is called before each actor; may be nil
}

func (v viewed) Actors(ctx context.Context, f func(Stored) error) (failed error) {
	n := 0
	err := v.View.Actors(ctx, func(a sqlite.Viewed) bool {
		if n++; a.Err != nil {
			failed = a.Err
		} else if v.before != nil {
			failed = v.before(n)
		}
		if failed == nil {
			failed = f(Stored{a.Snapshot, func(ctx context.Context, q store.ItemRange) (store.ItemPage, error) {
				return v.View.Items(ctx, a, q)
			}})
		}
		return failed == nil
	})
	return errors.Join(err, failed)
}

// fullStore makes a SQLite store with everything that an actor may have, and returns its
// directory.
func fullStore(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "full")
	s, err := sqlite.Open(t.Context(), dir, sqlite.Options{Logger: quiet.Logger})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Secret(t.Context(), "session.key", func() []byte { return []byte("of the backup") }); err != nil {
		t.Fatal(err)
	}
	now := time.Now().Truncate(time.Millisecond)
	full := commitOf("full", 1)
	full.Version, full.Born, full.NextConn, full.NextMessage, full.Floor = 3, 17, 5, 900, 4
	full.Conns = []store.Conn{{Num: 4, ID: "conn", State: json.RawMessage(`{"name":"Ada"}`)}}
	full.Callers = []store.Caller{{ID: "caller", Highest: 7, Used: now}}
	full.Senders = []store.Sender{{ID: "other", Born: 3, Highest: 12}}
	full.Messages = []store.Message{
		{ID: 801, Order: 801, Type: "ring", Data: json.RawMessage(`"later"`), Due: now.Add(time.Hour)},
		{ID: 802, Order: 802, To: "other", Name: "room", Key: []string{"b"}, Type: "pay", Data: json.RawMessage("5"), Parked: "because", Tries: 10},
	}
	full.Due = now.Add(time.Hour)
	full.Tables = []store.Table{{ID: 1, Field: "long", Len: 2000, Next: 2001}, {ID: 2, Field: "short", Len: 1}, {ID: 3, Field: "empty"}}
	for i := range 2000 { // more than is read at once
		full.Items = append(full.Items, store.ItemEdit{Table: 1, Key: fmt.Appendf(nil, "k%05d", i), Value: fmt.Appendf(nil, `{"n":%d,"x":"%s"}`, i, strings.Repeat("x", 700)), Version: 2})
	}
	full.Items = append(full.Items, store.ItemEdit{Table: 2, Key: []byte("k"), Value: []byte("1")})
	large := commitOf("large", 1)
	large.State = []byte(`"` + strings.Repeat("y", 1<<20) + `"`)
	commit(t, s, full, large, commitOf("gone", 1))
	ended := commitOf("gone", 2)
	ended.State, ended.End, ended.Due = nil, store.Destroyed, now.Add(2*time.Hour)
	commit(t, s, ended)
	for i := range 40 {
		commit(t, s, commitOf(fmt.Sprint("small", i), 1), commitOf(fmt.Sprint("small", i), 2))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// contents is all that a store has of actors, without the identities of their logs.
func contents(t *testing.T, s store.Store) map[string]any {
	t.Helper()
	all := map[string]any{}
	// First what is known without loading anything.
	due, err := s.Due(t.Context(), store.Wake{}, time.Now().Add(24*time.Hour), 100)
	if err != nil {
		t.Fatal(err)
	}
	var connected []string
	if err := s.Connected(t.Context(), store.AllPartitions, func(actor string) bool { connected = append(connected, actor); return true }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(connected)
	all["due"], all["connected"] = due, connected
	for q := (store.ListQuery{Limit: 10}); ; {
		page, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range page.Actors {
			got, err := s.Load(t.Context(), info.Actor)
			if err != nil {
				t.Fatal(err)
			}
			if got.Log == "" {
				t.Errorf("the log of %s has no identity", info.Actor)
			}
			if got.Log = ""; len(got.State) == 0 {
				got.State = nil // a tombstone has none
			}
			if got.Ended != nil {
				got.Ended.Log = ""
			}
			all[info.Actor] = got
			info.Bytes, info.Changed = 0, info.Changed.Truncate(time.Millisecond)
			all["info of "+info.Actor] = info
			for _, table := range got.Tables {
				items, err := s.Items(t.Context(), info.Actor, store.ItemRange{Table: table.ID, Limit: 1 << 20, MaxBytes: 1 << 30})
				if err != nil {
					t.Fatal(err)
				}
				all[fmt.Sprint(info.Actor, " table ", table.ID)] = items.Items
			}
		}
		if q.After = page.Next; page.Next == "" {
			break
		}
	}
	return all
}

// normal is what is compared: times and numbers as JSON has them.
func normal(t *testing.T, of any) any {
	t.Helper()
	text, err := json.Marshal(of)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func sameContents(t *testing.T, what string, got, want map[string]any) {
	t.Helper()
	for name := range want {
		if g, w := normal(t, got[name]), normal(t, want[name]); !reflect.DeepEqual(g, w) {
			t.Errorf("%s: %s:\ngot  %.600v\nwant %.600v", what, name, g, w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d things, want %d", what, len(got), len(want))
	}
}

func openView(t *testing.T, dir string) viewed {
	t.Helper()
	v, err := sqlite.OpenView(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() }) // a test that fails leaves it open
	return viewed{v, nil}
}

// What is in a SQLite store is in a cluster after a restore, and in a SQLite store again after a
// backup of that.
func TestRestore(t *testing.T) {
	dir := fullStore(t)
	s, err := sqlite.Open(t.Context(), dir, sqlite.Options{Logger: quiet.Logger})
	if err != nil {
		t.Fatal(err)
	}
	want := contents(t, s)
	logs := map[string]string{}
	for actor := range want {
		if snapshot, err := s.Load(t.Context(), actor); err == nil {
			logs[actor] = snapshot.Log
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	p := oneServer(t).newPlace(quiet)
	defer func() { p.remove(t) }() // there is another one at the end
	n, err := Restore(t.Context(), p.connect(t), p.Options, openView(t, dir))
	if err != nil || n != len(logs) {
		t.Fatalf("%d of %d actors were restored, error %v", n, len(logs), err)
	}
	node := p.takeOver(t)
	sameContents(t, "restored", contents(t, node), want)
	for actor, log := range logs {
		if snapshot, err := node.Load(t.Context(), actor); err != nil || snapshot.Log == log {
			t.Errorf("the log of %s has the identity that it had: what clients have seen since is not in it (%v)", actor, err)
		}
	}
	if value, err := node.Secret(t.Context(), "session.key", func() []byte { return []byte("another") }); err != nil || string(value) != "of the backup" {
		t.Errorf("the secret is %q, error %v", value, err)
	}
	journals, err := node.Journals(t.Context())
	if err != nil || len(journals) != 1 {
		t.Errorf("the restore has left journals: %v, error %v", journals, err)
	}
	names, err := actorPages{node.heads, "full", true}.List(t.Context())
	if err != nil || len(names) < 3 {
		t.Errorf("the pages are %v, error %v", names, err)
	}
	commit(t, node, commitOf("small1", 3))
	if got, err := node.Load(t.Context(), "small1"); err != nil || got.Rev != 3 || !bytes.Equal(got.State, stateAt(3)) {
		t.Errorf("after a commit: got %+v, error %v", got, err)
	}
	want = contents(t, node)
	back, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "back"), sqlite.Options{Logger: quiet.Logger})
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close() // it is thrown away
	if err := Backup(t.Context(), p.connect(t), p.Options, back); err != nil {
		t.Fatal(err)
	}
	sameContents(t, "backed up again", contents(t, back), want)
	if got := barriers(t, node); len(got) != 1 {
		t.Errorf("a backup and a restore have left the barriers %q", got)
	}

	// There are actors now.
	for range 2 { // in heads, and then in a journal only
		if _, err := Restore(t.Context(), p.connect(t), p.Options, openView(t, dir)); !errors.Is(err, ErrNotEmpty) {
			t.Errorf("a restore over actors: got %v, want %v", err, ErrNotEmpty)
		}
		if err := node.Prove(t.Context()); err != nil {
			t.Errorf("a node lives under a restore that is refused: %v", err)
		}
		p.remove(t)
		p = oneServer(t).newPlace(quiet)
		node = p.takeOver(t)
		commit(t, node, commitOf("ada", 1))
	}
}

// A restore that was interrupted keeps nodes away until another one has done its work. One that
// still runs is left alone.
func TestRestore_interrupted(t *testing.T) {
	dir := fullStore(t)
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	p.Lease = 400 * time.Millisecond // the first one writes to its journal all the time
	patient := p.Options
	patient.Lease = 20 * time.Second // on a machine that is busy the first one is silent for a while
	// A node without actors loses its journal, and cannot join again.
	node := p.takeOver(t)
	stop := errors.New("stop")
	view := openView(t, dir)
	view.before = func(n int) error {
		if n < 20 {
			return nil
		}
		if err := node.Prove(t.Context()); !errors.Is(err, store.ErrConflict) {
			t.Errorf("a node that was there: got %v, want ErrConflict", err)
		}
		if testing.Short() {
			return stop // the other one would wait for a lease
		}
		if _, err := Restore(t.Context(), p.connect(t), patient, openView(t, dir)); err == nil || !strings.Contains(err.Error(), "another restore is under way") {
			t.Errorf("a second restore: got %v", err)
		}
		return stop
	}
	if _, err := Restore(t.Context(), p.connect(t), p.Options, view); !errors.Is(err, stop) {
		t.Fatalf("got %v, want %v", err, stop)
	}
	if s, err := Open(t.Context(), p.connect(t), p.Options); !errors.Is(err, errRestoring) {
		if err == nil {
			s.crash()
		}
		t.Fatalf("a node in streams that are half filled: got %v, want %v", err, errRestoring)
	}
	if err := Backup(t.Context(), p.connect(t), p.Options, nil); !errors.Is(err, errRestoring) {
		t.Errorf("a backup of streams that are half filled: got %v, want %v", err, errRestoring)
	}
	// What the first one has written that the second one does not have is removed.
	nc := p.connect(t)
	if _, err := nc.Request(node.heads.head("room", "other"), []byte("1"), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	n, err := Restore(t.Context(), nc, p.Options, openView(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	if all := contents(t, p.takeOver(t)); n != 43 || all["small39"] == nil || all["full table 1"] == nil {
		t.Errorf("%d actors were restored", n)
	}
}

// A restore that stops before it knows whether there are actors does not remove them.
func TestRestore_looksFirst(t *testing.T) {
	dir := fullStore(t)
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	s := p.takeOver(t)
	if _, err := s.publish(t.Context(), &nats.Msg{Subject: s.markerSubject(), Data: []byte(`{"By":"killed"}`)}); err != nil {
		t.Fatal(err)
	}
	commit(t, s, commitOf("ada", 1))
	if _, err := Restore(t.Context(), p.connect(t), p.Options, openView(t, dir)); !errors.Is(err, ErrNotEmpty) {
		t.Fatalf("got %v, want %v", err, ErrNotEmpty)
	}
	expectRev(t, p.takeOver(t), "ada", 1) // and the marker is gone
}

// A head that another restore has written meanwhile, which was thought to be dead, is found.
func TestRestore_counts(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	nc := p.connect(t)
	view := openView(t, fullStore(t))
	names, err := namesIn(p.Space)
	if err != nil {
		t.Fatal(err)
	}
	view.before = func(n int) error {
		if n != 30 {
			return nil
		}
		_, err := nc.Request(names.head("room", "other"), []byte("1"), 10*time.Second)
		return err
	}
	if _, err := Restore(t.Context(), nc, p.Options, view); err == nil || !strings.Contains(err.Error(), "another restore has written") {
		t.Errorf("got %v", err)
	}
}
