package pages

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/troupe-dev/troupe/backend/store"
)

var seedFlag = flag.Uint64("pages.seed", 0, "seed of the random tests; 0: another one each time")

func random(t testing.TB) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64() | 1
	}
	t.Logf("to repeat: -pages.seed=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

var errKilled = errors.New("killed")

// memory is Pages in memory. It calls step before each page that it reads, writes or
// deletes; if that returns an error, it stops there.
type memory struct {
	pages map[Name][]byte
	step  func(op string) error
	reads int
}

func newMemory() *memory {
	return &memory{pages: map[Name][]byte{}, step: func(string) error { return nil }}
}

func (m *memory) Get(_ context.Context, names []Name) ([][]byte, error) {
	m.reads++
	out := make([][]byte, len(names))
	for i, n := range names {
		if err := m.step("get"); err != nil {
			return nil, err
		}
		out[i] = m.pages[n]
	}
	return out, nil
}

func (m *memory) Put(_ context.Context, pages []Page) error {
	for _, p := range pages {
		if err := m.step("put"); err != nil {
			return err
		}
		m.pages[p.Name] = p.Data
	}
	return nil
}

func (m *memory) Delete(_ context.Context, names []Name) error {
	for _, n := range names {
		if err := m.step("delete"); err != nil {
			return err
		}
		delete(m.pages, n)
	}
	return nil
}

func (m *memory) List(context.Context) ([]Name, error) {
	if err := m.step("list"); err != nil {
		return nil, err
	}
	return slices.Collect(maps.Keys(m.pages)), nil
}

// counter returns names of a slot.
func counter(slot uint64) func() Name {
	n := Name{Slot: slot}
	return func() Name {
		n.N++
		return n
	}
}

func withLimits(t testing.TB, l limits) {
	old := limit
	limit = l
	t.Cleanup(func() { limit = old })
}

// model is a table as a map.
type model map[string]store.Item

func (m model) apply(edits []store.Item) {
	for _, e := range edits {
		if e.Value == nil {
			delete(m, string(e.Key))
		} else {
			m[string(e.Key)] = e
		}
	}
}

func (m model) items(q store.ItemRange) (items []store.Item) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if (q.From == nil || k >= string(q.From)) && (q.To == nil || k < string(q.To)) {
			items = append(items, m[k])
		}
	}
	if q.Backward {
		slices.Reverse(items)
	}
	return items
}

func read(pages Pages, root Root, q store.ItemRange, limit int) (items []store.Item, err error) {
	err = Range(context.Background(), pages, root, q, func(i store.Item) bool {
		items = append(items, i)
		return len(items) < limit
	})
	return items, err
}

func sameItems(a, b []store.Item) bool {
	return slices.EqualFunc(a, b, func(a, b store.Item) bool {
		return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) && a.Version == b.Version
	})
}

func sortedNames(names []Name) []Name {
	return slices.SortedFunc(slices.Values(names), func(a, b Name) int { return bytes.Compare([]byte(a.String()), []byte(b.String())) })
}

func namesOf(t testing.TB, pages Pages, root Root) (names []Name) {
	t.Helper()
	err := Names(context.Background(), pages, root, func(n Name) bool {
		names = append(names, n)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return sortedNames(names)
}
