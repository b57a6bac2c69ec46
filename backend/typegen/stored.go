package typegen

import (
	"fmt"
	"go/types"
	"slices"
	"strings"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
)

// storedComment comes before the list of what is stored.
const storedComment = `// What is stored of states, of connections' states and of messages, by names in JSON, with
// the versions of the definitions. If a line changes or is removed, say with actor.Version
// what becomes of what is stored already. This is no part of the contract: clients do not
// notice.
`

// storedTypes writes what is stored of types, a line for each field.
type storedTypes struct {
	goName func(types.Type) string
	strings.Builder
}

// stored returns what actors store, as a comment with a line for each field.
func stored(actors []*actorDef, goName func(types.Type) string) string {
	s := storedTypes{goName: goName}
	for _, a := range actors {
		if a.version > 0 {
			fmt.Fprintf(&s, "//\t%s: version %d\n", a.name, a.version)
		}
		s.fields(a.name, a.typ)
		if a.conn != nil && !isOf(a.conn, actorPackage, "NoState") {
			s.fields(a.name+" connection", a.conn)
		}
		for _, m := range a.messages {
			s.message(a.name, m)
		}
	}
	if s.Len() == 0 {
		return ""
	}
	return storedComment + "//\n" + s.String()
}

// message writes a message under the name that it is stored under, which a new name of its
// type changes.
func (s *storedTypes) message(of string, t types.Type) {
	named, ok := t.(*types.Named)
	if !ok {
		return // which Define refuses
	}
	fmt.Fprintf(s, "//\t%s message %s: %s\n", of, actor.WireName(named.Obj().Name()), s.shape(t, nil))
}

func (s *storedTypes) fields(of string, t types.Type) {
	u, ok := t.Underlying().(*types.Struct)
	if !ok || encodesItself(t) {
		fmt.Fprintf(s, "//\t%s: %s\n", of, s.shape(t, nil))
		return
	}
	for _, f := range jsonshape.Fields(node{typ: u}, declared) {
		fmt.Fprintf(s, "//\t%s.%s\n", of, s.field(f, nil))
	}
}

func (s *storedTypes) field(f jsonshape.Field[node], above []types.Type) string {
	text := f.Name + ": " + s.shape(f.Type.typ, above)
	if f.Quoted {
		text += " in quotes"
	}
	return text
}

// shape returns what the JSON of a type depends on: its parts down to basic types.
// above has the named types around it, which are not written again.
func (s *storedTypes) shape(t types.Type, above []types.Type) string {
	t = types.Unalias(t)
	of := func(t types.Type) string { return s.shape(t, above) }
	if n, ok := t.(*types.Named); ok {
		args := n.TypeArgs()
		switch {
		case isOf(n, actorPackage, "List"):
			return "List of " + of(args.At(0))
		case isOf(n, actorPackage, "Map"), isOf(n, actorPackage, "Table"):
			return fmt.Sprintf("%s of %s by %s", n.Obj().Name(), of(args.At(1)), of(args.At(0)))
		case encodesItself(n), slices.ContainsFunc(above, func(a types.Type) bool { return types.Identical(a, n) }):
			return s.goName(n)
		}
		above = append(slices.Clip(above), n)
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return u.Name()
	case *types.Pointer:
		return "*" + of(u.Elem())
	case *types.Slice:
		return "[]" + of(u.Elem())
	case *types.Array:
		return fmt.Sprintf("[%d]%s", u.Len(), of(u.Elem()))
	case *types.Map:
		return fmt.Sprintf("map[%s]%s", of(u.Key()), of(u.Elem()))
	case *types.Struct:
		var fields []string
		for _, f := range jsonshape.Fields(node{typ: u}, declared) {
			fields = append(fields, s.field(f, above))
		}
		return "{" + strings.Join(fields, ", ") + "}"
	}
	return "any"
}

// encodesItself reports whether a type has a MarshalJSON or MarshalText.
func encodesItself(t types.Type) bool {
	p := types.NewPointer(t)
	return types.Implements(p, jsonMarshaler) || types.Implements(p, textMarshaler)
}
