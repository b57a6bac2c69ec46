package jsonshape

import (
	"encoding/json"
	"reflect"
	"sync"
)

// Marshal is json.Marshal with two exceptions. Bytes which are not UTF-8 become U+FFFD
// wherever they are: encoding/json leaves them in the JSON that a type writes itself. And a
// MarshalJSON or MarshalText with a pointer receiver, as a big.Int has, is called for v and
// its fields also if v is not a pointer.
func Marshal(v any) ([]byte, error) {
	if t := reflect.TypeOf(v); t != nil && needsPointer(t) {
		p := reflect.New(t)
		p.Elem().Set(reflect.ValueOf(v))
		v = p.Interface()
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return ValidUTF8(b), nil
}

var pointerTypes sync.Map // needsPointer by reflect.Type

// needsPointer reports whether a value of t, or a value in its memory, encodes itself by a
// method with a pointer receiver.
func needsPointer(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct, reflect.Array:
	case reflect.Pointer:
		return false
	default:
		return t.Name() != "" && marshalsByPointer(t)
	}
	if known, ok := pointerTypes.Load(t); ok {
		return known.(bool)
	}
	needs := marshalsByPointer(t)
	switch {
	case needs || Marshals(t):
	case t.Kind() == reflect.Array:
		needs = needsPointer(t.Elem())
	default:
		for i := range t.NumField() {
			if f := t.Field(i); sent(f) && needsPointer(f.Type) {
				needs = true
				break
			}
		}
	}
	pointerTypes.Store(t, needs)
	return needs
}

func marshalsByPointer(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(marshalerType) && !t.Implements(marshalerType) || p.Implements(textType) && !t.Implements(textType)
}

// BrokenMap returns a map in t whose values or keys encode themselves by a method with a
// pointer receiver, nil if there is none. encoding/json does not call it: values in a map
// have no address.
func BrokenMap(t reflect.Type) reflect.Type { return brokenMap(t, map[reflect.Type]bool{}) }

func brokenMap(t reflect.Type, seen map[reflect.Type]bool) reflect.Type {
	if seen[t] || Marshals(t) {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Map:
		if k := t.Key(); needsPointer(t.Elem()) || reflect.PointerTo(k).Implements(textType) && !k.Implements(textType) {
			return t
		}
		return brokenMap(t.Elem(), seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return brokenMap(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); sent(f) {
				if m := brokenMap(f.Type, seen); m != nil {
					return m
				}
			}
		}
	}
	return nil
}
