package sqlite_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/internal/overlay"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// An actor that is imported again, with another state, other callers and other items, is
// stored as it was imported last, also when the store is opened again.
func TestImport(t *testing.T) {
	dir := t.TempDir()
	s, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	imported := func(rev uint64, size, callers, items int) {
		t.Helper()
		snapshot := &store.Snapshot{
			Name: "room", Key: []string{"a"}, Log: fmt.Sprint("log", rev), Rev: rev, Head: rev, State: fmt.Appendf(nil, "%q", bytes.Repeat([]byte("s"), size)),
			NextConn: 1, Changed: time.UnixMilli(int64(rev)), Tables: []store.Table{{ID: 1, Field: "posts", Len: int64(items)}},
		}
		for i := range callers {
			snapshot.Callers = append(snapshot.Callers, store.Caller{ID: fmt.Sprintf("caller%04d", i), Highest: rev, Used: time.UnixMilli(1).UTC()})
		}
		rec := record.Of(snapshot)
		rec.Wiped = rev
		for i := range items {
			rec.Items.Set(1, overlay.Item{Item: store.Item{Key: fmt.Appendf(nil, "%04d", i), Value: fmt.Append(nil, rev)}, Rev: rev})
		}
		if err := s.Import(t.Context(), "ada", rec); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got, err := s.Load(t.Context(), "ada")
			if err != nil {
				t.Fatal(err)
			}
			if got.Rev != rev || got.Log != snapshot.Log || !bytes.Equal(got.State, snapshot.State) || len(got.Callers) != callers || callers > 0 && got.Callers[0].Highest != rev {
				t.Errorf("got revision %d, log %s, %d bytes, %d callers", got.Rev, got.Log, len(got.State), len(got.Callers))
			}
			page, err := s.Items(t.Context(), "ada", store.ItemRange{Table: 1, Limit: 10_000, MaxBytes: 1 << 30})
			if err != nil || len(page.Items) != items || items > 0 && string(page.Items[0].Value) != fmt.Sprint(rev) {
				t.Errorf("got %d items, want %d, error %v", len(page.Items), items, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s, err = sqlite.Open(t.Context(), dir, sqlite.Options{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	imported(5, 3<<20, 500, 3000)
	imported(9, 10, 3, 20)
	imported(12, 2<<20, 400, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A caller that is gone since an actor was imported is not there when it is imported again with what
// has changed.
func TestImport_callersThatAreGone(t *testing.T) {
	s := open(t, t.TempDir(), quiet)
	snapshot := &store.Snapshot{Name: "room", Key: []string{"a"}, Log: "l", Rev: 5, State: []byte("{}"), NextConn: 1}
	for i := range 200 { // so many have rows
		snapshot.Callers = append(snapshot.Callers, store.Caller{ID: fmt.Sprintf("caller%04d", i), Highest: 1, Used: startTime})
	}
	rec := record.Of(snapshot)
	rec.Wiped = 5
	if err := s.Import(t.Context(), "ada", rec); err != nil {
		t.Fatal(err)
	}
	got, err := s.Load(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	rec = record.Of(got)
	rec.Apply(&store.Commit{
		Actor: "ada", Name: "room", Key: []string{"a"}, Log: "l", Rev: 6, Time: startTime, NextConn: 1, State: []byte("{}"),
		GoneCallers: []string{"caller0007"},
	})
	if err := s.Import(t.Context(), "ada", rec); err != nil {
		t.Fatal(err)
	}
	got, err = s.Load(t.Context(), "ada")
	if err != nil || len(got.Callers) != 199 || slices.ContainsFunc(got.Callers, func(c store.Caller) bool { return c.ID == "caller0007" }) {
		t.Errorf("%d callers, error %v, want 199 without the one that is gone", len(got.Callers), err)
	}
	closeStore(t, s)
}
