package typegen

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/troupe-dev/troupe/backend/actor"
)

// generator collects the named types that are needed, and what cannot be
// expressed.
type generator struct {
	pkg  *packages.Package
	errs []error

	types map[string]types.Type // needed ones, by their TypeScript name
	names map[types.Type]string
	queue []string // of names whose types are not written yet

	files map[string]*ast.File   // by name
	specs map[types.Object]*spec // nil: looked for and not found
	at    token.Pos              // what is being written, for errors about types without a place
}

// spec is what the source says of a named type.
type spec struct {
	doc, hint string
	fields    map[string]string // docs, by the field's Go name
	same      ast.Expr          // the right side of the declaration
}

func newGenerator(pkg *packages.Package) *generator {
	g := &generator{
		pkg: pkg, types: map[string]types.Type{}, names: map[types.Type]string{},
		files: map[string]*ast.File{}, specs: map[types.Object]*spec{},
	}
	for _, f := range pkg.Syntax {
		g.files[pkg.Fset.Position(f.Pos()).Filename] = f
	}
	return g
}

func (g *generator) failf(pos token.Pos, format string, args ...any) {
	if !pos.IsValid() {
		pos = g.at
	}
	where := ""
	if pos.IsValid() {
		where = g.pkg.Fset.Position(pos).String() + ": "
	}
	err := fmt.Errorf("%s%s", where, fmt.Sprintf(format, args...))
	if !slices.ContainsFunc(g.errs, func(e error) bool { return e.Error() == err.Error() }) {
		g.errs = append(g.errs, err)
	}
}

// ref returns how a type is written where it is used.
func (g *generator) ref(t types.Type, pos token.Pos) string {
	t = types.Unalias(t)
	switch n, ok := t.(*types.Named); {
	case !ok:
		return g.literal(t, pos)
	case isNamed(t, actorPath, "List"):
		return array(g.ref(n.TypeArgs().At(0), pos))
	case isNamed(t, actorPath, "Map"):
		return g.record(n.TypeArgs().At(0), n.TypeArgs().At(1), pos)
	case isNamed(t, "time", "Time"):
		return "string"
	case isNamed(t, "encoding/json", "RawMessage"):
		return "unknown"
	case isNamed(t, "encoding/json", "Number"):
		return "number"
	case n.Obj().Pkg() == nil: // error, comparable
		g.failf(pos, "a %s cannot be sent", t)
		return "never"
	default:
		return g.name(n)
	}
}

// name returns the name of a named type, which will be written.
func (g *generator) name(n *types.Named) string {
	for other, name := range g.names {
		if types.Identical(other, n) {
			return name
		}
	}
	name := upper(n.Obj().Name())
	for arg := range n.TypeArgs().Types() {
		name += upper(strings.Map(letters, types.TypeString(arg, func(*types.Package) string { return "" })))
	}
	_, ours := g.pkg.Types.Scope().Lookup(name).(*types.TypeName)
	if _, taken := g.types[name]; taken || ours && n.Obj().Pkg() != g.pkg.Types {
		name = upper(n.Obj().Pkg().Name()) + name
	}
	for i := 2; ; i++ {
		if _, taken := g.types[name]; !taken && name != "Registry" {
			break
		}
		name = strings.TrimRight(name, "0123456789") + strconv.Itoa(i)
	}
	g.types[name], g.names[n] = n, name
	g.queue = append(g.queue, name)
	return name
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// letters keeps what a name may have.
func letters(r rune) rune {
	if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return -1
}

func array(elem string) string {
	if strings.ContainsAny(elem, " |&") && !strings.HasPrefix(elem, "{") && !strings.HasPrefix(elem, "Record<") {
		elem = "(" + elem + ")"
	}
	return elem + "[]"
}

// record returns the type of an object by keys.
func (g *generator) record(key, value types.Type, pos token.Pos) string {
	k := "string"
	switch basic, ok := key.Underlying().(*types.Basic); {
	case ok && basic.Info()&types.IsString != 0 && len(g.union(key)) > 0:
		return "Partial<Record<" + g.ref(key, pos) + ", " + g.ref(value, pos) + ">>"
	case ok && basic.Info()&(types.IsString|types.IsInteger) != 0, g.has(key, "MarshalText"):
	default:
		g.failf(pos, "%s cannot be the key of a JSON object", key)
	}
	return "Record<" + k + ", " + g.ref(value, pos) + ">"
}

// literal returns the type of values of an unnamed type, or of the type that a
// named one is of.
func (g *generator) literal(t types.Type, pos token.Pos) string {
	switch t := t.(type) {
	case *types.Basic:
		switch {
		case t.Info()&types.IsBoolean != 0:
			return "boolean"
		case t.Info()&types.IsString != 0:
			return "string"
		case t.Info()&(types.IsInteger|types.IsFloat) != 0 && t.Kind() != types.Uintptr:
			return "number"
		}
	case *types.Pointer:
		return g.ref(t.Elem(), pos) + " | null"
	case *types.Slice:
		if b, ok := t.Elem().Underlying().(*types.Basic); ok && b.Kind() == types.Uint8 && !g.marshals(t.Elem()) {
			return "string" // base64
		}
		return array(g.ref(t.Elem(), pos))
	case *types.Array:
		return array(g.ref(t.Elem(), pos))
	case *types.Map:
		return g.record(t.Key(), t.Elem(), pos)
	case *types.Struct:
		return g.object(t, nil, pos)
	case *types.Interface:
		if t.NumMethods() == 0 {
			return "unknown"
		}
	case *types.Named:
		return g.ref(t, pos)
	}
	g.failf(pos, "a %s cannot be sent as JSON", t)
	return "never"
}

// has reports whether a type, or a pointer to it, has a method that encodes it.
func (g *generator) has(t types.Type, method string) bool {
	if _, pointer := t.(*types.Pointer); !pointer && !types.IsInterface(t) {
		t = types.NewPointer(t)
	}
	obj, _, _ := types.LookupFieldOrMethod(t, true, nil, method)
	f, ok := obj.(*types.Func)
	if !ok {
		return false
	}
	sig := f.Signature()
	return sig.Params().Len() == 0 && sig.Results().Len() == 2 && sig.Results().At(0).Type().String() == "[]byte" && isError(sig.Results().At(1).Type())
}

func (g *generator) marshals(t types.Type) bool {
	return g.has(t, "MarshalJSON") || g.has(t, "MarshalText")
}

// union returns the constants of a string type, in their order in the source.
func (g *generator) union(t types.Type) []string {
	n, ok := types.Unalias(t).(*types.Named)
	if !ok || n.Obj().Pkg() == nil {
		return nil
	}
	var consts []*types.Const
	for _, name := range n.Obj().Pkg().Scope().Names() {
		c, ok := n.Obj().Pkg().Scope().Lookup(name).(*types.Const)
		if ok && types.Identical(c.Type(), n) && c.Val().Kind() == constant.String {
			consts = append(consts, c)
		}
	}
	slices.SortFunc(consts, func(a, b *types.Const) int { return cmp.Compare(a.Pos(), b.Pos()) })
	var values []string
	for _, c := range consts {
		if v := quote(constant.StringVal(c.Val())); !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	return values
}

// field is a member of a JSON object.
type field struct {
	name, doc string
	typ       types.Type
	pos       token.Pos
	optional  bool
	quoted    bool // the tag has ",string"
	hint      string
	depth     int
	tagged    bool
}

// fields returns what encoding/json makes of a struct: its rules for embedded
// structs decide which of several fields of one name counts.
func (g *generator) fields(t *types.Struct, owner *types.Named) []field {
	var all []field
	g.collect(&all, t, owner, 0, map[types.Type]bool{})
	byName := map[string][]field{}
	var order []string
	for _, f := range all {
		if byName[f.name] == nil {
			order = append(order, f.name)
		}
		byName[f.name] = append(byName[f.name], f)
	}
	var fields []field
	for _, name := range order {
		same := byName[name]
		depth := slices.MinFunc(same, func(a, b field) int { return a.depth - b.depth }).depth
		same = slices.DeleteFunc(same, func(f field) bool { return f.depth > depth })
		if tagged := slices.DeleteFunc(slices.Clone(same), func(f field) bool { return !f.tagged }); len(tagged) > 0 {
			same = tagged
		}
		if len(same) == 1 {
			fields = append(fields, same[0])
		}
	}
	return fields
}

func (g *generator) collect(all *[]field, t *types.Struct, owner *types.Named, depth int, seen map[types.Type]bool) {
	for i := range t.NumFields() {
		v := t.Field(i)
		tag := reflect.StructTag(t.Tag(i))
		name, options, _ := strings.Cut(tag.Get("json"), ",")
		if tag.Get("json") == "-" {
			continue
		}
		inner := v.Type()
		if p, ok := inner.Underlying().(*types.Pointer); ok && v.Embedded() {
			inner = p.Elem()
		}
		embedded, isStruct := inner.Underlying().(*types.Struct)
		if !v.Exported() && !(v.Embedded() && isStruct) {
			continue
		}
		if v.Embedded() && isStruct && name == "" && !g.marshals(inner) {
			if !seen[inner] {
				seen[inner] = true
				named, _ := types.Unalias(inner).(*types.Named)
				n := len(*all)
				g.collect(all, embedded, named, depth+1, seen)
				for i := range (*all)[n:] { // nothing of a nil pointer is written
					(*all)[n+i].optional = (*all)[n+i].optional || inner != v.Type()
				}
			}
			continue
		}
		f := field{
			name: cmp.Or(name, v.Name()), typ: v.Type(), pos: v.Pos(), depth: depth, tagged: name != "",
			hint: tag.Get("ts"),
		}
		for option := range strings.SplitSeq(options, ",") {
			f.optional = f.optional || option == "omitempty" || option == "omitzero"
			f.quoted = f.quoted || option == "string"
		}
		if owner != nil {
			if s := g.spec(owner.Origin().Obj()); s != nil {
				f.doc = s.fields[v.Name()]
			}
		}
		*all = append(*all, f)
	}
}

// object returns the type of an object with the fields of a struct.
func (g *generator) object(t *types.Struct, owner *types.Named, pos token.Pos) string {
	const indent = "  "
	fields := g.fields(t, owner)
	if len(fields) == 0 {
		return "Record<string, never>"
	}
	var b strings.Builder
	b.WriteString("{\n")
	for _, f := range fields {
		writeDoc(&b, f.doc, indent)
		at := f.pos
		if !at.IsValid() {
			at = pos
		}
		b.WriteString(indent + member(f.name))
		typ := f.hint
		if typ == "" {
			typ = g.fieldType(f, at)
		}
		if f.optional {
			b.WriteString("?")
		}
		b.WriteString(": " + strings.ReplaceAll(typ, "\n", "\n"+indent) + ";\n")
	}
	b.WriteString("}")
	return b.String()
}

func (g *generator) fieldType(f field, pos token.Pos) string {
	typ := g.ref(f.typ, pos)
	if b, ok := f.typ.Underlying().(*types.Basic); ok && f.quoted && b.Info()&(types.IsString|types.IsNumeric|types.IsBoolean) != 0 {
		typ = "string"
	}
	if f.optional { // a nil pointer is left out
		typ = strings.TrimSuffix(typ, " | null")
	}
	return typ
}

// member returns the name of a member as it is written.
func member(name string) string {
	if name != "" && strings.Map(letters, name) == name && (name[0] < '0' || name[0] > '9') {
		return name
	}
	return quote(name)
}

// argName is a Go parameter's name as clients would write it; what TypeScript keeps
// for itself gets an underscore.
func argName(name string) string {
	name = actor.WireName(name)
	if slices.Contains([]string{
		"arguments", "await", "class", "delete", "enum", "eval", "export", "extends", "false", "finally", "function", "implements", "in",
		"instanceof", "let", "new", "null", "private", "protected", "public", "static", "super", "this", "throw", "true", "try", "typeof",
		"void", "while", "with", "yield", "do", "catch",
	}, name) {
		return name + "_"
	}
	return name
}

func quote(s string) string { return strconv.Quote(s) }

// declaration returns what declares a named type.
func (g *generator) declaration(name string) string {
	n := g.types[name].(*types.Named)
	g.at = n.Obj().Pos()
	var b strings.Builder
	s := g.spec(n.Origin().Obj())
	hint := ""
	if s != nil {
		writeDoc(&b, s.doc, "")
		hint = s.hint
	}
	t, isStruct := n.Underlying().(*types.Struct)
	switch {
	case hint != "":
		fmt.Fprintf(&b, "export type %s = %s;\n", name, hint)
	case g.has(n, "MarshalJSON"):
		g.failf(n.Obj().Pos(), "type %s encodes itself: say as what, by a comment //troupe:ts TYPE on it", n.Obj().Name())
	case g.has(n, "MarshalText"):
		fmt.Fprintf(&b, "export type %s = string;\n", name)
	case g.sameAs(n, s) != "":
		fmt.Fprintf(&b, "export type %s = %s;\n", name, g.sameAs(n, s))
	case isStruct:
		body := g.object(t, n, n.Obj().Pos())
		if strings.HasPrefix(body, "{") {
			fmt.Fprintf(&b, "export interface %s %s\n", name, body)
		} else {
			fmt.Fprintf(&b, "export type %s = %s;\n", name, body)
		}
	case len(g.union(n)) > 0:
		fmt.Fprintf(&b, "export type %s = %s;\n", name, strings.Join(g.union(n), " | "))
	default:
		fmt.Fprintf(&b, "export type %s = %s;\n", name, g.literal(n.Underlying(), n.Obj().Pos()))
	}
	return b.String()
}

// sameAs returns the name of the struct type that a type is declared to be like,
// as in type MessageReceived Message.
func (g *generator) sameAs(n *types.Named, s *spec) string {
	if s == nil || n.TypeArgs().Len() > 0 || n.Obj().Pkg() != g.pkg.Types {
		return ""
	}
	other, ok := types.Unalias(g.pkg.TypesInfo.TypeOf(s.same)).(*types.Named)
	if !ok || g.marshals(other) {
		return ""
	}
	if _, ok := other.Underlying().(*types.Struct); !ok {
		return ""
	}
	return g.ref(other, n.Obj().Pos())
}

// doc returns the comment on a function or type.
func (g *generator) doc(obj types.Object) string {
	if _, ok := obj.(*types.TypeName); ok {
		if s := g.spec(obj); s != nil {
			return s.doc
		}
		return ""
	}
	file := g.file(obj)
	if file == nil {
		return ""
	}
	line := g.pkg.Fset.Position(obj.Pos()).Line
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if ok && f.Name.Name == obj.Name() && g.pkg.Fset.Position(f.Name.Pos()).Line == line {
			return f.Doc.Text()
		}
	}
	return ""
}

// spec returns what the source says of a named type, nil if it is not at hand.
func (g *generator) spec(obj types.Object) *spec {
	if s, ok := g.specs[obj]; ok {
		return s
	}
	g.specs[obj] = nil
	file := g.file(obj)
	if file == nil {
		return nil
	}
	line := g.pkg.Fset.Position(obj.Pos()).Line
	ast.Inspect(file, func(n ast.Node) bool {
		decl, ok := n.(*ast.GenDecl)
		if !ok || decl.Tok != token.TYPE {
			return true
		}
		for _, sp := range decl.Specs {
			t := sp.(*ast.TypeSpec)
			if t.Name.Name == obj.Name() && g.pkg.Fset.Position(t.Name.Pos()).Line == line {
				g.specs[obj] = newSpec(decl, t)
			}
		}
		return true
	})
	return g.specs[obj]
}

const hintPrefix = "//troupe:ts "

func newSpec(decl *ast.GenDecl, t *ast.TypeSpec) *spec {
	comment := t.Doc
	if comment == nil && len(decl.Specs) == 1 {
		comment = decl.Doc
	}
	s := &spec{doc: comment.Text(), fields: map[string]string{}, same: t.Type}
	if comment != nil {
		for _, c := range comment.List {
			if hint, ok := strings.CutPrefix(c.Text, hintPrefix); ok {
				s.hint = strings.TrimSpace(hint)
			}
		}
	}
	if st, ok := t.Type.(*ast.StructType); ok {
		for _, f := range st.Fields.List {
			text := f.Doc.Text()
			if text == "" {
				text = f.Comment.Text()
			}
			for _, name := range f.Names {
				s.fields[name.Name] = text
			}
		}
	}
	return s
}

// file returns the source in which an object is declared.
func (g *generator) file(obj types.Object) *ast.File {
	if !obj.Pos().IsValid() {
		return nil
	}
	name := g.pkg.Fset.Position(obj.Pos()).Filename
	f, ok := g.files[name]
	if !ok {
		f, _ = parser.ParseFile(g.pkg.Fset, name, nil, parser.ParseComments|parser.SkipObjectResolution) // nil if it is not at hand
		g.files[name] = f
	}
	return f
}

// write returns the source of all.
func (g *generator) write(defs []*definition) []byte {
	var body strings.Builder
	for _, d := range defs {
		g.at = d.pos
		writeDoc(&body, d.doc, "  ")
		fmt.Fprintf(&body, "  %s: {\n", member(d.name))
		g.writeActions(&body, d)
		g.writeEvents(&body, d)
		fmt.Fprintf(&body, "    params: %s;\n", g.optional(d.params, d.pos))
		fmt.Fprintf(&body, "    input: %s;\n  };\n", g.optional(d.input, d.pos))
	}
	written := map[string]string{}
	for len(g.queue) > 0 {
		name := g.queue[0]
		g.queue = g.queue[1:]
		written[name] = g.declaration(name)
	}
	var b strings.Builder
	b.WriteString("// Code generated by typegen from Go. DO NOT EDIT: go generate ./...\n\n")
	for _, name := range slices.Sorted(maps.Keys(written)) {
		b.WriteString(written[name] + "\n")
	}
	b.WriteString("/** The actors of the server, by name: their actions, events, params and input. */\nexport const registry = {} as {\n")
	b.WriteString(body.String() + "};\n")
	return []byte(b.String())
}

func (g *generator) writeActions(b *strings.Builder, d *definition) {
	if len(d.actions) == 0 {
		b.WriteString("    actions: Record<never, never>;\n")
		return
	}
	b.WriteString("    actions: {\n")
	for _, a := range d.actions {
		g.at = a.pos
		writeDoc(b, a.doc, "      ")
		var args []string
		for i, arg := range a.args {
			name := arg.Name()
			if name == "" || name == "_" {
				name = "arg" + strconv.Itoa(i+1)
			}
			args = append(args, argName(name)+": "+inline(g.ref(arg.Type(), arg.Pos())))
		}
		result := "void"
		if a.result != nil {
			result = inline(g.ref(a.result, a.pos))
		}
		fmt.Fprintf(b, "      %s(%s): %s;\n", member(a.name), strings.Join(args, ", "), result)
	}
	b.WriteString("    };\n")
}

func (g *generator) writeEvents(b *strings.Builder, d *definition) {
	if len(d.events) == 0 {
		b.WriteString("    events: Record<never, never>;\n")
		return
	}
	b.WriteString("    events: {\n")
	for _, e := range d.events {
		if s := g.spec(e.typ.Origin().Obj()); s != nil {
			writeDoc(b, s.doc, "      ")
		}
		fmt.Fprintf(b, "      %s: %s;\n", member(e.name), g.ref(e.typ, e.typ.Obj().Pos()))
	}
	b.WriteString("    };\n")
}

// optional returns the type of params or of an input: they may be left out if all
// of their fields may.
func (g *generator) optional(t types.Type, pos token.Pos) string {
	if t == nil {
		return "undefined"
	}
	ref := inline(g.ref(t, pos))
	named, _ := types.Unalias(t).(*types.Named)
	s, ok := t.Underlying().(*types.Struct)
	if ok && !g.marshals(t) && !slices.ContainsFunc(g.fields(s, named), func(f field) bool { return !f.optional }) {
		return ref + " | undefined"
	}
	return ref
}

// inline writes an object on one line.
func inline(s string) string { return strings.Join(strings.Fields(s), " ") }

// writeDoc writes a Go comment as one of TypeScript.
func writeDoc(b *strings.Builder, doc, indent string) {
	doc = strings.ReplaceAll(strings.TrimSpace(doc), "*/", "*\\/")
	switch {
	case doc == "":
	case !strings.Contains(doc, "\n"):
		fmt.Fprintf(b, "%s/** %s */\n", indent, doc)
	default:
		fmt.Fprintf(b, "%s/**\n", indent)
		for line := range strings.SplitSeq(doc, "\n") {
			b.WriteString(strings.TrimRight(indent+" * "+line, " ") + "\n")
		}
		b.WriteString(indent + " */\n")
	}
}
