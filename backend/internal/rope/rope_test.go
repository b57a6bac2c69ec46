package rope

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// Random changes have the same effect as on a slice, and the sizes of the parts stay
// in bounds.
func TestReplace(t *testing.T) {
	const most = 32
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		got, want := New(most, func(e *int) int { return *e }), []int{}
		for step := range 300 {
			at := r.IntN(len(want) + 1)
			if step%5 == 0 {
				at = len(want)
			}
			cut := 0
			switch r.IntN(8) {
			case 0:
				cut = len(want) - at
			case 1, 2, 3:
				cut = r.IntN(min(len(want)-at, 40) + 1)
			}
			put := make([]int, []int{0, 1, 1, 5, 30, 200}[r.IntN(6)])
			for i := range put {
				put[i] = r.IntN(100)
			}
			got.Replace(at, cut, put...)
			want = slices.Replace(want, at, at+cut, put...)
			check(t, got, want, r.IntN(len(want)+1))
			if t.Failed() {
				t.Fatalf("seed %d, step %d: %d at %d replaced by %v", seed, step, cut, at, put)
			}
		}
	}
}

// Appending item by item copies no earlier items.
func TestAppendingDoesNotCopy(t *testing.T) {
	const most = 32
	r := New(most, func(*int) int { return 1 })
	for i := range most {
		r.Replace(i, 0, i)
	}
	first := r.At(0)
	for i := most; i < 20*most; i++ {
		r.Replace(i, 0, i)
		if part := r.parts[len(r.parts)-1]; cap(part.items) < most {
			t.Fatalf("after %d items, the last part has room for %d, want %d", i+1, cap(part.items), most)
		}
	}
	if r.At(0) != first {
		t.Error("the first item was moved")
	}
	if len(r.parts) != 20 {
		t.Errorf("got %d parts, want 20", len(r.parts))
	}
}

// An empty part is removed, also between long ones.
func TestReplaceWholeParts(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 2))
		got, want := New(32, func(e *int) int { return *e }), make([]int, 300)
		got.Replace(0, 0, want...)
		for step := range 200 {
			p := r.IntN(len(got.parts))
			at, n := 0, len(got.parts[p].items)
			for _, part := range got.parts[:p] {
				at += len(part.items)
			}
			var put []int
			cut := n
			if r.IntN(4) > 0 {
				at, cut, put = at+r.IntN(n+1), 0, make([]int, r.IntN(12))
			}
			got.Replace(at, cut, put...)
			want = slices.Replace(want, at, at+cut, put...)
			check(t, got, want, r.IntN(len(want)+1))
			if t.Failed() {
				t.Fatalf("seed %d, step %d: %d at %d replaced by %v", seed, step, cut, at, put)
			}
		}
	}
}

func check(t *testing.T, got *Rope[int], want []int, at int) {
	sum := func(items []int) (n int) {
		for _, item := range items {
			n += item
		}
		return n
	}
	if all := got.Append(nil); got.Len() != len(want) || !slices.Equal(all, want) {
		t.Errorf("got %v, want %v", all, want)
		return
	}
	if got.Weight() != sum(want) || got.Before(at) != sum(want[:at]) || got.Before(len(want)) != sum(want) {
		t.Errorf("weights: got %d, %d before %d; want %d, %d", got.Weight(), got.Before(at), at, sum(want), sum(want[:at]))
	}
	if at < len(want) && *got.At(at) != want[at] {
		t.Errorf("item %d: got %d, want %d", at, *got.At(at), want[at])
	}
	n := at
	for i, item := range got.From(at) {
		if i != n || *item != want[i] {
			t.Errorf("from %d: got item %d, %d", at, i, *item)
			return
		}
		n++
	}
	if n != len(want) {
		t.Errorf("from %d: got items until %d of %d", at, n, len(want))
	}
	for i, item := range got.Backward() {
		if n--; i != n || *item != want[i] {
			t.Errorf("backward: got item %d, %d", i, *item)
			return
		}
	}
	if n != 0 {
		t.Errorf("backward: %d items are missing", n)
	}
	for _, part := range got.parts {
		if len(part.items) > got.most || len(part.items) == 0 && len(got.parts) > 1 {
			t.Errorf("a part of %d items", len(part.items))
		}
	}
	if most := 4*len(want)/got.most + 4; len(got.parts) > most {
		t.Errorf("%d parts for %d items", len(got.parts), len(want))
	}
}

func TestReplace_noSuchItems(t *testing.T) {
	for _, change := range [][2]int{{4, 0}, {0, 4}, {3, 1}, {-1, 1}, {1, -1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d items at %d of 3: want a panic", change[1], change[0])
				}
			}()
			r := New[int](32, nil)
			r.Replace(0, 0, 1, 2, 3)
			r.Replace(change[0], change[1])
		}()
	}
}

func TestSearch(t *testing.T) {
	r, items := New[int](8, nil), []int{}
	for i := range 200 {
		for look := range 2*len(items) + 2 {
			at, found := r.Search(func(e *int) int { return cmp.Compare(*e, look) })
			wantAt, want := slices.BinarySearch(items, look)
			if at != wantAt || found != want {
				t.Fatalf("%d among %v: got %d, %t; want %d, %t", look, items, at, found, wantAt, want)
			}
		}
		items = append(items, 2*i+1)
		r.Replace(r.Len(), 0, 2*i+1)
	}
}

// BenchmarkReplace appends an item to a rope and removes one from its start, or from
// its middle.
func BenchmarkReplace(b *testing.B) {
	for _, size := range []int{10, 1000, 100_000} {
		for _, place := range []string{"start", "middle"} {
			b.Run(fmt.Sprintf("%s/items=%d", place, size), func(b *testing.B) {
				r := New(256, func(e *[16]int) int { return e[0] })
				r.Replace(0, 0, make([][16]int, size)...)
				at := 0
				if place == "middle" {
					at = size / 2
				}
				for b.Loop() {
					r.Replace(r.Len(), 0, [16]int{})
					r.Before(at)
					r.Replace(at, 1)
				}
			})
		}
	}
}

// Inserting near the end, as an edit before the closing brackets of a text does,
// rarely copies.
func TestInsertingNearTheEndAllocatesLittle(t *testing.T) {
	const most, items = 1024, 100 * 1024
	got := testing.AllocsPerRun(1, func() {
		r := New(most, func(*byte) int { return 1 })
		r.Replace(0, 0, ']', '}')
		put := []byte{'x'}
		for r.Len() < items {
			r.Replace(r.Len()-2, 0, put...)
		}
	})
	// For each new part the copies of both halves and the slices of them; a few more
	// while the first one grows.
	if want := float64(items/(most/2)*5 + 50); got > want {
		t.Errorf("%.0f allocations, want %.0f at most", got, want)
	}
}
