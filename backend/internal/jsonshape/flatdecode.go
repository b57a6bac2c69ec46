package jsonshape

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"unicode/utf8"
)

// Unmarshal is json.Unmarshal into a zero value. It decodes JSON of a flat type in a third of
// the time, if the JSON is what Flat.Append writes: its fields in their order, without spaces.
func Unmarshal(raw []byte, into any) error {
	v := reflect.ValueOf(into).Elem()
	if flat := FlatOf(v.Type()); flat != nil && !flat.reads {
		if rest, ok := flat.decode(raw, v); ok && len(rest) == 0 {
			return nil
		}
		v.SetZero()
	}
	return json.Unmarshal(raw, into)
}

// decode decodes a value at the start of raw into v, and returns the rest. It reports false for
// JSON that is not what appendValue writes, and then v may have been changed.
func (e *Flat) decode(raw []byte, v reflect.Value) (rest []byte, ok bool) {
	switch e.kind {
	case reflect.Struct:
		return e.decodeStruct(raw, v)
	case reflect.Slice:
		return e.decodeSlice(raw, v)
	case reflect.String:
		s, rest, ok := decodeString(raw)
		if ok {
			v.SetString(s)
		}
		return rest, ok
	case reflect.Bool:
		if rest, ok := cutPrefix(raw, "true"); ok {
			v.SetBool(true)
			return rest, true
		}
		return cutPrefix(raw, "false")
	}
	n := numberLen(raw)
	text := string(raw[:n])
	switch rest = raw[n:]; {
	case n == 0:
		return nil, false
	case e.kind == reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		v.SetFloat(f)
		return rest, err == nil
	case v.CanInt():
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(i)
		return rest, err == nil
	default:
		u, err := strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(u)
		return rest, err == nil
	}
}

func (e *Flat) decodeStruct(raw []byte, v reflect.Value) (rest []byte, ok bool) {
	if rest, ok = cutPrefix(raw, "{"); !ok {
		return nil, false
	}
	first := true
	for i := range e.fields {
		f := &e.fields[i]
		value := rest
		if !first {
			if value, ok = cutPrefix(rest, ","); !ok {
				value = nil // the end, or no JSON
			}
		}
		if value, ok = cutPrefix(value, f.label); !ok {
			if f.omitEmpty {
				continue
			}
			return nil, false
		}
		if rest, ok = f.decode(value, v.Field(f.index)); !ok {
			return nil, false
		}
		first = false
	}
	return cutPrefix(rest, "}")
}

func (e *Flat) decodeSlice(raw []byte, v reflect.Value) (rest []byte, ok bool) {
	if rest, ok = cutPrefix(raw, "null"); ok {
		return rest, true // v is nil
	}
	if rest, ok = cutPrefix(raw, "["); !ok {
		return nil, false
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	for n := 0; ; n++ {
		if end, ok := cutPrefix(rest, "]"); ok {
			return end, true
		}
		if n > 0 {
			if rest, ok = cutPrefix(rest, ","); !ok {
				return nil, false
			}
		}
		if n == v.Cap() {
			v.Grow(1)
		}
		v.SetLen(n + 1)
		if rest, ok = e.elem.decode(rest, v.Index(n)); !ok {
			return nil, false
		}
	}
}

func cutPrefix(raw []byte, prefix string) ([]byte, bool) {
	if len(raw) < len(prefix) || string(raw[:len(prefix)]) != prefix {
		return nil, false
	}
	return raw[len(prefix):], true
}

// decodeString decodes a string at the start of raw.
func decodeString(raw []byte) (s string, rest []byte, ok bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", nil, false
	}
	end := bytes.IndexByte(raw[1:], '"') + 1
	if end == 0 {
		return "", nil, false
	}
	if inner := raw[1:end]; isPlain(inner) {
		return string(inner), raw[end+1:], true
	}
	for i := 1; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			err := json.Unmarshal(raw[:i+1], &s)
			return s, raw[i+1:], err == nil
		case c == '\\':
			i++
		}
	}
	return "", nil, false
}

// isPlain reports whether the inside of a string in JSON is the string.
func isPlain(inner []byte) bool {
	for _, c := range inner {
		if c == '\\' || c < ' ' {
			return false
		}
	}
	return utf8.Valid(inner)
}

// numberLen returns the length of the number in JSON at the start of raw, 0 if there is none.
func numberLen(raw []byte) int {
	i := 0
	digits := func() bool {
		start := i
		for i < len(raw) && '0' <= raw[i] && raw[i] <= '9' {
			i++
		}
		return i > start
	}
	if i < len(raw) && raw[i] == '-' {
		i++
	}
	start := i
	if !digits() || raw[start] == '0' && i > start+1 {
		return 0
	}
	if i < len(raw) && raw[i] == '.' {
		if i++; !digits() {
			return 0
		}
	}
	if i < len(raw) && raw[i]|0x20 == 'e' {
		if i++; i < len(raw) && (raw[i] == '+' || raw[i] == '-') {
			i++
		}
		if !digits() {
			return 0
		}
	}
	return i
}
