package jsonshape

import (
	"bytes"
	"reflect"
	"sync"
	"unicode/utf8"
)

// MaxDepth is how many levels of arrays and objects JSON may have that goes in or out of an
// actor. encoding/json refuses to decode more than 10,000, and the store adds some.
const MaxDepth = 500

// TooDeep reports whether the JSON of a value of t has more than MaxDepth levels. It looks
// only at types that can nest without bound.
func TooDeep(t reflect.Type, raw []byte) bool {
	return len(raw) > MaxDepth && Nests(t) && Depth(raw) > MaxDepth
}

// Depth returns how many levels of arrays and objects valid JSON has.
func Depth(raw []byte) int {
	depth, deepest := 0, 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			for i++; i < len(raw) && raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	return deepest
}

var nestingTypes sync.Map // Nests by reflect.Type

// Nests reports whether values of a type can nest without bound: it contains itself, or an
// interface, or a type that writes its own JSON.
func Nests(t reflect.Type) bool {
	if known, ok := nestingTypes.Load(t); ok {
		return known.(bool)
	}
	nests := findNesting(t, map[reflect.Type]bool{})
	nestingTypes.Store(t, nests)
	return nests
}

// findNesting is Nests; above has the types that t is part of.
func findNesting(t reflect.Type, above map[reflect.Type]bool) bool {
	p := reflect.PointerTo(t)
	switch {
	case above[t]:
		return true
	case t == timeType || t == numberType:
		return false
	case p.Implements(marshalerType) || p.Implements(jsonReaderType):
		return true
	case p.Implements(textType) || p.Implements(unmarshalerType):
		return false
	}
	above[t] = true
	defer delete(above, t)
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Slice, reflect.Array, reflect.Map, reflect.Pointer:
		return findNesting(t.Elem(), above)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); sent(f) && findNesting(f.Type, above) {
				return true
			}
		}
	}
	return false
}

// ValidUTF8 returns JSON in which bytes that are not UTF-8 are replaced by U+FFFD: raw
// itself, if there are none.
func ValidUTF8(raw []byte) []byte {
	if utf8.Valid(raw) {
		return raw
	}
	return bytes.ToValidUTF8(raw, []byte("\uFFFD"))
}
