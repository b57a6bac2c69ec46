package typegen

import (
	"cmp"
	"fmt"
	"go/constant"
	"go/token"
	"go/types"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
)

// decl is a named type in the generated file.
type decl struct {
	named  *types.Named
	name   string
	params string   // of a generic interface: "<K, V>"
	fields []field  // of an interface
	text   string   // what the type is, if it is no interface
	union  []string // the values of a union
	uses   map[string]bool
}

// field is a field of an interface.
type field struct {
	name, text string
	doc        string
	optional   bool
}

// site is the place in the source where a type is used, for messages.
type site struct {
	pos  token.Pos
	what string
}

func (s site) of(part string) site { return site{s.pos, s.what + part} }

func key(t types.Type) string { return types.TypeString(t, nil) }

// goName is a type's name for messages.
func (g *generator) goName(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string {
		if p == g.pkg.Types {
			return ""
		}
		return p.Name()
	})
}

// expr returns the type t in TypeScript, and collects the declarations that it uses.
func (g *generator) expr(t types.Type, at site) string {
	t = types.Unalias(t)
	if n, ok := t.(*types.Named); ok {
		return g.namedExpr(n, at, false)
	}
	switch t := t.(type) {
	case *types.Basic:
		return g.basic(t, at)
	case *types.Pointer:
		elem := types.Unalias(t.Elem())
		text := ""
		if n, ok := elem.(*types.Named); ok {
			text = g.namedExpr(n, at, true)
		} else {
			text = g.expr(elem, at)
		}
		return orNull(text)
	case *types.Slice:
		if isBytes(t) {
			return "string"
		}
		return array(g.expr(t.Elem(), at.of("[]")))
	case *types.Array:
		return array(g.expr(t.Elem(), at.of("[]")))
	case *types.Map:
		return g.record(t.Key(), t.Elem(), at)
	case *types.Struct:
		return inline(g.structFields(t, at))
	case *types.Interface:
		if t.NumMethods() == 0 {
			return "unknown"
		}
		g.problem(at.pos, "%s: an interface with methods does not say what its JSON is: use a type that does, or any", at.what)
	default:
		g.problem(at.pos, "%s: %s cannot be JSON: leave it out (`json:\"-\"`), or use another type", at.what, g.goName(t))
	}
	return "unknown"
}

// record returns the type of an object by keys.
func (g *generator) record(k, elem types.Type, at site) string {
	k = types.Unalias(k)
	value := g.expr(elem, at.of("[…]"))
	b, ok := k.Underlying().(*types.Basic)
	switch {
	case ok && b.Info()&types.IsString != 0:
		if n, ok := k.(*types.Named); ok && g.isUnion(n) {
			return "Partial<Record<" + g.expr(n, at) + ", " + value + ">>"
		}
	case !(ok && b.Info()&types.IsInteger != 0) && !types.Implements(k, textMarshaler):
		g.problem(at.pos, "%s: a map with keys of %s cannot be JSON: want strings, integers, or what has MarshalText", at.what, g.goName(k))
	}
	return "Record<string, " + value + ">"
}

func (g *generator) basic(t *types.Basic, at site) string {
	switch info := t.Info(); {
	case info&types.IsBoolean != 0:
		return "boolean"
	case info&types.IsString != 0:
		return "string"
	case info&(types.IsInteger|types.IsFloat) != 0:
		return "number"
	}
	g.problem(at.pos, "%s: %s cannot be JSON: leave it out (`json:\"-\"`), or use another type", at.what, g.goName(t))
	return "unknown"
}

// namedExpr is expr for a named type, used directly or by a pointer.
func (g *generator) namedExpr(n *types.Named, at site, byPointer bool) string {
	switch {
	case isOf(n, actorPackage, "List"):
		return array(g.expr(n.TypeArgs().At(0), at.of("[]")))
	case isOf(n, actorPackage, "Map"):
		return g.record(n.TypeArgs().At(0), n.TypeArgs().At(1), at)
	case isOf(n, actorPackage, "Table"):
		g.problem(at.pos, "%s: %s cannot be sent, because it may be larger than memory: return an actor.Page of it", at.what, g.goName(n))
		return "unknown"
	case isOf(n, actorPackage, "Page"):
		return g.pageExpr(n, at)
	case isOf(n, "time", "Time"):
		return "string"
	case isOf(n, "encoding/json", "RawMessage"):
		return "unknown"
	case isOf(n, "encoding/json", "Number"):
		return "number"
	}
	_, isBasic := n.Underlying().(*types.Basic)
	custom := g.customJSON(n, at, byPointer)
	if hint := g.docs.of(n.Origin().Obj()).hint; hint != "" {
		if custom == noJSON && !isBasic {
			g.problem(n.Obj().Pos(), "%s: the directive troupe:ts is for types with a MarshalJSON of their own, and for strings and numbers; encoding/json says what this one is", n.Obj().Name())
		}
		return g.declare(n, func(d *decl) { d.text = hint })
	}
	switch custom {
	case textJSON:
		return g.declare(n, func(d *decl) { d.text = "string" })
	case ownJSON:
		g.problem(at.pos, "%s: %s has a MarshalJSON of its own: say what it writes, in a line above the type (//troupe:ts string) or in a tag of the field (`ts:\"string\"`)", at.what, g.goName(n))
		return "unknown"
	case wrongJSON:
		return "unknown"
	}
	switch u := n.Underlying().(type) {
	case *types.Struct:
		if other := g.sameAs(n); other != nil {
			return g.declare(n, func(d *decl) { d.text = g.expr(other, at) })
		}
		return g.declare(n, func(d *decl) {
			d.fields = g.structFields(u, site{n.Obj().Pos(), n.Obj().Name()})
			checkFields(g, n, u, d.fields)
		})
	case *types.Basic:
		return g.declare(n, func(d *decl) {
			d.text = g.basic(u, at)
			if g.isUnion(n) {
				d.union = g.constants(n)
				var literals []string
				for _, value := range d.union {
					literals = append(literals, literal(value))
				}
				d.text = strings.Join(literals, " | ")
			}
		})
	case *types.Map:
		// An index signature, unlike Record, may name the type itself.
		return g.declare(n, func(d *decl) {
			record := g.record(u.Key(), u.Elem(), at)
			if value, ok := strings.CutPrefix(record, "Record<string, "); ok {
				record = "{ [key: string]: " + strings.TrimSuffix(value, ">") + " }"
			}
			d.text = record
		})
	case *types.Pointer:
		g.problem(at.pos, "%s: %s is a named pointer: use *%s", at.what, g.goName(n), g.goName(u.Elem()))
		return "unknown"
	case *types.Slice, *types.Array:
		return g.declare(n, func(d *decl) { d.text = g.expr(u, at) })
	default:
		return g.expr(u, at)
	}
}

// pageExpr returns the type of an actor.Page, which is generic in TypeScript, too.
func (g *generator) pageExpr(n *types.Named, at site) string {
	name := g.declare(n.Origin(), func(d *decl) {
		d.params = "<K, V>"
		d.fields = []field{
			{name: "items", text: "{ key: K; value: V }[]", doc: "in the order of their keys"},
			{name: "hasBefore", text: "boolean", doc: "the table has items before them"},
			{name: "hasAfter", text: "boolean", doc: "the table has items after them"},
		}
	})
	return name + "<" + g.expr(n.TypeArgs().At(0), at.of(".items[].key")) + ", " + g.expr(n.TypeArgs().At(1), at.of(".items[].value")) + ">"
}

// declare returns the name of a declaration, and makes it with fill if it is new.
func (g *generator) declare(n *types.Named, fill func(*decl)) string {
	k := key(n)
	g.uses[k] = true
	d := g.decls[k]
	if d == nil {
		d = &decl{named: n, name: g.names[k], uses: map[string]bool{}}
		g.decls[k] = d
		outer := g.uses
		g.uses = d.uses
		fill(d)
		g.uses = outer
	}
	return d.name
}

// structFields returns the fields of a struct as encoding/json sees them.
func (g *generator) structFields(s *types.Struct, at site) []field {
	var fields []field
	for _, f := range jsonshape.Fields(node{typ: s}, declared) {
		v := f.Type.field
		here := at.of("." + f.Name)
		if v.Pkg() == g.pkg.Types {
			here.pos = v.Pos()
		}
		out := field{name: f.Name, doc: g.docs.of(v).text, optional: f.Optional}
		if hint, ok := f.Tag.Lookup("ts"); ok {
			out.text = hint
		} else if f.Quoted && g.isQuotable(f.Type.typ, here) {
			out.text = "string"
			if pointee(f.Type.typ) != nil {
				out.text = orNull(out.text)
			}
		} else {
			out.text = g.expr(f.Type.typ, here)
			checkNumber(g, f.Type.typ, f.Name, fmt.Sprintf("tag it `json:\"%s,string\"`, or `ts:\"number\"` if it stays below", f.Name), here)
		}
		if f.Optional {
			out.text = strings.TrimSuffix(out.text, " | null")
		}
		fields = append(fields, out)
	}
	return fields
}

// isQuotable reports whether the option "string" of a tag means something for a
// type.
func (g *generator) isQuotable(t types.Type, at site) bool {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	if n, ok := types.Unalias(t).(*types.Named); ok && g.customJSON(n, at, true) != noJSON {
		return false
	}
	_, ok := t.Underlying().(*types.Basic)
	return ok
}

// sameAs returns the named struct type on the right-hand side of n's declaration, as
// in type MessageReceived Message; nil if there is none.
func (g *generator) sameAs(n *types.Named) types.Type {
	right, ok := g.declared[n.Obj()]
	if !ok || n.TypeArgs().Len() > 0 {
		return nil
	}
	other, ok := types.Unalias(g.pkg.TypesInfo.TypeOf(right)).(*types.Named)
	if !ok || g.customJSON(other, site{}, true) != noJSON {
		return nil
	}
	return other
}

// node is a type for jsonshape, with the field that has it.
type node struct {
	typ   types.Type
	field *types.Var
}

func declared(n node) []jsonshape.Declared[node] {
	s := n.typ.Underlying().(*types.Struct)
	raws := make([]jsonshape.Declared[node], s.NumFields())
	for i := range raws {
		f := s.Field(i)
		embedded := types.Unalias(f.Type())
		p, pointer := embedded.(*types.Pointer)
		if pointer {
			embedded = types.Unalias(p.Elem())
		}
		_, isStruct := embedded.Underlying().(*types.Struct)
		raws[i] = jsonshape.Declared[node]{
			Name: f.Name(), Tag: reflect.StructTag(s.Tag(i)), Type: node{f.Type(), f}, Exported: f.Exported(), Embedded: f.Embedded(),
			Struct: node{typ: embedded}, IsStruct: isStruct, Pointer: pointer,
		}
	}
	return raws
}

// ownEncoding is the way in which a type encodes itself.
type ownEncoding int

const (
	noJSON    ownEncoding = iota
	ownJSON               // with MarshalJSON
	textJSON              // with MarshalText
	wrongJSON             // not clear; the problem is reported
)

// interfaceOf returns the interface with one method of the given signature.
func interfaceOf(name string, in, out *types.Tuple) *types.Interface {
	sig := types.NewSignatureType(nil, nil, nil, in, out, false)
	return types.NewInterfaceType([]*types.Func{types.NewFunc(token.NoPos, nil, name, sig)}, nil).Complete()
}

func tuple(ts ...types.Type) *types.Tuple {
	var vars []*types.Var
	for _, t := range ts {
		vars = append(vars, types.NewParam(token.NoPos, nil, "", t))
	}
	return types.NewTuple(vars...)
}

var (
	bytesType       = types.NewSlice(types.Typ[types.Byte])
	errorType       = types.Universe.Lookup("error").Type()
	jsonMarshaler   = interfaceOf("MarshalJSON", nil, tuple(bytesType, errorType))
	textMarshaler   = interfaceOf("MarshalText", nil, tuple(bytesType, errorType))
	jsonUnmarshaler = interfaceOf("UnmarshalJSON", tuple(bytesType), tuple(errorType))
	textUnmarshaler = interfaceOf("UnmarshalText", tuple(bytesType), tuple(errorType))
)

// customJSON returns how values of n encode themselves. Methods of *n count only
// if the value is reached through a pointer: otherwise encoding/json ignores them.
func (g *generator) customJSON(n *types.Named, at site, byPointer bool) ownEncoding {
	p := types.NewPointer(n)
	for _, c := range []struct {
		marshaler, unmarshaler *types.Interface
		method                 string
		encoding               ownEncoding
	}{
		{jsonMarshaler, jsonUnmarshaler, "JSON", ownJSON},
		{textMarshaler, textUnmarshaler, "Text", textJSON},
	} {
		switch {
		case types.Implements(n, c.marshaler), byPointer && types.Implements(p, c.marshaler):
			return c.encoding
		case types.Implements(p, c.marshaler):
			g.problem(at.pos, "%s: Marshal%s of %s has a pointer receiver, and is not called for all values: give it a value receiver, or use *%[3]s", at.what, c.method, g.goName(n))
			return wrongJSON
		case types.Implements(p, c.unmarshaler):
			g.problem(at.pos, "%s: %s has Unmarshal%s without Marshal%[3]s, so its encoding and decoding differ: add Marshal%[3]s", at.what, g.goName(n), c.method)
			return wrongJSON
		}
	}
	return noJSON
}

// isUnion reports whether a type becomes a union of its constants.
func (g *generator) isUnion(n *types.Named) bool {
	return g.constants(n) != nil && g.docs.of(n.Obj()).hint == "" && g.customJSON(n, site{}, false) == noJSON
}

// constants returns the values of a named string type that has constants, in the
// order of the source; nil for other types. Only exported constants of other packages
// are known. A type that this package cannot name is a plain string.
func (g *generator) constants(n *types.Named) []string {
	obj := n.Obj()
	b, ok := n.Underlying().(*types.Basic)
	if !ok || b.Info()&types.IsString == 0 || obj.Pkg() == nil || obj.Pkg() != g.pkg.Types && !obj.Exported() {
		return nil
	}
	var consts []*types.Const
	scope := obj.Pkg().Scope()
	for _, name := range scope.Names() {
		if c, ok := scope.Lookup(name).(*types.Const); ok && types.Identical(c.Type(), n) && (c.Exported() || obj.Pkg() == g.pkg.Types) {
			consts = append(consts, c)
		}
	}
	slices.SortStableFunc(consts, func(a, b *types.Const) int {
		x, y := g.pkg.Fset.Position(a.Pos()), g.pkg.Fset.Position(b.Pos())
		return cmp.Or(strings.Compare(x.Filename, y.Filename), x.Line-y.Line, x.Column-y.Column)
	})
	var values []string
	for _, c := range consts {
		if v := constant.StringVal(c.Val()); !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	return values
}

// absent reports whether a payload of type t may be missing; Go then gets the zero value.
func (g *generator) absent(t types.Type) bool {
	switch u := types.Unalias(t).Underlying().(type) {
	case *types.Pointer, *types.Interface, *types.Slice, *types.Map:
		return true
	case *types.Struct:
		if n, ok := types.Unalias(t).(*types.Named); ok && g.customJSON(n, site{}, false) != noJSON {
			return false
		}
		for _, f := range jsonshape.Fields(node{typ: u}, declared) {
			if !f.Optional {
				return false
			}
		}
		return true
	}
	return false
}

// globals are the global types that generated code uses. A declaration of the same name
// would hide them.
var globals = []string{"Partial", "Record"}

// chooseNames chooses the names of the declarations of the last rendering. Types of
// the package itself keep their names if those are free.
func (g *generator) chooseNames() {
	taken := map[string]bool{"Registry": true}
	for _, name := range globals {
		taken[name] = true
	}
	keys := slices.SortedFunc(maps.Keys(g.decls), func(a, b string) int {
		ours := func(k string) int {
			if g.decls[k].named.Obj().Pkg() == g.pkg.Types {
				return 0
			}
			return 1
		}
		return cmp.Or(ours(a)-ours(b), strings.Compare(a, b))
	})
	for _, k := range keys {
		n := g.decls[k].named
		name := baseName(n)
		if taken[name] && n.Obj().Pkg() != g.pkg.Types {
			name = capital(n.Obj().Pkg().Name()) + name
		}
		for i, first := 2, name; taken[name]; i++ {
			name = fmt.Sprint(first, i)
		}
		taken[name] = true
		g.names[k] = name
	}
}

// isBytes reports whether encoding/json encodes a slice in base64.
func isBytes(t *types.Slice) bool {
	b, ok := t.Elem().Underlying().(*types.Basic)
	if !ok || b.Kind() != types.Byte {
		return false
	}
	p := types.NewPointer(t.Elem())
	return !types.Implements(p, jsonMarshaler) && !types.Implements(p, textMarshaler)
}

func orNull(text string) string {
	if text == "unknown" || strings.HasSuffix(text, " | null") {
		return text
	}
	return text + " | null"
}

func array(text string) string {
	if strings.HasSuffix(text, " | null") {
		text = "(" + text + ")"
	}
	return text + "[]"
}

func inline(fields []field) string {
	if len(fields) == 0 {
		return "Record<string, never>"
	}
	var parts []string
	for _, f := range fields {
		parts = append(parts, f.member())
	}
	return "{ " + strings.Join(parts, "; ") + " }"
}
