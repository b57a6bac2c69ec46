// Package text is a text that is changed a little at a time: the JSON of an
// actor's state, as a store keeps it in memory. An edit costs about the same
// however long the text is.
package text

import "slices"

// partBytes is how long a part of an edited text is at most: an edit moves what
// comes after it in its part, and finds the part by counting from the nearer end.
const partBytes = 16 << 10

// Text is a text. The zero Text is empty. It is not safe for use by several
// goroutines, but several may read it.
type Text struct {
	whole []byte   // all of it, shared with others: never changed; nil if parts has it
	parts [][]byte // of its own
	size  int
}

// Of returns a Text that shares b, which nobody may change any more.
func Of(b []byte) Text { return Text{whole: b, size: len(b)} }

// Len returns its length in bytes.
func (t *Text) Len() int { return t.size }

// Bytes returns all of it, which the caller may not change. After an edit that is
// a copy.
func (t *Text) Bytes() []byte {
	if t.parts == nil {
		return t.whole
	}
	return slices.Concat(t.parts...)
}

// Edit replaces cut bytes at the offset at by put. It panics if the text does not
// have them.
func (t *Text) Edit(at, cut int, put []byte) {
	if at < 0 || cut < 0 || at > t.size-cut {
		panic("text: an edit beyond the end")
	}
	if t.parts == nil {
		t.parts, t.whole = divide(t.whole), nil
	}
	i, off := t.find(at)
	if off+cut <= len(t.parts[i]) && len(put) <= partBytes {
		t.parts[i] = slices.Replace(t.parts[i], off, off+cut, put...)
		t.fit(i)
	} else {
		j, end := t.find(at + cut)
		t.parts = slices.Replace(t.parts, i, j+1, divide(t.parts[i][:off], put, t.parts[j][end:])...)
	}
	t.size += len(put) - cut
}

// find returns the part that an offset is in, or at the end of, and where in it.
func (t *Text) find(at int) (i, off int) {
	if at <= t.size/2 {
		for at > len(t.parts[i]) {
			at -= len(t.parts[i])
			i++
		}
		return i, at
	}
	back := t.size - at
	for i = len(t.parts) - 1; back > len(t.parts[i]); i-- {
		back -= len(t.parts[i])
	}
	return i, len(t.parts[i]) - back
}

// fit divides the part i if it is too long, and joins it with a neighbour if both
// are short.
func (t *Text) fit(i int) {
	if len(t.parts[i]) > partBytes {
		t.parts = slices.Replace(t.parts, i, i+1, divide(t.parts[i])...)
		return
	}
	i = max(i-1, 0)
	for range 2 {
		if i+1 < len(t.parts) && len(t.parts[i])+len(t.parts[i+1]) <= partBytes/2 {
			t.parts[i] = append(t.parts[i], t.parts[i+1]...)
			t.parts = slices.Delete(t.parts, i+1, i+2)
		} else {
			i++
		}
	}
}

// divide returns copies of what the pieces are together, in parts that may grow.
func divide(pieces ...[]byte) [][]byte {
	parts := [][]byte{{}}
	last := &parts[0]
	for _, piece := range pieces {
		for len(piece) > 0 {
			if len(*last) >= partBytes/2 {
				parts = append(parts, nil)
				last = &parts[len(parts)-1]
			}
			n := min(len(piece), partBytes/2-len(*last))
			*last = append(*last, piece[:n]...)
			piece = piece[n:]
		}
	}
	return parts
}
