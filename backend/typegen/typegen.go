package typegen

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// Options of Generate.
type Options struct {
	Dir string // of the package that has the registry
	TS  string // the file with the types for TypeScript, relative to Dir; empty for none
	Go  string // the file with the contract for the server, in Dir; empty for none

	// Warn gets a line for each probable mistake that does not keep the files from
	// being written, with its position. Nil means that there are no warnings.
	Warn func(line string)
}

// Generate writes the files that o names, and does not touch files that are up to
// date. Its error has one line for each problem, with its position; if there is one,
// nothing is written.
func Generate(o Options) error {
	files, err := render(o)
	if err != nil {
		return err
	}
	for path, content := range files {
		if old, err := os.ReadFile(path); err == nil && string(old) == content {
			continue
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// render returns the files that Generate writes, by path.
func render(o Options) (map[string]string, error) {
	g, err := load(o)
	if err != nil {
		return nil, err
	}
	g.registry()
	// The first rendering finds the types, the second one uses their chosen names.
	problems, warnings := g.problems, g.warnings
	g.render()
	g.chooseNames()
	g.problems, g.warnings = problems, warnings
	out := g.render()
	if len(g.problems) > 0 {
		return nil, g.problems.error()
	}
	if o.Warn != nil {
		for _, line := range g.warnings.lines() {
			o.Warn(line)
		}
	}
	files := map[string]string{}
	c := g.contract(out)
	types := g.typescript(out, c)
	if o.TS != "" {
		files[filepath.Join(o.Dir, o.TS)] = types
	}
	if o.Go != "" {
		if files[filepath.Join(o.Dir, o.Go)], err = g.golang(c, types); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// generator generates the files of one package.
type generator struct {
	pkg      *packages.Package
	docs     *docs
	problems problems
	warnings problems

	functions map[types.Object]*ast.FuncDecl // the package's functions and methods
	declared  map[types.Object]ast.Expr      // the right-hand sides of the package's type declarations
	variable  string                         // that holds the registry
	actors    []*actorDef

	decls map[string]*decl  // the named types that the rendering has found, by key
	names map[string]string // their chosen names, by key
	uses  map[string]bool   // keys of the declarations that the current member uses
}

// actorDef is a definition in the registry.
type actorDef struct {
	name          string
	typ           *types.Named
	actions       []*action
	events        []*event
	params, input *payload
	messages      []types.Type // that it handles
	conn          types.Type   // the state of connections, nil if no method has it
	version       int
}

type action struct {
	name   string
	method *types.Func
}

type event struct {
	name string
	typ  *types.Named
	pos  token.Pos
}

// payload is the parameter of a hook: params or input.
type payload struct {
	typ types.Type
	pos token.Pos
}

// load loads the package and the types of its imports.
func load(o Options) (*generator, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	config := &packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedSyntax |
			packages.NeedTypes | packages.NeedTypesInfo | packages.NeedExportFile,
		Dir:     dir,
		Overlay: map[string][]byte{},
	}
	if o.Go != "" {
		// The old generated file may use types that no longer exist.
		path := filepath.Join(dir, o.Go)
		if old, err := os.ReadFile(path); err == nil {
			config.Overlay[path] = []byte(packageClause(string(old)))
		}
	}
	pkgs, err := packages.Load(config, ".")
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", o.Dir, err)
	}
	pkg := pkgs[0]
	g := &generator{pkg: pkg, docs: newDocs(pkg.Fset), names: map[string]string{}, declared: map[types.Object]ast.Expr{}, functions: map[types.Object]*ast.FuncDecl{}}
	for _, e := range pkg.Errors {
		// The type checker reports the compiler's errors again.
		if e.Kind != packages.ListError || len(pkg.Syntax) == 0 {
			g.problems = append(g.problems, problem{pos: e.Pos, text: e.Msg})
		}
	}
	if len(g.problems) > 0 {
		return nil, g.problems.error()
	}
	for _, file := range pkg.Syntax {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeSpec:
				g.declared[pkg.TypesInfo.Defs[n.Name]] = n.Type
			case *ast.FuncDecl:
				g.functions[pkg.TypesInfo.Defs[n.Name]] = n
			}
			return true
		})
	}
	return g, nil
}

func packageClause(src string) string {
	for line := range strings.Lines(src) {
		if strings.HasPrefix(line, "package ") {
			return line
		}
	}
	return ""
}

// problem is an error in the source, with its position.
type problem struct{ pos, text string }

type problems []problem

// lines returns the problems as texts, each once.
func (ps problems) lines() []string {
	var lines []string
	for _, p := range ps {
		if line := p.pos + ": " + p.text; !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

func (ps problems) error() error { return errors.New(strings.Join(ps.lines(), "\n")) }

func (g *generator) problem(pos token.Pos, format string, args ...any) {
	g.problems = append(g.problems, problem{g.pkg.Fset.Position(pos).String(), fmt.Sprintf(format, args...)})
}

// warn reports a probable mistake.
func (g *generator) warn(pos token.Pos, format string, args ...any) {
	g.warnings = append(g.warnings, problem{g.pkg.Fset.Position(pos).String(), "warning: " + fmt.Sprintf(format, args...)})
}
