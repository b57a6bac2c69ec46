package jsonshape

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// Mask is what Masked puts in the place of a secret.
const Mask = "‹secret›"

var maskJSON = []byte(strconv.Quote(Mask))

// isSecret reports whether a field is tagged `troupe:"secret"`.
func isSecret(f *Field[reflect.Type]) bool { return f.Tag.Get("troupe") == "secret" }

// secretive has, by type, whether values of it may have secrets.
var secretive sync.Map // reflect.Type -> bool

// HasSecrets reports whether values of a type may have secrets: a struct that it is made of
// has a field tagged `troupe:"secret"`.
func HasSecrets(t reflect.Type) bool {
	if known, ok := secretive.Load(t); ok {
		return known.(bool)
	}
	has := findSecrets(t, map[reflect.Type]bool{})
	secretive.Store(t, has)
	return has
}

func findSecrets(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return findSecrets(t.Elem(), seen)
	case reflect.Struct:
		fields := FieldsOf(t)
		for i := range fields {
			if isSecret(&fields[i]) || findSecrets(fields[i].Type, seen) {
				return true
			}
		}
	}
	return false
}

// Masked returns the JSON of a value of type t with Mask in the place of each secret. It is
// raw itself if there is none. Raw must be valid JSON.
func Masked(t reflect.Type, raw []byte) []byte {
	if !HasSecrets(t) {
		return raw
	}
	text, _ := rewrite(nil, t, raw, nil, func(_, _ []byte) ([]byte, error) { return maskJSON, nil })
	return text
}

// Unmasked undoes Masked in a text that was edited: each Mask is replaced by the secret that
// stands at the same place in the original. It fails if there is none.
func Unmasked(t reflect.Type, edited, original []byte) ([]byte, error) {
	if !HasSecrets(t) {
		return edited, nil
	}
	return rewrite(nil, t, edited, original, func(value, original []byte) ([]byte, error) {
		switch {
		case !bytes.Equal(value, maskJSON):
			return value, nil
		case original == nil:
			return nil, fmt.Errorf("a secret is %s, and there was none at its place: write the secret itself", Mask)
		}
		return original, nil
	})
}

// rewrite appends raw with each secret replaced by what secret returns. beside is a text of
// the same type; nil: there is none.
func rewrite(dst []byte, t reflect.Type, raw, beside []byte, secret func(value, beside []byte) ([]byte, error)) (_ []byte, err error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if !HasSecrets(t) {
		return append(dst, raw...), nil
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		members := Members(raw)
		if members == nil {
			return append(dst, raw...), nil
		}
		var fields []Field[reflect.Type]
		if t.Kind() == reflect.Struct {
			fields = FieldsOf(t)
		}
		dst = append(dst, '{')
		for i, m := range members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, m.Text[:len(m.Text)-len(m.Value)]...)
			item, hidden := t, false
			if t.Kind() == reflect.Map {
				item = t.Elem()
			} else if f := fieldNamed(fields, m.Name); f != nil {
				item, hidden = f.Type, isSecret(f)
			} else {
				dst = append(dst, m.Value...)
				continue
			}
			other := memberNamed(beside, m.Name)
			if !hidden {
				dst, err = rewrite(dst, item, m.Value, other, secret)
			} else {
				var value []byte
				value, err = secret(m.Value, other)
				dst = append(dst, value...)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", m.Name, err)
			}
		}
		return append(dst, '}'), nil
	case reflect.Slice, reflect.Array:
		elements := Elements(raw)
		if elements == nil {
			return append(dst, raw...), nil
		}
		var others [][]byte
		if beside != nil {
			others = Elements(beside)
		}
		dst = append(dst, '[')
		for i, e := range elements {
			if i > 0 {
				dst = append(dst, ',')
			}
			var other []byte
			if i < len(others) {
				other = others[i]
			}
			if dst, err = rewrite(dst, t.Elem(), e, other, secret); err != nil {
				return nil, fmt.Errorf("%d: %w", i, err)
			}
		}
		return append(dst, ']'), nil
	}
	return append(dst, raw...), nil
}

// fieldNamed returns the field into which encoding/json decodes a member, nil if there is
// none. Case does not matter.
func fieldNamed(fields []Field[reflect.Type], name string) *Field[reflect.Type] {
	for i := range fields {
		if strings.EqualFold(fields[i].Name, name) {
			return &fields[i]
		}
	}
	return nil
}

// memberNamed returns the value of an object's member, nil if there is none.
func memberNamed(object []byte, name string) json.RawMessage {
	if object == nil {
		return nil
	}
	for _, m := range Members(object) {
		if m.Name == name {
			return m.Value
		}
	}
	return nil
}
