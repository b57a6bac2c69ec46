package typegen

import (
	"go/types"
	"unicode"
)

// baseName returns a name for a type. The name of an instance of a generic type
// includes those of its arguments.
func baseName(t types.Type) string {
	switch t := types.Unalias(t).(type) {
	case *types.Named:
		name := capital(t.Obj().Name())
		for arg := range t.TypeArgs().Types() {
			name += baseName(arg)
		}
		return name
	case *types.Pointer:
		return baseName(t.Elem())
	case *types.Slice:
		return baseName(t.Elem()) + "Array"
	case *types.Array:
		return baseName(t.Elem()) + "Array"
	case *types.Map:
		return baseName(t.Elem()) + "Record"
	case *types.Basic:
		return capital(t.Name())
	}
	return "Value"
}

func capital(name string) string {
	r := []rune(name)
	r[0] = unicode.ToUpper(r[0])
	return string(r)
}
