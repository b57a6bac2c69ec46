package pages

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/store"
)

// post returns an item of about 186 bytes.
func post(n int) store.Item {
	return store.Item{Key: binary.BigEndian.AppendUint64(nil, uint64(n)), Value: fmt.Appendf(nil, `{"id":%d,"text":"%s"}`, n, strings.Repeat("text ", 31))}
}

func posts(from, to int) (items []store.Item) {
	for n := from; n < to; n++ {
		items = append(items, post(n))
	}
	return items
}

// TestFold_FillsPages bounds the number of pages of a table that grows at its end, of one
// that grows everywhere, and of one that shrinks.
func TestFold_FillsPages(t *testing.T) {
	const n = 20_000
	r := random(t)
	tests := []struct {
		name string
		make func(f func([]store.Item)) (left int)
		fill float64
	}{
		{"at once", func(f func([]store.Item)) int { f(posts(0, n)); return n }, 0.95},
		{"at the end", func(f func([]store.Item)) int {
			for i := 0; i < n; i += 50 {
				f(posts(i, i+50))
			}
			return n
		}, 0.95},
		{"everywhere", func(f func([]store.Item)) int {
			for part := range slices.Chunk(r.Perm(n), 100) {
				slices.Sort(part)
				var edits []store.Item
				for _, i := range part {
					edits = append(edits, post(i))
				}
				f(edits)
			}
			return n
		}, 0.6},
		{"shrinks", func(f func([]store.Item)) int {
			f(posts(0, n))
			for part := range slices.Chunk(r.Perm(n)[:n*19/20], 100) {
				slices.Sort(part)
				var edits []store.Item
				for _, i := range part {
					edits = append(edits, store.Item{Key: post(i).Key})
				}
				f(edits)
			}
			return n / 20
		}, 0.25},
		{"loses its beginning", func(f func([]store.Item)) int {
			f(posts(0, n))
			for i := 0; i < n*19/20; i += 50 {
				edits := posts(i, i+50)
				for i := range edits {
					edits[i].Value = nil
				}
				f(edits)
			}
			return n / 20
		}, 0.75},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			pages, root, name := newMemory(), Root{}, counter(1)
			left := test.make(func(edits []store.Item) {
				folded, err := Fold(t.Context(), pages, root, edits, name)
				if err != nil {
					t.Fatal(err)
				}
				root = folded.Root
				if err := pages.Delete(t.Context(), folded.Replaced); err != nil {
					t.Fatal(err)
				}
			})
			if items, err := read(pages, root, store.ItemRange{}, n+1); err != nil || len(items) != left {
				t.Fatalf("got %d items, want %d, error %v", len(items), left, err)
			}
			size := 0
			for _, i := range posts(0, left) {
				size += item(i).size()
			}
			fill := float64(size) / float64(len(pages.pages)*limit.pageBytes)
			t.Logf("%d items in %d pages, %.2f full, level %d with %d in the root", left, len(pages.pages), fill, root.Level, len(root.Refs))
			if fill < test.fill {
				t.Errorf("the pages are %.2f full, want %.2f", fill, test.fill)
			}
		})
	}
}

// TestRange_ReadsFewPages bounds the requests and pages of short ranges.
func TestRange_ReadsFewPages(t *testing.T) {
	pages := newMemory()
	folded, err := Fold(t.Context(), pages, Root{}, posts(0, 50_000), counter(1))
	if err != nil {
		t.Fatal(err)
	}
	gets := 0
	pages.step = func(string) error { gets++; return nil }
	for _, q := range []store.ItemRange{{From: post(31_000).Key}, {To: post(31_000).Key, Backward: true}, {From: post(7).Key, To: post(8).Key}} {
		for _, test := range []struct{ items, requests, pages int }{{1, 2, 2}, {50, 3, 4}, {1000, 5, 16}} {
			pages.reads, gets = 0, 0
			if _, err := read(pages, folded.Root, q, test.items); err != nil {
				t.Fatal(err)
			}
			if pages.reads > test.requests || gets > test.pages {
				t.Errorf("%d items of %+v: read %d pages in %d requests, want at most %d in %d", test.items, q, gets, pages.reads, test.pages, test.requests)
			}
		}
	}
}

// TestPages_Errors has pages that are not what they should be.
func TestPages_Errors(t *testing.T) {
	fold := func() (*memory, Root) {
		pages := newMemory()
		folded, err := Fold(t.Context(), pages, Root{}, posts(0, 20_000), counter(1))
		if err != nil || folded.Root.Level != 1 {
			t.Fatal(folded.Root, err)
		}
		return pages, folded.Root
	}
	tests := []struct {
		name   string
		change func(p *memory, leaf, directory Name)
		want   error
	}{
		{"missing leaf", func(p *memory, leaf, _ Name) { delete(p.pages, leaf) }, ErrMissing},
		{"missing directory", func(p *memory, _, dir Name) { delete(p.pages, dir) }, ErrMissing},
		{"changed bit", func(p *memory, leaf, _ Name) { p.pages[leaf][5000] ^= 4 }, ErrDamaged},
		{"changed checksum", func(p *memory, leaf, _ Name) { p.pages[leaf][2] ^= 4 }, ErrDamaged},
		{"changed bit in a directory", func(p *memory, _, dir Name) { p.pages[dir][50] ^= 4 }, ErrDamaged},
		{"cut off", func(p *memory, leaf, _ Name) { p.pages[leaf] = p.pages[leaf][:3000] }, ErrDamaged},
		{"empty", func(p *memory, leaf, _ Name) { p.pages[leaf] = []byte{} }, ErrDamaged},
		{"another page", func(p *memory, leaf, _ Name) { p.pages[leaf] = p.pages[Name{1, 2}] }, ErrDamaged},
		{"a leaf as directory", func(p *memory, leaf, dir Name) {
			items, _ := decodeLeaf(leaf, p.pages[leaf])
			p.pages[dir] = encode(dir, 0, items, 0)
		}, ErrDamaged},
		{"a directory of another level", func(p *memory, _, dir Name) {
			refs, _ := decodeDirectory(dir, 1, p.pages[dir])
			p.pages[dir] = encode(dir, 2, refs, 0)
		}, ErrDamaged},
		{"the page of another slot", func(p *memory, leaf, _ Name) {
			items, _ := decodeLeaf(leaf, p.pages[leaf])
			p.pages[leaf] = encode(Name{2, leaf.N}, 0, items, 0)
		}, ErrDamaged},
		{"format 2", func(p *memory, leaf, _ Name) { p.pages[leaf][0] = 2 }, ErrNewer},
		{"format 2 of a directory", func(p *memory, _, dir Name) { p.pages[dir][0] = 2 }, ErrNewer},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			pages, root := fold()
			dir := root.Refs[0].Page
			test.change(pages, Name{1, 1}, dir)
			_, err := read(pages, root, store.ItemRange{}, 1<<30)
			if !errors.Is(err, test.want) {
				t.Errorf("Range: got %v, want %v", err, test.want)
			}
			_, err = Fold(t.Context(), pages, root, posts(0, 1), counter(2))
			if !errors.Is(err, test.want) {
				t.Errorf("Fold: got %v, want %v", err, test.want)
			}
		})
	}
}

func TestParseName(t *testing.T) {
	for _, s := range []string{"0-0", "17-3", "18446744073709551615-1"} {
		if n, err := ParseName(s); err != nil || n.String() != s {
			t.Errorf("%q: got %v, %v", s, n, err)
		}
	}
	for _, s := range []string{"", "-", "1", "1-", "-1", "01-1", "1-+1", "1-2-3", "a-1", "18446744073709551616-1"} {
		if n, err := ParseName(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, n)
		}
	}
}

// FuzzDecode decodes pages with a valid checksum and any content: no panic, and what is
// encoded again is the same.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x03key\x02\x05value"), 0)
	f.Add([]byte("\x00\x01\x02\x03key\x01\x03"), 1)
	f.Fuzz(func(t *testing.T, b []byte, level int) {
		level &= 3
		page := append([]byte{format, 0, 0, 0, 0, byte(level)}, b...)
		binary.BigEndian.PutUint32(page[1:], checksum(Name{}, page[5:]))
		if level > 0 {
			if refs, err := decodeDirectory(Name{}, level, page); err == nil {
				again, err := decodeDirectory(Name{}, level, encode(Name{}, level, refs, 0))
				if err != nil || len(again) != len(refs) {
					t.Errorf("got %v, want %v, error %v", again, refs, err)
				}
			}
			return
		}
		if items, err := decodeLeaf(Name{}, page); err == nil {
			again, err := decodeLeaf(Name{}, encode(Name{}, 0, items, 0))
			if err != nil || len(again) != len(items) {
				t.Errorf("got %v, want %v, error %v", again, items, err)
			}
		}
	})
}

// BenchmarkFold folds random keys into a large table.
func BenchmarkFold(b *testing.B) {
	for _, n := range []int{1000, 50} {
		b.Run(fmt.Sprintf("%d of 1000000 items", n), func(b *testing.B) {
			pages, root := large(b)
			r := random(b)
			name := counter(2)
			for b.Loop() {
				keys := r.Perm(1_000_000)[:n]
				slices.Sort(keys)
				var edits []store.Item
				for _, i := range keys {
					edits = append(edits, post(i))
				}
				folded, err := Fold(b.Context(), pages, root, edits, name)
				if err != nil {
					b.Fatal(err)
				}
				root = folded.Root
				if err := pages.Delete(b.Context(), folded.Replaced); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(folded.Written)), "pages/op")
			}
		})
	}
}

// BenchmarkRange reads pages of 50 items of a large table.
func BenchmarkRange(b *testing.B) {
	pages, root := large(b)
	r := random(b)
	for b.Loop() {
		items, err := read(pages, root, store.ItemRange{From: post(r.IntN(900_000)).Key}, 50)
		if err != nil || len(items) != 50 {
			b.Fatal(len(items), err)
		}
	}
	b.ReportMetric(float64(pages.reads)/float64(b.N), "requests/op")
}

func large(b *testing.B) (*memory, Root) {
	pages := newMemory()
	folded, err := Fold(b.Context(), pages, Root{}, posts(0, 1_000_000), counter(1))
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d pages, level %d, %d in the root", len(pages.pages), folded.Root.Level, len(folded.Root.Refs))
	b.ResetTimer()
	return pages, folded.Root
}
