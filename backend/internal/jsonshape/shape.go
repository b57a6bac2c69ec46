package jsonshape

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// typeShape has the rules for JSON of a Go type beyond those that encoding/json checks: null
// only where the type has a nil, no required field missing, only the values of a union.
// The generated types (package typegen) follow the same rules. A typeShape does not change
// once it is made.
type typeShape struct {
	kind shapeKind
	want string // for messages
	null bool   // null is one of its values
	nil  bool   // its zero value is nil
	deep bool   // more than null for the whole must be checked

	fields []shapeField // of an object
	elem   Shape        // of an array or a record
	union  []string     // the values of a string, or of a record's keys; nil for any
}

type shapeKind byte

const (
	anyShape    shapeKind = iota // not checked
	stringShape                  // with a union
	objectShape
	arrayShape
	recordShape
)

// Shape has the rules for JSON at one place: an argument, a field, an element. Make one with Shapes.Of. It does not change, and may be
// used by several goroutines.
type Shape struct {
	*typeShape
	nullable bool // by its type's shape, or because it is a pointer
}

type shapeField struct {
	Shape
	name     string
	required bool
}

// Shapes makes the shapes of types, each once. Only one goroutine may use it at a time.
type Shapes struct {
	unions map[reflect.Type][]string
	made   map[reflect.Type]*typeShape
}

// NewShapes returns a maker of shapes. unions has the string types that have only the listed
// values.
func NewShapes(unions map[reflect.Type][]string) *Shapes {
	return &Shapes{unions: unions, made: map[reflect.Type]*typeShape{}}
}

var (
	timeType       = reflect.TypeFor[time.Time]()
	numberType     = reflect.TypeFor[json.Number]()
	jsonReaderType = reflect.TypeFor[json.Unmarshaler]()
	anything       = Shape{&typeShape{null: true}, true}
)

// Of returns the shape of a type.
func (s *Shapes) Of(t reflect.Type) Shape {
	pointer := false
	for t.Kind() == reflect.Pointer {
		if pointer && t.Name() != "" {
			return anything // type P *P
		}
		t, pointer = t.Elem(), true
	}
	sh := s.made[t]
	if sh == nil {
		sh = &typeShape{want: jsonKind(t)}
		s.made[t] = sh // before it is filled: a type may contain itself
		s.fill(sh, t)
	}
	return Shape{sh, pointer || sh.null}
}

func (s *Shapes) fill(sh *typeShape, t reflect.Type) {
	p := reflect.PointerTo(t)
	switch {
	case t == timeType || t == numberType:
		return
	case p.Implements(marshalerType) || p.Implements(jsonReaderType):
		sh.null = true // the type itself decodes null
		return
	case p.Implements(textType) || p.Implements(unmarshalerType):
		return
	}
	switch t.Kind() {
	case reflect.Interface:
		sh.null = true
	case reflect.String:
		if sh.union = s.unions[t]; sh.union != nil {
			sh.kind, sh.deep = stringShape, true
		}
	case reflect.Slice, reflect.Array:
		sh.nil = t.Kind() == reflect.Slice
		if !isBase64(t) {
			sh.kind, sh.elem = arrayShape, s.Of(t.Elem())
			sh.deep = !sh.elem.nullable || sh.elem.deep
		}
	case reflect.Map:
		sh.nil = true
		sh.kind, sh.elem, sh.union = recordShape, s.Of(t.Elem()), s.unions[t.Key()]
		sh.deep = !sh.elem.nullable || sh.elem.deep || sh.union != nil
	case reflect.Struct:
		fields := FieldsOf(t)
		sh.kind, sh.deep = objectShape, len(fields) > 0
		for _, f := range fields {
			in := anything
			if _, hinted := f.Tag.Lookup("ts"); !hinted {
				in = s.Of(f.Type)
			}
			if f.Quoted && in.kind == stringShape {
				in.typeShape = &typeShape{want: in.want}
			}
			sh.fields = append(sh.fields, shapeField{in, f.Name, !f.Optional})
		}
	}
}

// isBase64 reports whether encoding/json writes an array or slice as a string.
func isBase64(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && !Marshals(t.Elem())
}

// Absent returns an error if a value is required, nil if it may be absent.
func (in Shape) Absent() error {
	switch {
	case in.nullable || in.typeShape.nil:
		return nil
	case in.kind == objectShape:
		_, err := in.object([]byte("{}"), 0)
		return asError(err)
	}
	return fmt.Errorf("want %s, got nothing", in.want)
}

// Check returns an error if raw does not have the shape. encoding/json must have decoded raw
// into a value of the type before; Check does not repeat its checks.
func (in Shape) Check(raw []byte) error {
	if !in.deep && in.nullable {
		return nil
	}
	_, err := in.value(raw, skipSpace(raw, 0))
	return asError(err)
}

// shapeError is an error and its place.
type shapeError struct{ path, text string }

func asError(e *shapeError) error {
	if e == nil {
		return nil
	}
	if e.path == "" {
		return errors.New(e.text)
	}
	return fmt.Errorf("field %s: %s", strings.TrimPrefix(e.path, "."), e.text)
}

func (e *shapeError) in(path string) *shapeError {
	e.path = path + e.path
	return e
}

// value checks the value at raw[i:] and returns its end. The text is valid JSON of the right
// kinds.
func (in Shape) value(raw []byte, i int) (end int, err *shapeError) {
	if raw[i] == 'n' {
		if !in.nullable {
			return i, &shapeError{text: fmt.Sprintf("want %s, got null", in.want)}
		}
		return i + len("null"), nil
	}
	switch {
	case !in.deep:
		return skipValue(raw, i), nil
	case in.kind == stringShape:
		end = skipString(raw, i)
		return end, in.oneOf(raw[i:end])
	case in.kind == arrayShape && raw[i] == '[':
		return in.array(raw, i)
	case in.kind == objectShape && raw[i] == '{':
		return in.object(raw, i)
	case in.kind == recordShape && raw[i] == '{':
		return in.record(raw, i)
	}
	return skipValue(raw, i), nil
}

func (sh *typeShape) array(raw []byte, i int) (int, *shapeError) {
	i = skipSpace(raw, i+1)
	for n := 0; raw[i] != ']'; n++ {
		end, err := sh.elem.value(raw, i)
		if err != nil {
			return end, err.in("[" + strconv.Itoa(n) + "]")
		}
		i = next(raw, end)
	}
	return i + 1, nil
}

func (sh *typeShape) record(raw []byte, i int) (int, *shapeError) {
	i = skipSpace(raw, i+1)
	for raw[i] != '}' {
		end := skipString(raw, i)
		key := raw[i:end]
		if err := sh.oneOf(key); err != nil {
			return end, err.in("[" + string(key) + "]")
		}
		end, err := sh.elem.value(raw, next(raw, end))
		if err != nil {
			return end, err.in("[" + string(key) + "]")
		}
		i = next(raw, end)
	}
	return i + 1, nil
}

func (sh *typeShape) object(raw []byte, i int) (int, *shapeError) {
	var few [32]bool // avoids an allocation for most structs
	there := few[:]
	if len(sh.fields) > len(few) {
		there = make([]bool, len(sh.fields))
	}
	i = skipSpace(raw, i+1)
	for raw[i] != '}' {
		end := skipString(raw, i)
		n := sh.field(raw[i:end])
		i = next(raw, end)
		if n < 0 {
			i = next(raw, skipValue(raw, i)) // of a newer client
			continue
		}
		there[n] = true
		end, err := sh.fields[n].value(raw, i)
		if err != nil {
			return end, err.in("." + sh.fields[n].name)
		}
		i = next(raw, end)
	}
	for n, f := range sh.fields {
		if f.required && !there[n] {
			return i, (&shapeError{text: "it is missing"}).in("." + f.name)
		}
	}
	return i + 1, nil
}

// field returns the index of the field to which encoding/json decodes a key, -1 for none: the
// field of that name, or one whose name differs in case.
func (sh *typeShape) field(key []byte) int {
	name := key[1 : len(key)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		name = []byte(unquote(key))
	}
	for n := range sh.fields {
		if sh.fields[n].name == string(name) {
			return n
		}
	}
	for n := range sh.fields {
		if strings.EqualFold(sh.fields[n].name, string(name)) {
			return n
		}
	}
	return -1
}

// oneOf checks a JSON string.
func (sh *typeShape) oneOf(text []byte) *shapeError {
	if sh.union == nil {
		return nil
	}
	value := text[1 : len(text)-1]
	for _, u := range sh.union {
		if u == string(value) {
			return nil
		}
	}
	s := unquote(text)
	if slices.Contains(sh.union, s) {
		return nil
	}
	var want []string
	for _, u := range sh.union {
		want = append(want, strconv.Quote(u))
	}
	const most = 40
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return &shapeError{text: fmt.Sprintf("want %s, got %q", strings.Join(want, " or "), s)}
}

// unquote returns the value of a JSON string.
func unquote(text []byte) (s string) {
	_ = json.Unmarshal(text, &s) // it is JSON
	return s
}

// next returns the start of the next token after a comma or colon.
func next(raw []byte, i int) int {
	i = skipSpace(raw, i)
	if raw[i] == ',' || raw[i] == ':' {
		return skipSpace(raw, i+1)
	}
	return i
}

func skipSpace(raw []byte, i int) int {
	for raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\t' || raw[i] == '\r' {
		i++
	}
	return i
}

// skipString returns the end of the string that begins at raw[i].
func skipString(raw []byte, i int) int {
	for i++; raw[i] != '"'; i++ {
		if raw[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// skipValue returns the end of the value that begins at raw[i].
func skipValue(raw []byte, i int) int {
	switch raw[i] {
	case '"':
		return skipString(raw, i)
	case '{', '[':
		for depth := 0; ; {
			switch raw[i] {
			case '"':
				i = skipString(raw, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
	}
	for i < len(raw) && raw[i] != ',' && raw[i] != '}' && raw[i] != ']' && raw[i] > ' ' {
		i++
	}
	return i
}
