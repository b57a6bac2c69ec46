package jsonshape

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
)

// Encode returns the JSON of an event, a result or an argument. It is that of
// encoding/json, except that nil slices and maps become empty ones, so that clients
// need not tell the two apart. The value itself is not changed. The errors are those
// of encoding/json.
func Encode(v any) ([]byte, error) {
	rv := reflect.ValueOf(v)
	if !rv.IsValid() {
		return []byte("null"), nil
	}
	if flat := FlatOf(rv.Type()); flat != nil {
		return flat.append(nil, rv, "[]")
	}
	return encodeFilled(rv)
}

// encodeFilled is Encode for types that are not flat.
func encodeFilled(rv reflect.Value) ([]byte, error) {
	v := rv.Interface()
	if mayHaveNil(rv.Type()) && hasNil(rv, 0) {
		filled := reflect.New(rv.Type()).Elem()
		filled.Set(rv)
		fill(filled, 0)
		v = filled.Interface()
	}
	return Marshal(v)
}

// maxPayloadDepth is the depth to which a payload is searched. encoding/json fails for
// deeper values, such as a pointer to itself.
const maxPayloadDepth = 1000

var nilTypes sync.Map // mayHaveNil by reflect.Type

// mayHaveNil reports whether values of a type may have slices or maps in them.
func mayHaveNil(t reflect.Type) bool {
	if known, ok := nilTypes.Load(t); ok {
		return known.(bool)
	}
	may := findNil(t, map[reflect.Type]bool{})
	nilTypes.Store(t, may)
	return may
}

func findNil(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] || Marshals(t) {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Slice, reflect.Map, reflect.Interface:
		return true
	case reflect.Array, reflect.Pointer:
		return findNil(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); sent(f) && findNil(f.Type, seen) {
				return true
			}
		}
	}
	return false
}

// sent reports whether a field, or fields in it, are part of the JSON.
func sent(f reflect.StructField) bool {
	return (f.IsExported() || f.Anonymous) && f.Tag.Get("json") != "-"
}

// leftOut reports whether a field with this value is left out of the JSON while its nil
// slices and maps stay nil.
func leftOut(f reflect.StructField, v reflect.Value) bool {
	_, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	if strings.Contains(options, "omitempty") && isNilSliceOrMap(v) {
		return true
	}
	if !strings.Contains(options, "omitzero") {
		return false
	}
	if v.CanInterface() && !(v.Kind() == reflect.Pointer && v.IsNil()) {
		if z, ok := v.Interface().(interface{ IsZero() bool }); ok {
			return z.IsZero()
		}
	}
	return v.IsZero()
}

func isNilSliceOrMap(v reflect.Value) bool {
	return (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.IsNil()
}

// hasNil reports whether there is a nil slice or map in a value.
func hasNil(v reflect.Value, depth int) bool {
	t := v.Type()
	if depth > maxPayloadDepth || !mayHaveNil(t) {
		return false
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		if isNilSliceOrMap(v) {
			return true
		}
		for i := 0; mayHaveNil(t.Elem()) && i < v.Len(); i++ {
			if hasNil(v.Index(i), depth+1) {
				return true
			}
		}
	case reflect.Map:
		if v.IsNil() {
			return true
		}
		for it := v.MapRange(); mayHaveNil(t.Elem()) && it.Next(); {
			if hasNil(it.Value(), depth+1) {
				return true
			}
		}
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil() && hasNil(v.Elem(), depth+1)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if sent(f) && !leftOut(f, v.Field(i)) && hasNil(v.Field(i), depth+1) {
				return true
			}
		}
	}
	return false
}

// fill replaces nil slices and maps in v with empty ones. v is a settable copy; fill copies
// what v refers to before it changes it.
func fill(v reflect.Value, depth int) {
	t := v.Type()
	if depth > maxPayloadDepth || !mayHaveNil(t) {
		return
	}
	switch t.Kind() {
	case reflect.Slice:
		all := reflect.MakeSlice(t, v.Len(), v.Len())
		reflect.Copy(all, v)
		v.Set(all)
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		all := reflect.MakeMapWithSize(t, v.Len())
		for it := v.MapRange(); it.Next(); {
			all.SetMapIndex(it.Key(), filled(it.Value(), depth))
		}
		v.Set(all)
	case reflect.Pointer:
		if !v.IsNil() {
			v.Set(filled(v.Elem(), depth).Addr())
		}
	case reflect.Interface:
		if !v.IsNil() {
			v.Set(filled(v.Elem(), depth))
		}
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if !sent(f) || leftOut(f, v.Field(i)) {
				continue
			}
			// An embedded struct of an unexported type cannot be set otherwise.
			fill(reflect.NewAt(f.Type, v.Field(i).Addr().UnsafePointer()).Elem(), depth+1)
		}
	}
}

// filled returns a copy of v without nil slices and maps.
func filled(v reflect.Value, depth int) reflect.Value {
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	fill(c, depth+1)
	return c
}

var (
	marshalerType   = reflect.TypeFor[json.Marshaler]()
	textType        = reflect.TypeFor[encoding.TextMarshaler]()
	unmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// Marshals reports whether values of t encode themselves, by MarshalJSON or
// MarshalText.
func Marshals(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(marshalerType) || p.Implements(textType)
}
