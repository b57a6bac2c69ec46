package jetstream

import (
	"context"
	"fmt"
	"testing"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/pages"
)

// keptPages are pages in memory.
type keptPages map[pages.Name][]byte

func (k keptPages) Get(_ context.Context, names []pages.Name) (all [][]byte, err error) {
	for _, n := range names {
		all = append(all, k[n])
	}
	return all, nil
}

func (k keptPages) Put(_ context.Context, all []pages.Page) error {
	for _, p := range all {
		k[p.Name] = p.Data
	}
	return nil
}

func (k keptPages) Delete(context.Context, []pages.Name) error { return nil }
func (k keptPages) List(context.Context) ([]pages.Name, error) { return nil, nil }

// The directories that were used last are kept, as far as there is room; leaves and damaged pages
// are not.
func TestDirectories(t *testing.T) {
	made, n := keptPages{}, uint64(0)
	var edits []store.Item
	for i := range 6000 {
		edits = append(edits, store.Item{Key: fmt.Appendf(nil, "key %06d", i), Value: make([]byte, 5000)})
	}
	if _, err := pages.Fold(t.Context(), made, pages.Root{}, edits, func() pages.Name { n++; return pages.Name{Slot: 1, N: n} }); err != nil {
		t.Fatal(err)
	}
	var dirs []pages.Name
	d := newDirectories()
	for name, data := range made {
		d.put("ada", name, data)
		if pages.IsDirectory(name, data) {
			dirs = append(dirs, name)
		}
	}
	if len(dirs) < 3 || len(d.pages) != len(dirs) {
		t.Fatalf("%d pages are kept, of %d directories", len(d.pages), len(dirs))
	}
	for _, name := range dirs {
		if d.get("ada", name) == nil || d.get("bob", name) != nil {
			t.Errorf("directory %v: ada's has %d bytes, bob's %d", name, len(d.get("ada", name)), len(d.get("bob", name)))
		}
	}
	damaged := append([]byte(nil), made[dirs[0]]...)
	damaged[len(damaged)-1]++
	if d.put("bob", dirs[0], damaged); d.get("bob", dirs[0]) != nil {
		t.Error("a damaged page is kept")
	}

	d = newDirectories()
	d.most = len(made[dirs[0]]) + len(made[dirs[1]]) + len(made[dirs[2]]) - 1
	for _, i := range []int{0, 1, 0, 2} { // the first is used again before the third comes
		if d.get("ada", dirs[i]) == nil {
			d.put("ada", dirs[i], made[dirs[i]])
		}
	}
	if d.get("ada", dirs[0]) == nil || d.get("ada", dirs[1]) != nil || d.get("ada", dirs[2]) == nil || d.bytes > d.most {
		t.Errorf("%d pages with %d of %d bytes are kept, want the two that were used last", len(d.pages), d.bytes, d.most)
	}
}

// An item of a table whose directories were read is one request.
func TestDirectoriesAreReadOnce(t *testing.T) {
	b, p := newBoard(t, quiet)
	b.set(8<<10, upTo(400)...) // two levels
	b.save()                   // which looks for pages without a root, and so reads the directories
	nc := p.connect(t)
	watch, err := nc.SubscribeSync("$JS.API.DIRECT.GET." + b.s.items)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	stale := b.s.staleReads.Load() // requests that were made again, as they had no answer in time
	for i, key := range []string{"000005", "000300"} {
		page, err := b.s.Items(t.Context(), boardID, store.ItemRange{Table: 1, From: []byte(key), To: []byte(key + "\x00"), Limit: 1, MaxBytes: 1 << 20})
		if err != nil || len(page.Items) != 1 {
			t.Fatalf("got %d items, error %v", len(page.Items), err)
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		if n, _, err := watch.Pending(); err != nil || n != i+1+int(b.s.staleReads.Load()-stale) {
			t.Errorf("%d requests for %d items, %d of them again, error %v", n, i+1, b.s.staleReads.Load()-stale, err)
		}
	}
}
