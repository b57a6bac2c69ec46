package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// fillForView commits some actors: large and small ones, with edits and items.
func fillForView(t *testing.T, s store.Store, rev uint64) {
	for i := range 20 {
		c := &store.Commit{
			Actor: fmt.Sprint("actor", i), Name: "note", Key: []string{fmt.Sprint(i)}, Log: "log", Rev: rev, Time: startTime.Add(time.Duration(rev)), NextConn: 1, Version: 2,
			State: []byte(fmt.Sprintf(`{"n":%d,"text":%q}`, rev, strings.Repeat("x", i*i*i*i*10))),
			Conns: []store.Conn{{Num: uint32(rev), ID: fmt.Sprint("conn", rev), State: []byte(`{}`), Version: 1}},
		}
		if rev > 1 && i%2 == 0 {
			c.State, c.Edits = nil, []store.Edit{{At: len(`{"n":`), Cut: 1, Put: []byte(fmt.Sprint(rev % 10))}}
		}
		c.Tables = []store.Table{{ID: 1, Field: "rows", Len: int64(rev), Bytes: int64(5 * rev), Next: rev}}
		c.Items = []store.ItemEdit{{Table: 1, Key: fmt.Appendf(nil, "%03d", rev), Value: []byte("[]")}}
		commit(t, s, c)
	}
}

// sameAsStore checks that a View of path has what a store has.
func sameAsStore(t *testing.T, path string, s store.Store) {
	t.Helper()
	v, err := sqlite.OpenView(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := v.Count(t.Context()); n != 20 || err != nil {
		t.Errorf("Count: got %d, %v, want 20", n, err)
	}
	n := 0
	err = v.Actors(t.Context(), func(a sqlite.Viewed) bool {
		n++
		want, err := s.Load(t.Context(), a.Snapshot.Actor)
		if err != nil || a.Err != nil {
			t.Fatal(err, a.Err)
		}
		if !reflect.DeepEqual(a.Snapshot, want) {
			t.Errorf("got %+v, want %+v", a.Snapshot, want)
		}
		r := store.ItemRange{Table: 1, Backward: true, Limit: 3, MaxBytes: 1000}
		items, err := v.Items(t.Context(), a, r)
		if wantItems, wantErr := s.Items(t.Context(), a.Snapshot.Actor, r); err != nil || wantErr != nil || !reflect.DeepEqual(items.Items, wantItems.Items) || items.More != wantItems.More {
			t.Errorf("items: got %v, %v, want %v, %v", items, err, wantItems, wantErr)
		}
		return true
	})
	if err != nil || n != 20 {
		t.Errorf("got %d actors, %v, want 20", n, err)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
}

// TestView: it shows what a store has while that is open, after it was closed or killed,
// and what a backup has.
func TestView(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, quiet.WithClock(newClock().now)) // nothing is written while crashed copies the files
	for rev := range uint64(5) {
		fillForView(t, s, rev+1)
	}
	sameAsStore(t, dir, s)
	file := filepath.Join(t.TempDir(), "backup")
	if err := sqlite.Backup(t.Context(), dir, file); err != nil {
		t.Fatal(err)
	}
	sameAsStore(t, file, s)
	sameAsStore(t, crashed(t, dir), s)
	closeStore(t, s)
	before, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	v, err := sqlite.OpenView(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadDir(dir); err != nil || len(after) != len(before) {
		t.Errorf("opening a View changed the directory: %v, before %v, %v", after, before, err)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	s = open(t, dir, quiet)
	defer closeStore(t, s)
	sameAsStore(t, dir, s)
	fillForView(t, s, 6)
	sameAsStore(t, dir, s)
}

// TestView_ofOneMoment: it does not show what is committed while it is open.
func TestView_ofOneMoment(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, quiet)
	defer closeStore(t, s)
	fillForView(t, s, 1)
	v, err := sqlite.OpenView(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	fillForView(t, s, 2)
	err = v.Actors(t.Context(), func(a sqlite.Viewed) bool {
		if a.Err != nil || a.Snapshot.Rev != 1 {
			t.Errorf("got %+v, want revision 1", a)
		}
		return true
	})
	if err != nil {
		t.Error(err)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
}

func TestView_refuses(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir:                          "there is no store at",
		filepath.Join(dir, "nobody"): "name the server's data directory or a backup",
		text:                         "not a database",
	} {
		if _, err := sqlite.OpenView(t.Context(), path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	s := open(t, dir, quiet)
	closeStore(t, s)
	v, err := sqlite.OpenView(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, quiet)
	if err := v.Close(); err == nil || !strings.Contains(err.Error(), "a server has opened") {
		t.Errorf("opened while a View assumed that nobody writes: got %v", err)
	}
	closeStore(t, s)
}
