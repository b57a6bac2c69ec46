package jsonshape

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// Field is a field as encoding/json sees it.
type Field[T any] struct {
	Name     string // in JSON
	GoName   string
	Index    []int // as reflect.StructField has it
	Type     T
	Tag      reflect.StructTag
	OmitZero bool

	// Optional: it may be missing. It is tagged omitempty or omitzero, or it is in
	// an embedded struct that is reached by a pointer, which may be nil.
	Optional bool

	// Quoted is the option "string", which means something for numbers, booleans
	// and strings.
	Quoted bool

	tagged bool
}

// Declared is a field as the struct declares it.
type Declared[T any] struct {
	Name               string
	Tag                reflect.StructTag
	Type               T
	Exported, Embedded bool

	// Struct is the type of the struct that the field embeds, directly or by a
	// pointer, if IsStruct.
	Struct            T
	IsStruct, Pointer bool
}

// Fields returns the fields of the struct type t in the order in which encoding/json
// writes them. declared returns the fields that a struct type declares; T is
// comparable as types are identical.
func Fields[T comparable](t T, declared func(T) []Declared[T]) []Field[T] {
	type level struct {
		typ     T
		index   []int
		pointer bool
	}
	var fields []Field[T]
	next := []level{{typ: t}}
	var count, nextCount map[T]int
	visited := map[T]bool{}
	for len(next) > 0 {
		current := next
		next, count, nextCount = nil, nextCount, map[T]int{}
		for _, l := range current {
			if visited[l.typ] {
				continue
			}
			visited[l.typ] = true
			for i, raw := range declared(l.typ) {
				if !raw.Exported && !(raw.Embedded && raw.IsStruct) {
					continue
				}
				tag := raw.Tag.Get("json")
				if tag == "-" {
					continue
				}
				name, options, _ := strings.Cut(tag, ",")
				if !valid(name) {
					name = ""
				}
				index := append(slices.Clone(l.index), i)
				if name == "" && raw.Embedded && raw.IsStruct {
					if nextCount[raw.Struct]++; nextCount[raw.Struct] == 1 {
						next = append(next, level{raw.Struct, index, l.pointer || raw.Pointer})
					}
					continue
				}
				opts := strings.Split(options, ",")
				f := Field[T]{
					Name: cmp.Or(name, raw.Name), GoName: raw.Name, Index: index, Type: raw.Type, Tag: raw.Tag, tagged: name != "",
					OmitZero: slices.Contains(opts, "omitzero"), Quoted: slices.Contains(opts, "string"),
				}
				f.Optional = f.OmitZero || l.pointer || slices.Contains(opts, "omitempty")
				fields = append(fields, f)
				if count[l.typ] > 1 {
					// The struct is embedded more than once here: the second one makes its
					// fields ambiguous.
					fields = append(fields, f)
				}
			}
		}
	}
	return dominant(fields)
}

// dominant leaves one field of each name: the one that is least deep, among those
// the one with a tag, and none if there are several.
func dominant[T any](fields []Field[T]) []Field[T] {
	rank := func(a, b Field[T]) int {
		return cmp.Or(cmp.Compare(len(a.Index), len(b.Index)), -cmp.Compare(btoi(a.tagged), btoi(b.tagged)))
	}
	slices.SortStableFunc(fields, func(a, b Field[T]) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), rank(a, b), slices.Compare(a.Index, b.Index))
	})
	var out []Field[T]
	for i := 0; i < len(fields); {
		end := i + 1
		for end < len(fields) && fields[end].Name == fields[i].Name {
			end++
		}
		if end == i+1 || rank(fields[i], fields[i+1]) != 0 {
			out = append(out, fields[i])
		}
		i = end
	}
	slices.SortFunc(out, func(a, b Field[T]) int { return slices.Compare(a.Index, b.Index) })
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// valid reports whether encoding/json takes a name from a tag.
func valid(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

// FieldsOf returns the fields of a struct type of package reflect.
func FieldsOf(t reflect.Type) []Field[reflect.Type] {
	return Fields(t, func(t reflect.Type) []Declared[reflect.Type] {
		raws := make([]Declared[reflect.Type], t.NumField())
		for i := range raws {
			f := t.Field(i)
			s, pointer := f.Type, false
			if s.Name() == "" && s.Kind() == reflect.Pointer {
				s, pointer = s.Elem(), true
			}
			raws[i] = Declared[reflect.Type]{
				Name: f.Name, Tag: f.Tag, Type: f.Type, Exported: f.IsExported(), Embedded: f.Anonymous,
				Struct: s, IsStruct: s.Kind() == reflect.Struct, Pointer: pointer,
			}
		}
		return raws
	})
}
