package typegen

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
)

// docs finds the doc comments of objects by position, also in other packages if their
// source is available. Positions there have no column, so it looks for a name on a
// line.
type docs struct {
	fset  *token.FileSet
	files map[string]map[position]comment
}

type position struct {
	line int
	name string
}

type comment struct {
	text string
	hint string // the directive //troupe:ts
}

const directive = "//troupe:ts "

func newDocs(fset *token.FileSet) *docs {
	return &docs{fset, map[string]map[position]comment{}}
}

// of returns the comment of an object; empty if it has none.
func (d *docs) of(obj types.Object) comment {
	p := d.fset.Position(obj.Pos())
	if p.Filename == "" {
		return comment{}
	}
	// Packages that were built with -trimpath, such as the standard library.
	path := strings.Replace(p.Filename, "$GOROOT", build.Default.GOROOT, 1)
	found, ok := d.files[path]
	if !ok {
		found = read(path)
		d.files[path] = found
	}
	return found[position{p.Line, obj.Name()}]
}

// read returns the comments of a file. A file that cannot be read has none.
func read(path string) map[position]comment {
	found := map[position]comment{}
	if !filepath.IsAbs(path) {
		return found
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return found
	}
	add := func(name *ast.Ident, groups ...*ast.CommentGroup) {
		for _, g := range groups {
			if g == nil {
				continue
			}
			c := comment{text: strings.TrimSpace(g.Text())}
			for _, line := range g.List {
				if hint, ok := strings.CutPrefix(line.Text, directive); ok {
					c.hint = strings.TrimSpace(hint)
				}
			}
			found[position{fset.Position(name.Pos()).Line, name.Name}] = c
			return
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			add(n.Name, n.Doc)
			return false
		case *ast.GenDecl:
			for _, s := range n.Specs {
				if t, ok := s.(*ast.TypeSpec); ok {
					if n.Lparen.IsValid() {
						add(t.Name, t.Doc, t.Comment)
					} else {
						add(t.Name, n.Doc, t.Comment)
					}
				}
			}
		case *ast.StructType:
			for _, f := range n.Fields.List {
				for _, name := range f.Names {
					add(name, f.Doc, f.Comment)
				}
			}
		}
		return true
	})
	return found
}
