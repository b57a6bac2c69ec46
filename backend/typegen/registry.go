package typegen

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/constant"
	"go/types"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/tools/go/types/typeutil"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/internal/definition"
)

// actorPackage is the path of package actor, also in a renamed module.
var actorPackage = reflect.TypeFor[actor.Registry]().PkgPath()

// registry finds the registry and fills g.actors.
func (g *generator) registry() {
	var made []*ast.CallExpr
	for _, file := range g.pkg.Syntax {
		for _, d := range file.Decls {
			spec, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range spec.Specs {
				if v, ok := s.(*ast.ValueSpec); ok && len(v.Names) == len(v.Values) {
					for i, value := range v.Values {
						if call := g.callOf(value, "NewRegistry"); call != nil {
							g.variable = v.Names[i].Name
							made = append(made, call)
						}
					}
				}
			}
		}
	}
	switch {
	case len(made) == 0:
		g.problem(g.pkg.Syntax[0].Package, "there is no registry: declare var Registry = actor.NewRegistry(actor.Define[…](…), …) in this package")
		return
	case len(made) > 1:
		g.problem(made[1].Pos(), "a second registry in one package: put all actors into one registry, or move this one into another package")
		return
	}
	for _, part := range g.arguments(made[0], "actor.NewRegistry") {
		switch {
		case g.callOf(part, "Define") != nil:
			g.define(g.callOf(part, "Define"))
		case g.callOf(part, "WithOptions") != nil:
		default:
			g.problem(part.Pos(), "cannot follow a definition that is made elsewhere: write actor.Define[…](…) here, or name a package-level variable of this package here")
		}
	}
}

// arguments returns the arguments of a call, which must not spread a slice.
func (g *generator) arguments(call *ast.CallExpr, of string) []ast.Expr {
	if call.Ellipsis.IsValid() {
		g.problem(call.Ellipsis, "cannot follow a slice: write the arguments of %s one by one", of)
		return nil
	}
	return call.Args
}

// callOf returns expr, or the initial value of the package-level variable that expr
// names, if it is a call of the given function of package actor; nil otherwise.
func (g *generator) callOf(expr ast.Expr, function string) *ast.CallExpr {
	for {
		switch e := ast.Unparen(expr).(type) {
		case *ast.CallExpr:
			f, ok := typeutil.Callee(g.pkg.TypesInfo, e).(*types.Func)
			if !ok || f.Pkg() == nil || f.Pkg().Path() != actorPackage || f.Name() != function {
				return nil
			}
			return e
		case *ast.Ident:
			v, ok := g.pkg.TypesInfo.Uses[e].(*types.Var)
			if !ok {
				return nil
			}
			i := slices.IndexFunc(g.pkg.TypesInfo.InitOrder, func(init *types.Initializer) bool {
				return len(init.Lhs) == 1 && init.Lhs[0] == v
			})
			if i < 0 {
				return nil
			}
			expr = g.pkg.TypesInfo.InitOrder[i].Rhs
		default:
			return nil
		}
	}
}

// typeArgument returns T of a call of f[T].
func (g *generator) typeArgument(call *ast.CallExpr) types.Type {
	if args := g.typeArguments(call); args.Len() > 0 {
		return types.Unalias(args.At(0))
	}
	return nil
}

// typeArguments returns the type arguments of a call, also those that are inferred.
func (g *generator) typeArguments(call *ast.CallExpr) *types.TypeList {
	id := ast.Unparen(call.Fun)
	switch f := id.(type) {
	case *ast.IndexExpr:
		id = f.X
	case *ast.IndexListExpr:
		id = f.X
	}
	if s, ok := id.(*ast.SelectorExpr); ok {
		id = s.Sel
	}
	ident, ok := id.(*ast.Ident)
	if !ok {
		return nil
	}
	return g.pkg.TypesInfo.Instances[ident].TypeArgs
}

// handles reads actor.Handles((*T).method), whose type arguments are those of the method:
// the actor, the state of its connections, and the message.
func (g *generator) handles(a *actorDef, call *ast.CallExpr) {
	args := g.typeArguments(call)
	if args.Len() < 3 || len(call.Args) != 1 {
		return
	}
	a.messages = append(a.messages, types.Unalias(args.At(2)))
	sel, ok := ast.Unparen(call.Args[0]).(*ast.SelectorExpr)
	if !ok || g.pkg.TypesInfo.Selections[sel] == nil {
		return // a function, which Define accepts, too
	}
	m := g.pkg.TypesInfo.Selections[sel].Obj().(*types.Func)
	if pointee(m.Signature().Recv().Type()) == nil {
		g.warn(m.Pos(), "method %s handles messages, but its receiver is a value: what it changes is lost; write func (%s) %[1]s", m.Name(), receiver(a))
	}
}

// define reads actor.Define[T](name, options…).
func (g *generator) define(call *ast.CallExpr) {
	args := g.arguments(call, "actor.Define")
	if len(args) == 0 {
		return
	}
	name := g.pkg.TypesInfo.Types[args[0]].Value
	if name == nil || name.Kind() != constant.String {
		g.problem(args[0].Pos(), "the name of an actor must be a constant: the types are generated before the program runs")
		return
	}
	typ, ok := g.typeArgument(call).(*types.Named)
	if !ok {
		g.problem(call.Pos(), "the type of an actor must be a named struct")
		return
	}
	a := &actorDef{name: constant.StringVal(name), typ: typ}
	if definition.ReservedName(a.name) {
		g.problem(args[0].Pos(), "the name %q is reserved: the client uses it itself; choose another one", a.name)
	}
	for _, option := range args[1:] {
		switch {
		case g.callOf(option, "Emits") != nil:
			emits := g.callOf(option, "Emits")
			typ := g.typeArgument(emits)
			t, ok := typ.(*types.Named)
			if !ok {
				advice := ""
				if elem, ok := pointee(typ).(*types.Named); ok {
					advice = fmt.Sprintf(": write actor.Emits[%[1]s](), and c.Broadcast(%[1]s{…}) without an ampersand", g.goName(elem))
				}
				g.problem(emits.Pos(), "the type of an event must be a named type%s", advice)
				continue
			}
			if name := actor.WireName(t.Obj().Name()); definition.ReservedEvent(name) {
				g.problem(emits.Pos(), "the event name %q is reserved: the client uses it itself; rename the type %s", name, t.Obj().Name())
			}
			a.events = append(a.events, &event{actor.WireName(t.Obj().Name()), t, emits.Pos()})
		case g.callOf(option, "Handles") != nil:
			g.handles(a, g.callOf(option, "Handles"))
		case g.callOf(option, "Version") != nil:
			a.version++ // Define requires all of them
		case g.callOf(option, "WithOptions") != nil:
		default:
			g.problem(option.Pos(), "cannot follow an option that is made elsewhere: write actor.Emits[…]() here, or name a package-level variable of this package here")
		}
	}
	if slices.ContainsFunc(g.actors, func(other *actorDef) bool { return other.name == a.name }) {
		g.problem(args[0].Pos(), "there are two actors named %q", a.name)
		return
	}
	g.methods(a)
	findMistakes(g, a)
	g.actors = append(g.actors, a)
}

// methods finds the actions, params and input of an actor.
func (g *generator) methods(a *actorDef) {
	set := types.NewMethodSet(types.NewPointer(a.typ))
	for sel := range set.Methods() {
		m := sel.Obj().(*types.Func)
		sig := m.Signature()
		if !m.Exported() || sig.Params().Len() == 0 {
			continue
		}
		first := pointee(sig.Params().At(0).Type())
		if isOf(first, actorPackage, "Context") {
			a.conn = types.Unalias(types.Unalias(first).(*types.Named).TypeArgs().At(0))
		}
		switch name := m.Name(); {
		case name == "CreateConnState" || name == "OnBeforeConnect":
			if sig.Params().Len() == 2 {
				a.params = &payload{sig.Params().At(1).Type(), m.Pos()}
			}
		case name == "OnCreate":
			if sig.Params().Len() == 2 {
				a.input = &payload{sig.Params().At(1).Type(), m.Pos()}
			}
		case isOf(first, actorPackage, "Context") && !isHook(name):
			if definition.ReservedAction(actor.WireName(name)) {
				pos := m.Pos()
				if m.Pkg() != g.pkg.Types {
					pos = a.typ.Obj().Pos()
				}
				g.problem(pos, "the action name %q is reserved: the client uses it itself; rename the method %s", actor.WireName(name), name)
			}
			a.actions = append(a.actions, &action{actor.WireName(name), m})
		}
	}
	// In the order of the source; methods promoted from other packages come last.
	slices.SortStableFunc(a.actions, func(x, y *action) int {
		if x.method.Pkg() != y.method.Pkg() {
			if x.method.Pkg() == g.pkg.Types {
				return -1
			} else if y.method.Pkg() == g.pkg.Types {
				return 1
			}
			return strings.Compare(x.name, y.name)
		}
		// Files are parsed concurrently: their order in g.pkg.Fset is arbitrary.
		p, q := g.pkg.Fset.Position(x.method.Pos()), g.pkg.Fset.Position(y.method.Pos())
		return cmp.Or(strings.Compare(p.Filename, q.Filename), p.Offset-q.Offset)
	})
}

// isHook reports whether a method name is reserved for hooks.
func isHook(name string) bool {
	rest, ok := strings.CutPrefix(name, "On")
	return name == "CanSubscribe" || ok && rest != "" && rest[0] >= 'A' && rest[0] <= 'Z'
}

func pointee(t types.Type) types.Type {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		return p.Elem()
	}
	return nil
}

// isOf reports whether t is a type of a package, or an instance of it.
func isOf(t types.Type, path, name string) bool {
	if t == nil {
		return false
	}
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == path && n.Obj().Name() == name
}
