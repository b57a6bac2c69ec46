package jsonshape

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// Most events, results and items are structs of strings, numbers and booleans, and slices of
// those. This file encodes them to the same bytes as encoding/json, in about half the time. All
// other types, and strings that need an escape, are left to encoding/json.
//
// Delete this file when encoding/json is as fast (encoding/json/v2 may be):
// go test -bench EncodeFlat ./backend/internal/jsonshape compares them.

// Flat encodes the values of one type. It may be used by several goroutines at a time.
type Flat struct {
	kind   reflect.Kind
	fields []flatField  // of a struct
	elem   *Flat        // of a slice
	size   atomic.Int32 // of the JSON of a recent value, in bytes
	reads  bool         // it, or a part of it, decodes itself
}

type flatField struct {
	*Flat
	index     int
	label     string // "name":
	omitEmpty bool
}

var flatEncoders sync.Map // *Flat by reflect.Type; nil for types that are left to encoding/json

// FlatOf returns the encoder of a type, nil if the type is not flat. Flat types are strings,
// numbers and booleans, and structs and slices of flat types, without their own encoding. A type
// that contains itself is not flat, nor are bytes, which encoding/json writes as base64.
func FlatOf(t reflect.Type) *Flat {
	if known, ok := flatEncoders.Load(t); ok {
		return known.(*Flat)
	}
	e := newFlat(t, nil)
	flatEncoders.Store(t, e)
	return e
}

// newFlat returns the encoder of a type that is a part of the types in outer.
func newFlat(t reflect.Type, outer []reflect.Type) *Flat {
	if Marshals(t) || t == numberType || slices.Contains(outer, t) {
		return nil
	}
	outer = append(outer, t)
	p := reflect.PointerTo(t)
	e := &Flat{kind: t.Kind(), reads: p.Implements(jsonReaderType) || p.Implements(unmarshalerType)}
	switch e.kind {
	case reflect.String, reflect.Bool, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return e
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return nil
		}
		if e.elem = newFlat(t.Elem(), outer); e.elem == nil {
			return nil
		}
		e.reads = e.reads || e.elem.reads
		return e
	case reflect.Struct:
	default:
		return nil
	}
	names := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		if f.Anonymous { // its fields may hide others
			return nil
		}
		if !f.IsExported() || tag == "-" {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if name == "" {
			name = f.Name
		}
		inner := newFlat(f.Type, outer)
		if inner == nil || names[name] || !isPlainName(name) || options != "" && options != "omitempty" {
			return nil
		}
		names[name] = true
		e.reads = e.reads || inner.reads
		omitEmpty := options != "" && inner.kind != reflect.Struct // a struct is never empty
		e.fields = append(e.fields, flatField{inner, i, `"` + name + `":`, omitEmpty})
	}
	return e
}

// isPlainName reports whether a field's name needs no escape and encoding/json accepts it in
// a tag.
func isPlainName(name string) bool {
	for _, c := range []byte(name) {
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// Append appends the JSON of a value of the type to dst, the bytes that encoding/json
// writes. It fails for NaN and infinities.
func (e *Flat) Append(dst []byte, v reflect.Value) ([]byte, error) {
	return e.append(dst, v, "null")
}

// append is Append, with the JSON of nil slices.
func (e *Flat) append(dst []byte, v reflect.Value, null string) ([]byte, error) {
	const slack = 16 // a number may have some more digits than that of a recent value
	start := len(dst)
	dst, err := e.appendValue(slices.Grow(dst, int(e.size.Load())+slack), v, null)
	if err != nil {
		return nil, err
	}
	// Several goroutines may write the estimate, so it is only written if it is far off.
	if size, known := int32(len(dst)-start), e.size.Load(); size > known || size < known/2 {
		e.size.Store(size)
	}
	if start == 0 {
		dst = Fit(dst)
	}
	return dst, nil
}

// Fit returns b, or a copy if much more room was made for it than it needs, for what is kept: what
// Append makes ready for a value is as large as a recent one.
func Fit(b []byte) []byte {
	if cap(b) > 2*len(b)+64 {
		return slices.Clone(b)
	}
	return b
}

func (e *Flat) appendValue(dst []byte, v reflect.Value, null string) (_ []byte, err error) {
	switch e.kind {
	case reflect.Struct:
		dst = append(dst, '{')
		first := true
		for i := range e.fields {
			f := &e.fields[i]
			value := v.Field(f.index)
			if f.omitEmpty && (value.IsZero() || f.elem != nil && value.Len() == 0) {
				continue
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(dst, f.label...)
			if f.kind == reflect.String {
				dst = appendJSONString(dst, value.String())
			} else if dst, err = f.appendValue(dst, value, null); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case reflect.Slice:
		if v.IsNil() {
			return append(dst, null...), nil
		}
		dst = append(dst, '[')
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = e.elem.appendValue(dst, v.Index(i), null); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case reflect.String:
		return appendJSONString(dst, v.String()), nil
	case reflect.Bool:
		return strconv.AppendBool(dst, v.Bool()), nil
	case reflect.Float64:
		return appendJSONFloat(dst, v.Float())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(dst, v.Int(), 10), nil
	default:
		return strconv.AppendUint(dst, v.Uint(), 10), nil
	}
}

// appendJSONFloat appends a number as encoding/json writes it. It fails if the number is not
// finite.
func appendJSONFloat(dst []byte, n float64) ([]byte, error) {
	const exact = 1 << 53 // below it, a whole number is its digits
	if n == math.Trunc(n) && math.Abs(n) < exact && !(n == 0 && math.Signbit(n)) {
		return strconv.AppendInt(dst, int64(n), 10), nil
	}
	b, err := json.Marshal(n)
	return append(dst, b...), err
}

// appendJSONString appends a string as encoding/json writes it.
func appendJSONString(dst []byte, s string) []byte {
	if needsEscape(s) {
		b, err := json.Marshal(s)
		if err != nil {
			panic("jsonshape: encode a string: " + err.Error()) // strings always encode
		}
		return append(dst, b...)
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// plainByte says of each byte whether encoding/json writes it as it is, wherever it stands.
var plainByte = func() (plain [256]bool) {
	for c := byte(' '); c < utf8.RuneSelf; c++ {
		plain[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	return plain
}()

// needsEscape reports whether encoding/json writes a string with escapes.
func needsEscape(s string) bool {
	i := 0
	for i < len(s) && plainByte[s[i]] {
		i++
	}
	for i < len(s) {
		if plainByte[s[i]] {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r < utf8.RuneSelf || r == utf8.RuneError && size == 1 || r == '\u2028' || r == '\u2029' {
			return true
		}
		i += size
	}
	return false
}
