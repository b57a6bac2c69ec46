package jsonshape

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"strconv"
	"strings"
)

// CheckNumbers returns an error that names the first integer in JSON which JavaScript
// reads as another number: it has 53 bits for them.
func CheckNumbers(raw []byte) error {
	const digits = len("9007199254740993") // no shorter integer is inexact
	if len(raw) < digits {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	field, isObject := "", []bool{} // of each level
	for {
		token, err := d.Token()
		if err != nil {
			return nil //lint:ignore nilerr the end: what is not JSON is found elsewhere
		}
		in := len(isObject) - 1
		object := in >= 0 && isObject[in]
		switch v := token.(type) {
		case json.Delim:
			switch v {
			case '{':
				isObject = append(isObject, true)
			case '[':
				isObject = append(isObject, false)
			default:
				isObject = isObject[:in]
			}
		case json.Number:
			if text := v.String(); len(text) >= digits && !strings.ContainsAny(text, ".eE") && !exact(text) {
				where := ""
				if field != "" {
					where = "field " + field + ": "
				}
				return fmt.Errorf("%s%s is another number in JavaScript: tag the field `json:\",string\"`, or make it a string", where, text)
			}
		case string:
			if object {
				field = v // a key, or a value, which no number follows before the next key
			}
		}
	}
}

// exact reports whether a float64 holds an integer.
func exact(integer string) bool {
	f, err := strconv.ParseFloat(integer, 64)
	if err != nil {
		return false
	}
	n, ok := new(big.Int).SetString(integer, 10)
	back, _ := big.NewFloat(f).Int(nil)
	return ok && n.Cmp(back) == 0
}

// Changed compares a value with what was decoded from its JSON, and names the first place
// at which they differ: a type inside an interface, or a value that was lost. Nil and empty
// slices and maps are the same, and so are equal times. It returns an empty string if
// nothing has changed.
func Changed(before, after reflect.Value) string { return changed(before, after, "") }

func changed(before, after reflect.Value, path string) string {
	switch before.Kind() {
	case reflect.Interface, reflect.Pointer:
		if before.IsNil() || after.IsNil() {
			if before.IsNil() != after.IsNil() {
				return lost(path)
			}
			return ""
		}
		b, a := before.Elem(), after.Elem()
		if b.Type() != a.Type() {
			return fmt.Sprintf("%s: %s in an interface is a %s when it is loaded again; use a type that says what is in it", path, article(b.Type()), a.Type())
		}
		return changed(b, a, path)
	}
	if Marshals(before.Type()) {
		return "" // it says itself what its JSON is
	}
	switch before.Kind() {
	case reflect.Struct:
		for _, f := range FieldsOf(before.Type()) {
			b, errB := before.FieldByIndexErr(f.Index)
			a, errA := after.FieldByIndexErr(f.Index)
			if (errB == nil) != (errA == nil) {
				return lost(path + "." + f.GoName)
			}
			if errB == nil {
				if c := changed(b, a, path+"."+f.GoName); c != "" {
					return c
				}
			}
		}
	case reflect.Slice, reflect.Array:
		if before.Len() != after.Len() {
			return lost(path)
		}
		for i := range before.Len() {
			if c := changed(before.Index(i), after.Index(i), fmt.Sprintf("%s[%d]", path, i)); c != "" {
				return c
			}
		}
	case reflect.Map:
		if before.Len() != after.Len() {
			return lost(path)
		}
		for it := before.MapRange(); it.Next(); {
			place := fmt.Sprintf("%s[%v]", path, it.Key())
			a := after.MapIndex(it.Key())
			if !a.IsValid() {
				return lost(place)
			}
			if c := changed(it.Value(), a, place); c != "" {
				return c
			}
		}
	default:
		if !before.Equal(after) {
			return lost(path)
		}
	}
	return ""
}

func lost(path string) string { return path + ": its value is another one when it is loaded again" }

func article(t reflect.Type) string {
	if strings.ContainsRune("aeiou", rune(t.String()[0])) {
		return "an " + t.String()
	}
	return "a " + t.String()
}
