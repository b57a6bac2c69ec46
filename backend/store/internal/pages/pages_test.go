package pages

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/store"
)

// TestFold_Model folds random edits into a tree and compares it with a map. Some folds are
// cut off between two pages, which must change nothing, and some are made twice.
func TestFold_Model(t *testing.T) {
	r := random(t)
	trees := []limits{
		limit,
		{pageBytes: 300, refs: 5, rootRefs: 3, rootBytes: 60},
		{pageBytes: 120, refs: 2, rootRefs: 2, rootBytes: 1 << 10},
		{pageBytes: 1 << 10, refs: 8, rootRefs: 64, rootBytes: 4 << 10},
	}
	rounds := 100
	if testing.Short() {
		rounds = 20
	}
	for _, l := range trees {
		t.Run(fmt.Sprintf("%+v", l), func(t *testing.T) {
			withLimits(t, l)
			for range 6 {
				(&modelTest{t: t, r: r, pages: newMemory(), want: model{}, name: counter(7), long: r.IntN(2) == 0}).run(rounds)
			}
		})
	}
}

type modelTest struct {
	t     *testing.T
	r     *rand.Rand
	pages *memory
	root  Root
	want  model
	name  func() Name
	next  uint64 // the key to append
	long  bool   // keys and values
	level int    // the highest one so far
}

func (m *modelTest) run(rounds int) {
	for range rounds {
		edits := m.edits()
		if m.r.IntN(4) == 0 {
			m.cutOff(edits)
		}
		m.fold(edits)
		if m.t.Failed() {
			return
		}
	}
	all := m.want.items(store.ItemRange{})
	for i := range all {
		all[i].Value = nil
	}
	m.fold(all)
	if len(m.root.Refs) > 0 || len(m.pages.pages) > 0 {
		m.t.Errorf("the tree of an empty table has root %+v and %d pages", m.root, len(m.pages.pages))
	}
}

func (m *modelTest) edits() []store.Item {
	edits := model{}
	add := func(key []byte, keep bool) {
		e := store.Item{Key: key, Version: m.r.IntN(3) * 100}
		if keep {
			n := m.r.IntN(60)
			if m.long && m.r.IntN(10) == 0 {
				n = m.r.IntN(40 << 10)
			}
			e.Value = fmt.Appendf(nil, `"%s"`, strings.Repeat("v", n))
		}
		edits[string(key)] = e
	}
	keys := slices.Sorted(maps.Keys(m.want))
	switch m.r.IntN(6) {
	case 0: // append
		for range 1 + m.r.IntN(100) {
			m.next++
			add(binary.BigEndian.AppendUint64(nil, m.next<<20), true)
		}
	case 1: // delete a range
		if len(keys) > 0 {
			from := m.r.IntN(len(keys)) * m.r.IntN(2)
			for _, k := range keys[from:min(len(keys), from+m.r.IntN(60))] {
				add([]byte(k), false)
			}
		}
	case 2: // change or delete a few that are there
		for range min(len(keys), 5) {
			add([]byte(keys[m.r.IntN(len(keys))]), m.r.IntN(2) == 0)
		}
	default: // anywhere
		for range 1 + m.r.IntN(20) {
			key := fmt.Appendf(nil, "%d", m.r.IntN(500))
			if m.r.IntN(3) == 0 {
				key[0] = 'A' - byte(m.r.IntN(40)) // before most others
			}
			if m.long && m.r.IntN(5) == 0 {
				key = append(key, strings.Repeat("k", m.r.IntN(1<<10))...)
			}
			add(key[:len(key)*m.r.IntN(8)/7], m.r.IntN(4) > 0)
		}
	}
	all := model(edits)
	return all.items(store.ItemRange{})
}

// cutOff begins a fold that stops at one of its pages, and deletes what it has left behind.
func (m *modelTest) cutOff(edits []store.Item) {
	ops := m.r.IntN(20)
	m.pages.step = func(string) error {
		if ops--; ops < 0 {
			return errKilled
		}
		return nil
	}
	before := maps.Clone(m.pages.pages)
	folded, err := Fold(m.t.Context(), m.pages, m.root, edits, m.name)
	m.pages.step = func(string) error { return nil }
	if err != nil && !errors.Is(err, errKilled) || err != nil && !reflect.DeepEqual(folded.Root, m.root) {
		m.t.Fatalf("a fold that is cut off: root %+v (was %+v), error %v", folded.Root, m.root, err)
	}
	m.check() // the old tree
	orphans, err := Orphans(m.t.Context(), m.pages, []Root{m.root})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, n := range orphans {
		if !slices.Contains(folded.Written, n) {
			m.t.Fatalf("page %v is an orphan, but the fold has not written it", n)
		}
		delete(m.pages.pages, n)
	}
	if !reflect.DeepEqual(m.pages.pages, before) {
		m.t.Fatalf("after deleting orphans there are %d pages, before the fold %d", len(m.pages.pages), len(before))
	}
}

func (m *modelTest) fold(edits []store.Item) {
	folded, err := Fold(m.t.Context(), m.pages, m.root, edits, m.name)
	if err != nil {
		m.t.Fatal(err)
	}
	m.check() // the old tree is still there
	m.want.apply(edits)
	if err := m.pages.Delete(m.t.Context(), folded.Replaced); err != nil {
		m.t.Fatal(err)
	}
	b, err := json.Marshal(folded.Root)
	if err != nil {
		m.t.Fatal(err)
	}
	m.root = Root{}
	if err := json.Unmarshal(b, &m.root); err != nil {
		m.t.Fatal(err)
	}
	if !reflect.DeepEqual(m.root, folded.Root) {
		m.t.Fatalf("root %+v is %s as JSON, which is %+v", folded.Root, b, m.root)
	}
	m.level = max(m.level, m.root.Level)
	m.check()
	if got, want := namesOf(m.t, m.pages, m.root), sortedNames(slices.Collect(maps.Keys(m.pages.pages))); !slices.Equal(got, want) {
		m.t.Fatalf("the tree has pages %v, stored are %v", got, want)
	}
	m.checkKeys(nil, m.root.Level, m.root.Refs)
	if !fits(m.root.Refs, 1) && len(m.root.Refs) > 1 {
		m.t.Fatalf("the root has %d refs: %d bytes of JSON", len(m.root.Refs), len(b))
	}
	m.checkSizes(m.root.Level, m.root.Refs)
	if m.r.IntN(3) == 0 { // the same again changes nothing
		again, err := Fold(m.t.Context(), m.pages, m.root, edits, m.name)
		if err != nil {
			m.t.Fatal(err)
		}
		old := m.root
		m.root = again.Root
		m.check()
		m.root = old
		if err := m.pages.Delete(m.t.Context(), again.Written); err != nil {
			m.t.Fatal(err)
		}
	}
}

// check compares all items and some ranges.
func (m *modelTest) check() {
	queries := []store.ItemRange{{}, {Backward: true}}
	keys := slices.Sorted(maps.Keys(m.want))
	key := func() []byte {
		switch {
		case m.r.IntN(4) == 0:
			return nil
		case len(keys) > 0 && m.r.IntN(6) == 0:
			return []byte(keys[min(len(keys)-1, 1+m.r.IntN(5))]) // one of the first
		case m.r.IntN(3) == 0 || len(keys) == 0:
			return fmt.Appendf(nil, "%d", m.r.IntN(700))
		}
		return []byte(keys[m.r.IntN(len(keys))])
	}
	for range 4 {
		queries = append(queries, store.ItemRange{From: key(), To: key(), Backward: m.r.IntN(2) == 0})
	}
	for _, q := range queries {
		want := m.want.items(q)
		limit := 1 + m.r.IntN(len(want)+1)
		got, err := read(m.pages, m.root, q, limit)
		if err != nil {
			m.t.Fatal(err)
		}
		if want = want[:min(limit, len(want))]; !sameItems(got, want) {
			m.t.Fatalf("%d items of %+v: got %d, want %d", limit, q, len(got), len(want))
		}
	}
}

// checkSizes checks the bounds of pages.
func (m *modelTest) checkSizes(level int, refs []Ref) {
	for _, r := range refs {
		page := m.pages.pages[r.Page]
		if level == 0 {
			items, err := decodeLeaf(r.Page, page)
			if err != nil || len(items) == 0 || bytes.Compare(items[0].Key, r.Key) < 0 || len(items) > 1 && len(page) > limit.pageBytes {
				m.t.Fatalf("a leaf of %d bytes has %d items, error %v", len(page), len(items), err)
			}
			continue
		}
		under, err := decodeDirectory(r.Page, level, page)
		if err != nil || len(under) > limit.refs || len(under) > 2 && len(page) > limit.pageBytes {
			m.t.Fatalf("a directory page of %d bytes has %d refs, error %v", len(page), len(under), err)
		}
		m.checkSizes(level-1, under)
	}
}

// checkKeys checks the order of the keys in directories.
func (m *modelTest) checkKeys(key []byte, level int, refs []Ref) {
	for i, r := range refs {
		if bytes.Compare(r.Key, key) < 0 || i > 0 && bytes.Compare(refs[i-1].Key, r.Key) >= 0 {
			m.t.Fatalf("page %v of level %d has key %q, its directory %q", r.Page, level, r.Key, key)
		}
		if level > 0 {
			under, err := decodeDirectory(r.Page, level, m.pages.pages[r.Page])
			if err != nil {
				m.t.Fatal(err)
			}
			m.checkKeys(r.Key, level-1, under)
		}
	}
}
