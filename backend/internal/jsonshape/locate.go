package jsonshape

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Locate returns why a JSON text does not decode into a type, with the path of the first
// value that does not: messages[4].at: want a string, got number. It returns nil if it
// decodes. at is the path of the text itself.
func Locate(t reflect.Type, raw []byte, at string) error {
	err := json.Unmarshal(raw, reflect.New(t).Interface())
	if err == nil {
		return nil
	}
	if !json.Valid(raw) {
		return fmt.Errorf("it is not JSON: %w", err)
	}
	path, err := locate(t, raw, err)
	if path = at + path; path == "" {
		return err
	}
	return fmt.Errorf("%s: %w", strings.TrimPrefix(path, "."), err)
}

// locate returns the path, and the error of the value there. why is the error of raw.
func locate(t reflect.Type, raw []byte, why error) (path string, err error) {
	for t.Kind() == reflect.Pointer && t.Name() == "" {
		t = t.Elem()
	}
	if Marshals(t) || reflect.PointerTo(t).Implements(jsonReaderType) {
		return "", explain(why, t)
	}
	inner := func(t reflect.Type, at string, raw []byte) bool {
		why := json.Unmarshal(raw, reflect.New(t).Interface())
		if why == nil {
			return false
		}
		path, err = locate(t, raw, why)
		path = at + path
		return true
	}
	switch t.Kind() {
	case reflect.Struct:
		fields := FieldsOf(t)
		for _, m := range Members(raw) {
			for _, f := range fields {
				if strings.EqualFold(f.Name, m.Name) && !f.Quoted && inner(f.Type, "."+f.Name, m.Value) {
					return path, err
				}
			}
		}
	case reflect.Map:
		for _, m := range Members(raw) {
			if inner(t.Elem(), "["+strconv.Quote(m.Name)+"]", m.Value) {
				return path, err
			}
		}
	case reflect.Slice, reflect.Array:
		for i, e := range Elements(raw) {
			if inner(t.Elem(), "["+strconv.Itoa(i)+"]", e) {
				return path, err
			}
		}
	}
	return "", explain(why, t)
}
