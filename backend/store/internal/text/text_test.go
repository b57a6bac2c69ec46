package text

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// Random edits have the same effect as on a slice of bytes, and do not change the
// bytes passed to Of or what was frozen before.
func TestEdit(t *testing.T) {
	seeds := uint64(8)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 1))
		want := random(r, r.IntN(4)*r.IntN(100_000))
		text := Of(want)
		shared, before := want, slices.Clone(want)
		var frozen Text
		var kept []byte
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
			if step%20 == 0 {
				frozen, kept = text.Freeze(), slices.Clone(want)
			}
			text.Edit(at, cut, put)
			if got := frozen.AppendRange(nil, len(kept)/3, len(kept)/2); !bytes.Equal(got, kept[len(kept)/3:][:len(kept)/2]) || !bytes.Equal(frozen.Bytes(), kept) {
				t.Fatalf("seed %d, step %d: an edit of %d bytes at %d changed what was frozen before it", seed, step, len(put), at)
			}
			want = slices.Replace(slices.Clone(want), at, at+cut, put...)
			if text.Len() != len(want) || !bytes.Equal(text.Bytes(), want) {
				t.Fatalf("seed %d, step %d: %d bytes at %d replaced by %d: got %d bytes, want other %d", seed, step, cut, at, len(put), text.Len(), len(want))
			}
		}
		if !bytes.Equal(shared, before) {
			t.Fatal("the shared bytes were changed")
		}
	}
}

// random returns n bytes, of any value.
func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; i += 8 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], r.Uint64())
		copy(b[i:], word[:])
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
