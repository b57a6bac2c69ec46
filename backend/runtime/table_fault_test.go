package runtime_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// itemStore fails to read items while it has an error.
type itemStore struct {
	store.Store
	fail  atomic.Pointer[error]
	loads atomic.Int64
}

func (s *itemStore) Items(ctx context.Context, actor string, r store.ItemRange) (store.ItemPage, error) {
	if err := s.fail.Load(); err != nil {
		return store.ItemPage{}, *err
	}
	return s.Store.Items(ctx, actor, r)
}

func (s *itemStore) Load(ctx context.Context, id string) (*store.Snapshot, error) {
	s.loads.Add(1)
	return s.Store.Load(ctx, id)
}

// files has a table whose reads fail.
type files struct {
	Changes int                         `json:"changes"`
	Files   actor.Table[uint64, string] `json:"files"`
}

func (f *files) Add(_ *archiveContext, text string) uint64 { f.Changes++; return f.Files.Append(text) }

// Change changes the state and reads; it carries on whatever the read does.
func (f *files) Change(*archiveContext) int {
	f.Changes++
	f.Files.Append("x")
	func() {
		defer func() { _ = recover() }()
		f.Files.Get(1)
	}()
	return f.Changes
}

func (f files) Get(*archiveContext) int { return f.Changes }

func (f files) Len(*archiveContext) int { return f.Files.Len() }

func (f files) Write(*archiveContext) { f.Files.Append("x") }

func (f files) Read(_ *archiveContext, key uint64) string { v, _ := f.Files.Get(key); return v }

func (f files) Page(*archiveContext) actor.Page[uint64, string] {
	return f.Files.Page(actor.Before[uint64](nil), 10)
}

// Outside uses the table on another goroutine.
func (f *files) Outside(*archiveContext) int {
	table := f.Files
	go func() {
		<-outside
		table.Set(9, "x")
		outsideLen <- table.Len()
	}()
	return f.Files.Len()
}

var (
	outside    chan struct{} // closed when the turn is over
	outsideLen chan int
)

// numberFiles are files whose items have become numbers.
type numberFiles struct {
	Changes int                      `json:"changes"`
	Files   actor.Table[uint64, int] `json:"files"`
}

func (f numberFiles) Read(_ *archiveContext, key uint64) int { v, _ := f.Files.Get(key); return v }

func (f *numberFiles) Add(_ *archiveContext, n int) uint64 { return f.Files.Append(n) }

func (f numberFiles) Page(*archiveContext) actor.Page[uint64, int] {
	return f.Files.Page(actor.Before[uint64](nil), 10)
}

// noFiles are files without the table.
type noFiles struct {
	Changes int `json:"changes"`
}

func (f *noFiles) Touch(*archiveContext) { f.Changes++ }

// withOnRestore reads its table where it cannot.
type withOnRestore struct {
	Changes int                         `json:"changes"`
	Files   actor.Table[uint64, string] `json:"files"`
}

func (f *withOnRestore) OnRestore()             { f.Files.Len() }
func (f withOnRestore) Get(*archiveContext) int { return f.Changes }

// untidy changes its table in OnRestore, which also runs when a turn or a hook is undone.
type untidy struct {
	Changes int                         `json:"changes"`
	Files   actor.Table[uint64, string] `json:"files"`
}

func (u *untidy) OnRestore()                         { u.Files.Append("from OnRestore") }
func (u *untidy) OnDisconnect(*archiveContext) error { u.Changes++; return errDisk }
func (u *untidy) Fail(*archiveContext) error         { u.Changes++; return errDisk }
func (u *untidy) Change(*archiveContext)             { u.Changes++ }
func (u untidy) Len(*archiveContext) int             { return u.Files.Len() }
func (u *untidy) End(c *archiveContext) {
	u.Files.Append("kept")
	for conn := range c.Conns() {
		conn.Disconnect("over")
	}
}

var (
	filesRef     = host.Ref{Name: "files", Key: host.Key{"a"}}
	fileVersions = actor.NewRegistry(actor.Define[files]("files"))
)

// A turn whose read of a table fails has no effect, even if it carries on; and the actor works
// again when its store does. If another process has the actor, it is loaded again.
func TestTable_ReadsThatFail(t *testing.T) {
	for name, err := range map[string]error{"the disk": errDisk, "another process": store.ErrConflict} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := &itemStore{Store: memory.New(memory.Options{})}
				b := newBench(t, s, fileVersions)
				if _, err := result[uint64](b, filesRef, "add", "one"); err != nil {
					t.Fatal(err)
				}
				b.restart()
				if got, err := result[int](b, filesRef, "get"); got != 1 || err != nil {
					t.Fatalf("got %d, %v; want 1", got, err)
				}
				s.fail.Store(&err)
				loads := s.loads.Load()
				if _, err := result[int](b, filesRef, "change"); code(err) != "unavailable" {
					t.Errorf("a turn whose read fails: got %v, want unavailable", err)
				}
				advance()
				advance()
				advance()
				if got, err := result[int](b, filesRef, "get"); got != 1 || err != nil {
					t.Errorf("after it: got %d changes, %v; want 1", got, err)
				}
				if again := s.loads.Load() > loads; again != (err == store.ErrConflict) {
					t.Errorf("the actor was loaded again: %t", again)
				}
				s.fail.Store(nil)
				if got, err := result[int](b, filesRef, "change"); got != 2 || err != nil {
					t.Errorf("when the store works: got %d, %v; want 2", got, err)
				}
				if got, err := result[int](b, filesRef, "len"); got != 2 || err != nil {
					t.Errorf("items: got %d, %v; want 2", got, err)
				}
			})
		})
	}
}

// An item that does not fit its type fails only the turns that ask for it by its key, which is
// logged once. A binary that does not know a table keeps it.
func TestTable_OtherVersions(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, fileVersions)
		for _, text := range []string{"one", "two"} {
			if _, err := result[uint64](b, filesRef, "add", text); err != nil {
				t.Fatal(err)
			}
		}
		b.reg = actor.NewRegistry(actor.Define[noFiles]("files"))
		b.restart()
		if _, err := result[any](b, filesRef, "touch"); err != nil {
			t.Fatal(err)
		}
		b.reg = actor.NewRegistry(actor.Define[numberFiles]("files"))
		b.restart()
		if key, err := result[uint64](b, filesRef, "add", 3); key != 3 || err != nil {
			t.Errorf("a key after those of another version: got %d, %v; want 3", key, err)
		}
		for range 2 {
			if _, err := result[int](b, filesRef, "read", 1); code(err) != "state_incompatible" {
				t.Errorf("an item that is no number: got %v, want state_incompatible", err)
			}
			page, err := result[actor.Page[uint64, int]](b, filesRef, "page")
			if err != nil || len(page.Items) != 1 || page.Items[0].Value != 3 {
				t.Errorf("a page: got %+v, %v; want the item 3 alone", page, err)
			}
		}
		if got := b.node.Stats().UndecodableItems; got != 2 {
			t.Errorf("got %d items that cannot be decoded, want 2", got)
		}
		if got := strings.Count(b.log.String(), "cannot be decoded"); got != 2 {
			t.Errorf("got %d lines about them, want 2:\n%s", got, b.log.String())
		}
		b.reg = fileVersions
		b.restart()
		page, err := result[json.RawMessage](b, filesRef, "page")
		if err != nil || !strings.Contains(string(page), `"one"`) || !strings.Contains(string(page), `"two"`) {
			t.Errorf("in the first version: got %s, %v; want both items", page, err)
		}
	})
}

// A table is for turns, for those that may change something if it is changed.
func TestTable_Misuse(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, fileVersions)
		if _, err := result[uint64](b, filesRef, "add", "one"); err != nil {
			t.Fatal(err)
		}
		if _, err := result[any](b, filesRef, "write"); code(err) != "internal_error" || !strings.Contains(b.log.String(), "read-only action") {
			t.Errorf("a read-only action that appends: got %v and the log\n%s", err, b.log.String())
		}
		outside, outsideLen = make(chan struct{}), make(chan int, 1)
		if _, err := result[int](b, filesRef, "outside"); err != nil {
			t.Fatal(err)
		}
		close(outside)
		synctest.Wait()
		if got := <-outsideLen; got != 0 || !strings.Contains(b.log.String(), "a Table was used outside a turn") {
			t.Errorf("outside a turn: got %d items and the log\n%s", got, b.log.String())
		}
		if got, err := result[int](b, filesRef, "len"); got != 1 || err != nil {
			t.Errorf("after all that: got %d items, %v; want 1", got, err)
		}
		b.reg = actor.NewRegistry(actor.Define[withOnRestore]("files"))
		b.restart()
		if _, err := result[int](b, filesRef, "get"); err == nil || !strings.Contains(b.log.String(), "in place of OnRestore OnStart") {
			t.Errorf("in OnRestore: got %v and the log\n%s", err, b.log.String())
		}
	})
}

// G7: OnRestore runs when a turn or a hook is undone, and cannot add to what is undone.
func TestG7_OnRestoreDoesNotChangeTables(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		ref := host.Ref{Name: "untidy", Key: host.Key{"a"}}
		b := newBench(t, nil, actor.NewRegistry(actor.Define[untidy]("untidy")))
		if _, err := result[any](b, ref, "change"); err != nil {
			t.Fatal(err)
		}
		if _, err := result[any](b, ref, "fail"); code(err) != "internal_error" {
			t.Errorf("got %v, want internal_error", err)
		}
		b.open(ref, asAda)
		if _, err := result[any](b, ref, "end"); err != nil {
			t.Error(err)
		}
		if got, err := result[int](b, ref, "len"); got != 1 || err != nil {
			t.Errorf("got %d items, %v; want the one that the action has added", got, err)
		}
		if got := strings.Count(b.log.String(), "in place of OnRestore OnStart"); got != 2 {
			t.Errorf("got %d lines about OnRestore, want 2:\n%s", got, b.log.String())
		}
	})
}
