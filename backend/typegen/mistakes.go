package typegen

import (
	"go/ast"
	"go/types"
	"maps"
	"slices"
	"strings"

	"github.com/troupe-dev/troupe/backend/internal/definition"
)

// findMistakes reports the methods of an actor that compile and do not do what they
// look like.
func findMistakes(g *generator, a *actorDef) {
	set := types.NewMethodSet(types.NewPointer(a.typ))
	for sel := range set.Methods() {
		m := sel.Obj().(*types.Func)
		if m.Pkg() != g.pkg.Types || g.functions[m] == nil {
			continue
		}
		checkMethodName(g, a, m)
		checkReadOnly(g, m, g.functions[m])
	}
}

// checkMethodName reports a method whose name is almost that of a hook, and warns of
// one that looks like an action and is none.
func checkMethodName(g *generator, a *actorDef, m *types.Func) {
	name, hooks := m.Name(), definition.HookSignatures()
	if !m.Exported() || hooks[name] != "" {
		return
	}
	if takes(m, "ConnectContext") {
		near := "OnBeforeConnect"
		if m.Signature().Results().Len() > 1 {
			near = "CreateConnState"
		}
		g.problem(m.Pos(), "method %s takes an *actor.ConnectContext, which only hooks do: did you mean %s?", name, hooks[near])
		return
	}
	if takes(m, "AccessContext") {
		g.problem(m.Pos(), "method %s takes an *actor.AccessContext, which only a hook does: did you mean %s?", name, hooks["OnAccess"])
		return
	}
	near := definition.NearHook(name)
	if isHook(name) {
		near = nearest(name, slices.Sorted(maps.Keys(hooks)))
	}
	switch {
	case isHook(name) && near != "":
		g.problem(m.Pos(), "method %s: there is no hook of this name: did you mean %s?", name, hooks[near])
	case isHook(name):
		g.problem(m.Pos(), "method %s: there is no hook of this name, and names that begin with On are for hooks: choose another one", name)
	case near != "":
		g.problem(m.Pos(), "method %s is not a hook, but almost has the name of one: did you mean %s?", name, hooks[near])
	case !takes(m, "Context") && !wellKnown[name]:
		g.warn(m.Pos(), "method %s is not an action: write func (%s) %s(c *actor.Context[…], …), or give it a lower-case name if clients must not call it", name, receiver(a), name)
	}
}

func receiver(a *actorDef) string {
	name := a.typ.Obj().Name()
	return strings.ToLower(name[:1]) + " *" + name
}

// takes reports whether the first parameter of a method is a pointer to a type of
// package actor.
func takes(m *types.Func, name string) bool {
	params := m.Signature().Params()
	return params.Len() > 0 && isOf(pointee(params.At(0).Type()), actorPackage, name)
}

// wellKnown are exported methods that other packages look for.
var wellKnown = map[string]bool{
	"String": true, "GoString": true, "Error": true, "Format": true, "LogValue": true,
	"MarshalText": true, "UnmarshalText": true, "MarshalBinary": true, "UnmarshalBinary": true,
}

// nearest returns the name that is most like another one, or "" if none is much like it.
func nearest(name string, names []string) string {
	best, least := "", 4
	for _, n := range names {
		d := distance(strings.ToLower(name), strings.ToLower(n))
		if strings.HasPrefix(name, n) || strings.HasPrefix(n, name) && len(name) > len(n)/2 {
			d = min(d, 2)
		}
		if d < least && d <= len(n)/3 {
			best, least = n, d
		}
	}
	return best
}

// distance is the edit distance of two texts.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := before
			if a[i] != b[j] {
				d = min(before, row[j], row[j+1]) + 1
			}
			before, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}

// checkReadOnly reports what a method with a value receiver changes of it: the method
// is read-only, and has a copy. A copy that the method uses as a whole, to return it
// for example, may be changed.
func checkReadOnly(g *generator, m *types.Func, decl *ast.FuncDecl) {
	if pointee(m.Signature().Recv().Type()) != nil || len(decl.Recv.List[0].Names) == 0 || decl.Body == nil {
		return
	}
	info := g.pkg.TypesInfo
	self := info.Defs[decl.Recv.List[0].Names[0]]
	isSelf := func(e ast.Expr) bool {
		id, ok := ast.Unparen(e).(*ast.Ident)
		return ok && self != nil && info.Uses[id] == self
	}
	var root func(e ast.Expr) bool // of a field, or of what is in it
	root = func(e ast.Expr) bool {
		switch e := ast.Unparen(e).(type) {
		case *ast.SelectorExpr:
			return root(e.X)
		case *ast.IndexExpr:
			return root(e.X)
		case *ast.StarExpr:
			return root(e.X)
		}
		return isSelf(e)
	}
	var changes []ast.Expr
	parts := map[*ast.Ident]bool{} // uses of the receiver for one of its fields, or to assign to it
	part := func(e ast.Expr) {
		if isSelf(e) {
			parts[ast.Unparen(e).(*ast.Ident)] = true
		}
	}
	ast.Inspect(decl.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				if root(e) {
					part(e)
					changes = append(changes, e)
				}
			}
		case *ast.IncDecStmt:
			if root(n.X) {
				changes = append(changes, n.X)
			}
		case *ast.SelectorExpr:
			s := info.Selections[n]
			if s == nil {
				return true
			}
			if s.Kind() == types.FieldVal {
				part(n.X)
			} else if changesCollection(s) && root(n.X) {
				changes = append(changes, n.X)
			}
		}
		return true
	})
	whole := false
	ast.Inspect(decl.Body, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		whole = whole || ok && isSelf(id) && !parts[id]
		return true
	})
	if whole {
		return
	}
	for _, e := range changes {
		g.problem(e.Pos(), "%s has a value receiver, so it is read-only, and this change of %s is not stored: write func (%s *%s) %s(…)",
			m.Name(), types.ExprString(e), self.Name(), g.goName(m.Signature().Recv().Type()), m.Name())
	}
}

// changesCollection reports whether a method changes a List, a Map or a Table.
func changesCollection(s *types.Selection) bool {
	m, ok := s.Obj().(*types.Func)
	if !ok || s.Kind() != types.MethodVal {
		return false
	}
	elem := pointee(m.Signature().Recv().Type())
	return isOf(elem, actorPackage, "List") || isOf(elem, actorPackage, "Map") || isOf(elem, actorPackage, "Table")
}

// checkFields reports a struct whose JSON is always {}, though it has fields.
func checkFields(g *generator, n *types.Named, s *types.Struct, fields []field) {
	if len(fields) > 0 || s.NumFields() == 0 {
		return
	}
	for i := range s.NumFields() {
		if s.Field(i).Exported() || s.Field(i).Embedded() {
			return
		}
	}
	g.problem(n.Obj().Pos(), "%s has no exported fields, so that its JSON is always {}: write %s instead of %s", g.goName(n), capital(s.Field(0).Name()), s.Field(0).Name())
}

// checkNumber warns of an integer that JavaScript may not have exactly: an unsigned one
// of 64 bits, or an id. advice says what to write.
func checkNumber(g *generator, t types.Type, name, advice string, at site) {
	b, ok := t.Underlying().(*types.Basic)
	if !ok {
		return
	}
	typeName := ""
	if n, ok := types.Unalias(t).(*types.Named); ok {
		if g.docs.of(n.Obj()).hint != "" || g.customJSON(n, site{}, false) != noJSON {
			return
		}
		typeName = n.Obj().Name()
	}
	id := strings.HasSuffix(name, "ID") || strings.HasSuffix(name, "Id") || strings.HasSuffix(typeName, "ID")
	if b.Kind() == types.Uint64 || b.Kind() == types.Int64 && id {
		g.warn(at.pos, "%s: JavaScript rounds integers above 2^53: %s", at.what, advice)
	}
}
