// Package delta computes the difference between two similar texts, such as the JSON
// of an actor's state before and after a turn.
//
// A delta is a JSON array that turns the one text, base, into the other. Its
// items are, in order: a number n > 0, copy the next n bytes of base; n < 0, skip
// the next -n bytes of it; a string, insert its bytes. After the last item the
// rest of base is copied. [] changes nothing.
//
// Finding a delta takes about as long as comparing the texts, because it takes the
// first match, not the best: it cuts off the common start and end, and where the texts
// differ in between, it searches the one for a few bytes of the other. These anchors
// are those of rsync's and Fossil's deltas.
package delta

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
)

const (
	anchor = 24 // equal bytes that count as a match

	// The limit of the search for anchors, in bytes compared: some tens of
	// microseconds, a fraction of the time that encoding the text took.
	workBytes = 128 << 10
)

// Append appends to dst the delta that turns base into next, and reports true. It
// leaves dst unchanged and reports false if the delta is longer than half of next plus
// 64 bytes, or takes too long to find.
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

// Find returns the edits that turn base into next, in order. They share the bytes of
// next. If they take too long to find, it returns one edit from the first to the last
// byte that differs.
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

// changes calls f with each difference between two texts: the number of equal bytes
// before it, the number of bytes of a that it removes, and the bytes of b that replace
// them. It reports false if f does, or if the search takes too long.
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

// findAnchor returns the offsets in a and in b from which on they are equal. It
// searches the nearest offsets first. ok is false if it finds none within the limit.
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
			if at+anchor <= len(b) { // b has removed something
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

// writer writes a delta. It delays a copy until another item follows.
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

// appendString writes a JSON string with the bytes of text. It escapes only what JSON
// requires, and keeps bytes that are not UTF-8.
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

// Edit is a change of a text: Put replaces Cut bytes at the offset At.
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

// UnmarshalJSON decodes the output of AppendEdit.
func (e *Edit) UnmarshalJSON(b []byte) error {
	*e = Edit{}
	stage := 0 // the earliest allowed item: 0 a copy, 1 a skip, 2 an insertion
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

// Apply applies delta, the output of Append, to base. It fails if delta is invalid or
// does not fit base.
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

// appendUnquoted appends the string that starts after the opening quote in d, and
// returns the rest after its closing quote.
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
