// Package delta is the difference between two texts that are much alike, such as
// the JSON of an actor's state before and after a turn.
//
// A delta is a JSON array that turns the one text, base, into the other. Its
// items are, in order: a number n > 0, copy the next n bytes of base; n < 0, skip
// the next -n bytes of it; a string, insert its bytes. After the last item the
// rest of base is copied. [] changes nothing.
//
// A delta is found in about the time that it takes to compare the texts, because
// it takes the first match that it finds, not the best: the common start and end
// are cut off, and where the texts differ in between, some bytes of the one are
// looked for in the other. The idea of anchors is that of rsync's and Fossil's
// deltas.
package delta

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
)

const (
	anchor = 24 // bytes that are taken for the same place if they are equal

	// The work that may go into finding anchors, in bytes looked at: some tens of
	// microseconds, and a part of what it took to encode the text.
	workBytes = 128 << 10
)

// Append appends to dst what turns base into next, and reports true. It leaves
// dst as it was and reports false if that would be longer than half of next, and
// 64 bytes, or took too long to find.
func Append(dst, base, next []byte) ([]byte, bool) {
	limit := len(dst) + len(next)/2 + 64
	w := writer{buf: append(dst, '[')}
	found := changes(base, next, func(same, cut int, put []byte) bool {
		w.copy(same)
		if len(w.buf)+len(put) > limit {
			return false
		}
		w.skip(cut)
		w.insert(put)
		return true
	})
	w.end()
	if !found || len(w.buf) > limit {
		return dst, false
	}
	return w.buf, true
}

// Find returns the edits that make next out of base, one after the other. They
// share its bytes. If they take too long to find, it is one from the first to the
// last byte that differs.
func Find(base, next []byte) []Edit {
	var edits []Edit
	at := 0
	found := changes(base, next, func(same, cut int, put []byte) bool {
		edits = append(edits, Edit{At: at + same, Cut: cut, Put: put})
		at += same + len(put)
		return true
	})
	if !found {
		start := alignedPrefix(base, next)
		base, next = base[start:], next[start:]
		end := alignedSuffix(base, next)
		return []Edit{{At: start, Cut: len(base) - end, Put: next[:len(next)-end]}}
	}
	return edits
}

// changes calls f with each difference between two texts: how many bytes are the
// same before it, how many of a are gone, and what b has in their place. It reports
// false if f does, or if they took too long to find.
func changes(a, b []byte, f func(same, cut int, put []byte) bool) bool {
	work := workBytes + len(b)
	same := alignedPrefix(a, b)
	a, b = a[same:], b[same:]
	n := alignedSuffix(a, b)
	a, b = a[:len(a)-n], b[:len(b)-n]
	for len(a) > 0 || len(b) > 0 {
		skip, insert, ok := findAnchor(a, b, &work)
		if !ok {
			if work <= 0 {
				return false
			}
			skip, insert = len(a), len(b)
		}
		if !f(same, skip, b[:insert]) {
			return false
		}
		a, b = a[skip:], b[insert:]
		same = alignedPrefix(a, b)
		a, b = a[same:], b[same:]
	}
	return true
}

// findAnchor returns how many bytes of a and of b come before a place from which
// on they are equal. It looks near first. ok is false if it finds none, or may
// not look further.
func findAnchor(a, b []byte, work *int) (skip, insert int, ok bool) {
	for window := 64; ; window *= 8 {
		inA, inB := a[:min(window, len(a))], b[:min(window, len(b))]
		for at := 0; at < window; at = max(1, 2*at) {
			if at+anchor <= len(a) { // b has inserted something
				*work -= len(inB)
				if i := bytes.Index(inB, a[at:at+anchor]); i >= 0 {
					return widen(a, b, at, i)
				}
			}
			if at+anchor <= len(b) { // a had something that is gone
				*work -= len(inA)
				if i := bytes.Index(inA, b[at:at+anchor]); i >= 0 {
					return widen(a, b, i, at)
				}
			}
			if *work <= 0 {
				return 0, 0, false
			}
		}
		if window >= len(a) && window >= len(b) {
			return 0, 0, false
		}
	}
}

// widen moves an anchor to the first byte that is equal, and to the start of a
// character.
func widen(a, b []byte, i, j int) (skip, insert int, ok bool) {
	for i > 0 && j > 0 && a[i-1] == b[j-1] {
		i, j = i-1, j-1
	}
	for range 3 {
		if !inside(a, i) && !inside(b, j) {
			break
		}
		i, j = i+1, j+1
	}
	return i, j, true
}

// inside reports whether the byte at i belongs to the character before it.
func inside(text []byte, i int) bool { return i < len(text) && text[i]&0xc0 == 0x80 }

// alignedPrefix returns the length of the common start, in whole characters.
func alignedPrefix(a, b []byte) int {
	n := prefix(a, b)
	for i := 0; i < 3 && n > 0 && (inside(a, n) || inside(b, n)); i++ {
		n--
	}
	return n
}

// alignedSuffix returns the length of the common end, in whole characters.
func alignedSuffix(a, b []byte) int {
	n := suffix(a, b)
	for i := 0; i < 3 && n > 0 && inside(a, len(a)-n); i++ {
		n--
	}
	return n
}

const chunk = 1 << 10 // compared at a time, which the machine does faster than word by word

func prefix(a, b []byte) int {
	n, end := 0, min(len(a), len(b))
	for n+chunk <= end && bytes.Equal(a[n:n+chunk], b[n:n+chunk]) {
		n += chunk
	}
	for n+8 <= end && binary.NativeEndian.Uint64(a[n:]) == binary.NativeEndian.Uint64(b[n:]) {
		n += 8
	}
	for n < end && a[n] == b[n] {
		n++
	}
	return n
}

func suffix(a, b []byte) int {
	n, end := 0, min(len(a), len(b))
	for n+chunk <= end && bytes.Equal(a[len(a)-n-chunk:len(a)-n], b[len(b)-n-chunk:len(b)-n]) {
		n += chunk
	}
	for n+8 <= end && binary.NativeEndian.Uint64(a[len(a)-n-8:]) == binary.NativeEndian.Uint64(b[len(b)-n-8:]) {
		n += 8
	}
	for n < end && a[len(a)-n-1] == b[len(b)-n-1] {
		n++
	}
	return n
}

// writer writes a delta. A copy is held back until something comes after it.
type writer struct {
	buf    []byte
	copied int
	some   bool
}

func (w *writer) item() {
	if w.some {
		w.buf = append(w.buf, ',')
	}
	w.some = true
}

func (w *writer) copy(n int) { w.copied += n }

func (w *writer) flush() {
	if w.copied > 0 {
		w.item()
		w.buf = strconv.AppendInt(w.buf, int64(w.copied), 10)
		w.copied = 0
	}
}

func (w *writer) skip(n int) {
	if n > 0 {
		w.flush()
		w.item()
		w.buf = strconv.AppendInt(w.buf, -int64(n), 10)
	}
}

func (w *writer) insert(text []byte) {
	if len(text) > 0 {
		w.flush()
		w.item()
		w.buf = appendString(w.buf, text)
	}
}

func (w *writer) end() { w.buf = append(w.buf, ']') }

const hex = "0123456789abcdef"

// appendString writes a JSON string whose bytes, apart from those that JSON wants
// escaped, are those of text, whatever they are.
func appendString(dst, text []byte) []byte {
	dst = append(dst, '"')
	start := 0
	for i, c := range text {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[start:i]...)
		start = i + 1
		if c < ' ' {
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, '\\', c)
		}
	}
	return append(append(dst, text[start:]...), '"')
}

// Edit is a change of a text: Put comes in place of Cut bytes at the offset At.
// Its JSON is a delta with one change, such as [100,-3,"new"].
type Edit struct {
	At, Cut int
	Put     []byte
}

// AppendEdit appends the JSON of an edit.
func AppendEdit(dst []byte, e Edit) []byte {
	w := writer{buf: append(dst, '[')}
	w.copy(e.At)
	w.skip(e.Cut)
	w.insert(e.Put)
	w.end()
	return w.buf
}

// UnmarshalJSON reads what AppendEdit has written.
func (e *Edit) UnmarshalJSON(b []byte) error {
	*e = Edit{}
	stage := 0 // what comes next is a copy, a skip or an insertion at the earliest
	return items(b, func(n int, put []byte) error {
		switch {
		case n > 0 && stage == 0:
			e.At, stage = n, 1
		case n < 0 && stage <= 1:
			e.Cut, stage = -n, 2
		case n == 0 && stage <= 2:
			e.Put, stage = put, 3
		default:
			return errMalformed
		}
		return nil
	})
}

var errMalformed = errors.New("malformed delta")

// Apply returns what delta, which Append has written, makes of base. It fails if
// it is not a delta, or not one of such a base.
func Apply(base, delta []byte) ([]byte, error) {
	out := make([]byte, 0, len(base)+len(delta))
	err := items(delta, func(n int, text []byte) error {
		switch {
		case n > len(base) || n < -len(base):
			return errMalformed
		case n > 0:
			out, base = append(out, base[:n]...), base[n:]
		case n < 0:
			base = base[-n:]
		default:
			out = append(out, text...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return append(out, base...), nil
}

// items calls f with each item of a delta: a number, or 0 and a text.
func items(delta []byte, f func(n int, text []byte) error) error {
	if len(delta) < 2 || delta[0] != '[' {
		return errMalformed
	}
	for d, first := delta[1:], true; ; first = false {
		switch {
		case len(d) == 1 && d[0] == ']':
			return nil
		case !first && (len(d) == 0 || d[0] != ','):
			return errMalformed
		case !first:
			d = d[1:]
		}
		if len(d) == 0 {
			return errMalformed
		}
		var n int
		var text []byte
		if d[0] == '"' {
			var ok bool
			if text, d, ok = appendUnquoted(nil, d[1:]); !ok {
				return errMalformed
			}
		} else {
			end := bytes.IndexAny(d, ",]")
			if end < 0 {
				return errMalformed
			}
			var err error
			if n, err = strconv.Atoi(string(d[:end])); err != nil || n == 0 {
				return errMalformed
			}
			d = d[end:]
		}
		if err := f(n, text); err != nil {
			return err
		}
	}
}

// appendUnquoted appends the string of which d is what comes after the quote, and
// returns what comes after it.
func appendUnquoted(dst, d []byte) (out, rest []byte, ok bool) {
	for {
		i := bytes.IndexAny(d, `"\`)
		if i < 0 {
			return dst, nil, false
		}
		dst = append(dst, d[:i]...)
		c := d[i]
		d = d[i+1:]
		switch {
		case c == '"':
			return dst, d, true
		case len(d) > 0 && (d[0] == '"' || d[0] == '\\'):
			dst, d = append(dst, d[0]), d[1:]
		case len(d) > 4 && d[0] == 'u':
			n, err := strconv.ParseUint(string(d[1:5]), 16, 16)
			if err != nil || n >= ' ' {
				return dst, nil, false
			}
			dst, d = append(dst, byte(n)), d[5:]
		default:
			return dst, nil, false
		}
	}
}
