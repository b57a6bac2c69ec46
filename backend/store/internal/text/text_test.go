package text

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// Edits at random places are what they would be in a slice of bytes, and the parts
// stay of a size at which that is cheap.
func TestEdit(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 1))
		want := random(r, r.IntN(4)*r.IntN(100_000))
		text := Of(want)
		shared, before := want, slices.Clone(want)
		for step := range 200 {
			at := r.IntN(len(want) + 1)
			cut := 0
			switch r.IntN(8) {
			case 0:
				cut = len(want) - at
			case 1, 2, 3:
				cut = r.IntN(min(len(want)-at, 5000) + 1)
			}
			put := random(r, []int{0, 10, 200, 3000, 60_000}[r.IntN(5)])
			if step%7 == 0 {
				at, cut = len(want), 0
			}
			text.Edit(at, cut, put)
			want = slices.Replace(slices.Clone(want), at, at+cut, put...)
			if text.Len() != len(want) || !bytes.Equal(text.Bytes(), want) {
				t.Fatalf("seed %d, step %d: %d bytes at %d replaced by %d: got %d bytes, want other %d", seed, step, cut, at, len(put), text.Len(), len(want))
			}
			for _, part := range text.parts {
				if len(part) > partBytes || len(part) == 0 && len(text.parts) > 1 {
					t.Fatalf("seed %d, step %d: a part of %d bytes", seed, step, len(part))
				}
			}
			if most := 4*len(want)/partBytes + 4; len(text.parts) > most {
				t.Fatalf("seed %d, step %d: %d parts for %d bytes", seed, step, len(text.parts), len(want))
			}
		}
		if !bytes.Equal(shared, before) {
			t.Fatal("the shared bytes were changed")
		}
	}
}

func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(r.IntN(26))
	}
	return b
}

func TestEdit_beyondTheEnd(t *testing.T) {
	for _, edit := range [][2]int{{4, 0}, {0, 4}, {3, 1}, {-1, 1}, {1, -1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d bytes at %d of 3: want a panic", edit[1], edit[0])
				}
			}()
			text := Of([]byte("abc"))
			text.Edit(edit[0], edit[1], nil)
		}()
	}
}

// BenchmarkEdit appends to a text and takes as much from its start, and from its
// middle.
func BenchmarkEdit(b *testing.B) {
	for _, size := range []int{1 << 10, 100 << 10, 10 << 20} {
		put := bytes.Repeat([]byte("x"), 150)
		for name, at := range map[string]int{"start": 1, "middle": size / 2} {
			b.Run(fmt.Sprint(name, "/", size), func(b *testing.B) {
				text := Of(make([]byte, size))
				for b.Loop() {
					text.Edit(text.Len(), 0, put)
					text.Edit(at, len(put), nil)
				}
			})
		}
	}
}
