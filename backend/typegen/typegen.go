// Package typegen writes TypeScript types of the actors that a Go package
// defines: their actions with arguments and results, their events, params and
// inputs, as they are on the wire. It reads the source, so comments and names of
// arguments come along, and types never have to be written twice.
//
// What a value looks like is what encoding/json makes of it, but for one thing: a
// nil slice or map is sent as an empty one, so no type has a null for it. A type
// that encodes itself needs a word on what it looks like, in a comment on it:
//
//	// Color is an RGB color.
//	//
//	//troupe:ts `#${string}`
//	type Color struct{ r, g, b uint8 }
//
// Text marshalers are strings.
package typegen

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/packages"

	"github.com/troupe-dev/troupe/backend/actor"
)

const actorPath = "github.com/troupe-dev/troupe/backend/actor"

// hooks are the methods that are no actions although they have a context.
var hooks = []string{"OnCreate", "OnStart", "OnConnect", "OnDrop", "OnResume", "OnDisconnect", "OnStop"}

// Generate returns the TypeScript source for the actors that the package in dir
// passes to actor.Define. The error names each place that it cannot express, with
// file and line.
func Generate(dir string) ([]byte, error) {
	g, err := load(dir)
	if err != nil {
		return nil, err
	}
	var defs []*definition
	for _, file := range g.pkg.Syntax {
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && g.calls(call, "Define") != nil {
				defs = append(defs, g.definition(call))
			}
			return true
		})
	}
	if len(defs) == 0 {
		g.failf(token.NoPos, "package %s defines no actors: it does not call actor.Define", g.pkg.PkgPath)
	}
	for i, d := range defs {
		if slices.ContainsFunc(defs[:i], func(other *definition) bool { return other.name == d.name }) {
			g.failf(d.pos, "there are two actors named %q", d.name)
		}
	}
	source := g.write(defs)
	if len(g.errs) > 0 {
		return nil, errors.Join(g.errs...)
	}
	return source, nil
}

func load(dir string) (*generator, error) {
	pkgs, err := packages.Load(&packages.Config{
		Dir:  dir,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports,
	}, ".")
	if err != nil {
		return nil, fmt.Errorf("load the package in %s: %w", dir, err)
	}
	var errs []error
	for _, e := range pkgs[0].Errors {
		errs = append(errs, e)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return newGenerator(pkgs[0]), nil
}

// definition is an actor as the source defines it.
type definition struct {
	pos           token.Pos
	name, doc     string
	actions       []action
	events        []event
	params, input types.Type // nil: none
}

type action struct {
	name, doc string
	pos       token.Pos
	args      []*types.Var
	result    types.Type // nil: none
}

type event struct {
	name string
	typ  *types.Named
}

// calls returns the function of package actor that an expression calls if it has
// this name, as the identifier that names it there, else nil.
func (g *generator) calls(call *ast.CallExpr, name string) *ast.Ident {
	fun := ast.Unparen(call.Fun)
	if index, ok := fun.(*ast.IndexExpr); ok {
		fun = index.X
	}
	var id *ast.Ident
	switch fun := fun.(type) {
	case *ast.SelectorExpr:
		id = fun.Sel
	case *ast.Ident:
		id = fun
	default:
		return nil
	}
	f, ok := g.pkg.TypesInfo.Uses[id].(*types.Func)
	if !ok || f.Pkg() == nil || f.Pkg().Path() != actorPath || f.Name() != name {
		return nil
	}
	return id
}

// definition reads a call of actor.Define.
func (g *generator) definition(call *ast.CallExpr) *definition {
	d := &definition{pos: call.Pos()}
	if value := g.pkg.TypesInfo.Types[call.Args[0]].Value; value != nil && value.Kind() == constant.String {
		d.name = constant.StringVal(value)
	} else {
		g.failf(call.Args[0].Pos(), "the name of an actor has to be a constant")
	}
	if call.Ellipsis.IsValid() {
		g.failf(call.Ellipsis, "the options of Define have to be listed one by one")
		return d
	}
	for _, arg := range call.Args[1:] {
		option, ok := ast.Unparen(arg).(*ast.CallExpr)
		switch {
		case ok && g.calls(option, "WithOptions") != nil:
		case ok && g.calls(option, "Emits") != nil:
			t := g.typeArg(g.calls(option, "Emits"))
			named, ok := types.Unalias(t).(*types.Named)
			if !ok {
				g.failf(arg.Pos(), "an event is a named type, %s is not", t)
				continue
			}
			d.events = append(d.events, event{actor.WireName(named.Obj().Name()), named})
		default:
			g.failf(arg.Pos(), "an option of Define has to be a call of Emits or WithOptions")
		}
	}
	t, ok := types.Unalias(g.typeArg(g.calls(call, "Define"))).(*types.Named)
	if !ok {
		g.failf(call.Pos(), "an actor is a named struct")
		return d
	}
	d.doc = g.doc(t.Obj())
	g.methods(d, t)
	return d
}

func (g *generator) typeArg(id *ast.Ident) types.Type {
	return g.pkg.TypesInfo.Instances[id].TypeArgs.At(0)
}

// methods finds the actions and what the hooks take.
func (g *generator) methods(d *definition, t *types.Named) {
	set := types.NewMethodSet(types.NewPointer(t))
	for i := range set.Len() {
		f := set.At(i).Obj().(*types.Func)
		if !f.Exported() {
			continue
		}
		params := f.Signature().Params()
		switch {
		case f.Name() == "OnBeforeConnect" || f.Name() == "CreateConnState":
			if params.Len() > 1 {
				d.params = params.At(1).Type()
			}
		case f.Name() == "OnCreate" && params.Len() > 1:
			d.input = params.At(1).Type()
		case slices.Contains(hooks, f.Name()) || params.Len() == 0 || !isContext(params.At(0).Type()):
		default:
			d.actions = append(d.actions, g.action(f))
		}
	}
	slices.SortFunc(d.actions, func(a, b action) int {
		pa, pb := g.pkg.Fset.Position(a.pos), g.pkg.Fset.Position(b.pos)
		return cmp.Or(cmp.Compare(pa.Filename, pb.Filename), cmp.Compare(pa.Offset, pb.Offset))
	})
}

func (g *generator) action(f *types.Func) action {
	a := action{name: actor.WireName(f.Name()), doc: g.doc(f), pos: f.Pos()}
	params, results := f.Signature().Params(), f.Signature().Results()
	for i := 1; i < params.Len(); i++ {
		a.args = append(a.args, params.At(i))
	}
	if results.Len() > 0 && !isError(results.At(0).Type()) {
		a.result = results.At(0).Type()
	}
	return a
}

func isContext(t types.Type) bool {
	p, ok := types.Unalias(t).(*types.Pointer)
	return ok && isNamed(p.Elem(), actorPath, "Context")
}

func isError(t types.Type) bool { return types.Identical(t, types.Universe.Lookup("error").Type()) }

// isNamed reports whether a type is one of this name, of any type arguments.
func isNamed(t types.Type, path, name string) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Name() == name && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == path
}
