package definition

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
)

// Copier makes copies of the values of one type that share no memory with them: what an
// author does with a copy cannot reach the original (G7). A nil *Copier is that of a type
// whose ordinary copies share nothing. A Copier may be used by several goroutines.
type Copier struct {
	typ    reflect.Type
	kind   copyKind
	elem   *Copier // of a slice, array, map or pointer; nil if it is copy-safe
	fields []fieldCopier
}

type fieldCopier struct {
	index  int
	copier *Copier
}

type copyKind uint8

const (
	copySlice copyKind = iota
	copyArray
	copyMap
	copyPointer
	copyStruct
	copyJSON // encoded and decoded: memory that cannot be walked, or that may have cycles
)

var (
	copiers  sync.Map // *Copier by reflect.Type; a nil one for copy-safe types
	timeType = reflect.TypeFor[time.Time]()
)

// CopierOf returns the Copier of a type, nil if the type is copy-safe.
func CopierOf(t reflect.Type) *Copier {
	if known, ok := copiers.Load(t); ok {
		return known.(*Copier)
	}
	var c *Copier
	if !CopySafe(t) {
		c = newCopier(t, map[reflect.Type]*Copier{})
	}
	copiers.Store(t, c)
	return c
}

// newCopier makes the Copier of a type that is not copy-safe. made has those that are
// under way: a type may contain itself.
func newCopier(t reflect.Type, made map[reflect.Type]*Copier) *Copier {
	if c := made[t]; c != nil {
		return c
	}
	c := &Copier{typ: t, kind: copyJSON}
	made[t] = c
	if !walkable(t) || jsonshape.Marshals(t) && recursive(t, map[reflect.Type]bool{}) {
		return c
	}
	inner := func(t reflect.Type) *Copier {
		if CopySafe(t) {
			return nil
		}
		return newCopier(t, made)
	}
	switch t.Kind() {
	case reflect.Slice:
		c.kind, c.elem = copySlice, inner(t.Elem())
	case reflect.Array:
		c.kind, c.elem = copyArray, inner(t.Elem())
	case reflect.Map:
		c.kind, c.elem = copyMap, inner(t.Elem())
	case reflect.Pointer:
		c.kind, c.elem = copyPointer, inner(t.Elem())
	case reflect.Struct:
		c.kind = copyStruct
		for i := range t.NumField() {
			if f := inner(t.Field(i).Type); f != nil {
				c.fields = append(c.fields, fieldCopier{i, f})
			}
		}
	}
	return c
}

// walkable reports whether package reflect can copy all memory of a type's own level: no
// interface, and no unexported field that may share memory. What is below has a Copier of
// its own.
func walkable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Slice, reflect.Array, reflect.Pointer:
		return true
	case reflect.Map:
		return CopySafe(t.Key())
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if !f.IsExported() || f.Tag.Get("json") == "-" {
				return false
			}
		}
		return true
	}
	return false
}

// recursive reports whether a type may contain itself. A value that encodes itself may then
// have a cycle that its JSON leaves out, like a pointer to a parent. above has the types
// around t as true, and those that were searched as false.
func recursive(t reflect.Type, above map[reflect.Type]bool) bool {
	if inside, seen := above[t]; seen {
		return inside
	}
	above[t] = true
	defer func() { above[t] = false }()
	switch t.Kind() {
	case reflect.Slice, reflect.Array, reflect.Map, reflect.Pointer:
		return recursive(t.Elem(), above)
	case reflect.Struct:
		for i := range t.NumField() {
			if recursive(t.Field(i).Type, above) {
				return true
			}
		}
	}
	return false
}

// maxDetachDepth is how deep the memory of a value may nest: deeper than any value that
// encoding/json decodes, which has at most 10,000 levels of at most three each.
const maxDetachDepth = 30_000

// FromJSON reports whether copies are made by encoding and decoding.
func (c *Copier) FromJSON() bool { return c != nil && c.kind == copyJSON }

// Detach replaces all memory that v, which can be set, shares with others by copies. It
// fails if that takes JSON and v cannot be encoded and decoded again, and if v has a cycle.
func (c *Copier) Detach(v reflect.Value) error { return c.detach(v, 0) }

func (c *Copier) detach(v reflect.Value, depth int) error {
	if depth > maxDetachDepth {
		return fmt.Errorf("a %s contains itself, or nests deeper than %d levels", c.typ, maxDetachDepth)
	}
	switch c.kind {
	case copySlice:
		if v.IsNil() {
			return nil
		}
		all := reflect.MakeSlice(c.typ, v.Len(), v.Len())
		reflect.Copy(all, v)
		v.Set(all)
		return c.detachElems(v, depth+1)
	case copyArray:
		return c.detachElems(v, depth+1)
	case copyMap:
		return c.detachMap(v, depth+1)
	case copyPointer:
		if v.IsNil() {
			return nil
		}
		p := reflect.New(c.typ.Elem())
		p.Elem().Set(v.Elem())
		v.Set(p.Convert(c.typ))
		if c.elem == nil {
			return nil
		}
		return c.elem.detach(v.Elem(), depth+1)
	case copyStruct:
		for _, f := range c.fields {
			if err := f.copier.detach(v.Field(f.index), depth+1); err != nil {
				return err
			}
		}
		return nil
	default:
		b, err := json.Marshal(v.Addr().Interface())
		if err != nil {
			return err
		}
		fresh := reflect.New(c.typ)
		if err := json.Unmarshal(b, fresh.Interface()); err != nil {
			return fmt.Errorf("a %s cannot be decoded from its own JSON: %w", c.typ, err)
		}
		v.Set(fresh.Elem())
		return nil
	}
}

func (c *Copier) detachElems(v reflect.Value, depth int) error {
	if c.elem == nil {
		return nil
	}
	for i := range v.Len() {
		if err := c.elem.detach(v.Index(i), depth); err != nil {
			return err
		}
	}
	return nil
}

func (c *Copier) detachMap(v reflect.Value, depth int) error {
	if v.IsNil() {
		return nil
	}
	all := reflect.MakeMapWithSize(c.typ, v.Len())
	key, elem := reflect.New(c.typ.Key()).Elem(), reflect.New(c.typ.Elem()).Elem()
	for it := v.MapRange(); it.Next(); {
		key.SetIterKey(it)
		elem.SetIterValue(it)
		if c.elem != nil {
			if err := c.elem.detach(elem, depth); err != nil {
				return err
			}
		}
		all.SetMapIndex(key, elem)
	}
	v.Set(all)
	return nil
}

// Copy returns a copy of a value of the type.
func (c *Copier) Copy(value any) (any, error) {
	if c == nil {
		return value, nil
	}
	v := reflect.New(c.typ).Elem()
	v.Set(reflect.ValueOf(value))
	if err := c.Detach(v); err != nil {
		return nil, err
	}
	return v.Interface(), nil
}

// CopySafe reports whether an ordinary copy of a value of t shares no memory with it that
// can be changed.
func CopySafe(t reflect.Type) bool {
	if t == timeType {
		return true // what it points to does not change
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return false
	case reflect.Array:
		return CopySafe(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !CopySafe(t.Field(i).Type) {
				return false
			}
		}
	}
	return true
}
