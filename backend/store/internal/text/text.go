// Package text is a text that is changed a little at a time: the JSON of an
// actor's state, as a store keeps it in memory. An edit costs about the same
// however long the text is.
package text

import "github.com/troupe-dev/troupe/backend/internal/rope"

// partBytes is the maximum length of a part of an edited text: an edit moves the
// rest of its part.
const partBytes = 4 << 10

// Text is a text. The zero Text is empty. It is not safe for use by several
// goroutines, but several may read it.
type Text struct {
	whole []byte           // all of it, shared with others: never changed
	rope  *rope.Rope[byte] // the same once there was an edit, else nil
}

// Of returns a Text that shares b. Do not change b afterwards.
func Of(b []byte) Text { return Text{whole: b} }

// Len returns its length in bytes.
func (t *Text) Len() int {
	if t.rope != nil {
		return t.rope.Len()
	}
	return len(t.whole)
}

// Bytes returns the whole text. The caller must not change it. After an edit it is
// a copy.
func (t *Text) Bytes() []byte {
	if t.rope == nil {
		return t.whole
	}
	return t.rope.Append(nil)
}

// Edit replaces cut bytes at the offset at by put. It panics if they are outside
// the text.
func (t *Text) Edit(at, cut int, put []byte) {
	if t.rope == nil {
		t.rope = rope.New[byte](partBytes, nil)
		t.rope.Replace(0, 0, t.whole...)
		t.whole = nil
	}
	t.rope.Replace(at, cut, put...)
}

// Freeze returns the text as it is. Edits of either do not change the other.
func (t *Text) Freeze() Text {
	if t.rope == nil {
		return *t
	}
	return Text{rope: t.rope.Clone()}
}

// AppendRange appends the n bytes from the offset at to dst.
func (t *Text) AppendRange(dst []byte, at, n int) []byte {
	if t.rope == nil {
		return append(dst, t.whole[at:at+n]...)
	}
	return t.rope.AppendRange(dst, at, n)
}
