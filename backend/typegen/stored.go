package typegen

import (
	"fmt"
	"go/types"
	"slices"
	"strings"

	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
)

// storedComment comes before the list of what is stored.
const storedComment = `// What is stored of states and of connections' states, by names in JSON, with the versions
// of the definitions. If a line changes or is removed, say with actor.Version what becomes
// of what is stored already. This is no part of the contract: clients do not notice.
`

// stored returns what actors store, as a comment with a line for each field.
func (g *generator) stored() string {
	var b strings.Builder
	for _, a := range g.actors {
		if a.version > 0 {
			fmt.Fprintf(&b, "//\t%s: version %d\n", a.name, a.version)
		}
		g.storedFields(&b, a.name, a.typ)
		if a.conn != nil && !isOf(a.conn, actorPackage, "NoState") {
			g.storedFields(&b, a.name+" connection", a.conn)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return storedComment + "//\n" + b.String()
}

func (g *generator) storedFields(b *strings.Builder, of string, t types.Type) {
	s, ok := t.Underlying().(*types.Struct)
	if !ok || g.encodesItself(t) {
		fmt.Fprintf(b, "//\t%s: %s\n", of, g.storedShape(t, nil))
		return
	}
	for _, f := range jsonshape.Fields(node{typ: s}, declared) {
		fmt.Fprintf(b, "//\t%s.%s\n", of, g.storedField(f, nil))
	}
}

func (g *generator) storedField(f jsonshape.Field[node], above []types.Type) string {
	text := f.Name + ": " + g.storedShape(f.Type.typ, above)
	if f.Quoted {
		text += " in quotes"
	}
	return text
}

// storedShape returns what the JSON of a type depends on: its parts down to basic types.
// above has the named types around it, which are not written again.
func (g *generator) storedShape(t types.Type, above []types.Type) string {
	t = types.Unalias(t)
	of := func(t types.Type) string { return g.storedShape(t, above) }
	if n, ok := t.(*types.Named); ok {
		args := n.TypeArgs()
		switch {
		case isOf(n, actorPackage, "List"):
			return "List of " + of(args.At(0))
		case isOf(n, actorPackage, "Map"), isOf(n, actorPackage, "Table"):
			return fmt.Sprintf("%s of %s by %s", n.Obj().Name(), of(args.At(1)), of(args.At(0)))
		case g.encodesItself(n), slices.ContainsFunc(above, func(a types.Type) bool { return types.Identical(a, n) }):
			return g.goName(n)
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
			fields = append(fields, g.storedField(f, above))
		}
		return "{" + strings.Join(fields, ", ") + "}"
	}
	return "any"
}

// encodesItself reports whether a type has a MarshalJSON or MarshalText.
func (g *generator) encodesItself(t types.Type) bool {
	p := types.NewPointer(t)
	return types.Implements(p, jsonMarshaler) || types.Implements(p, textMarshaler)
}
