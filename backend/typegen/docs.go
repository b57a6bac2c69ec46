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

// docs finds doc comments by the place of what they are about, also in other
// packages if their source is at hand. Their places have no column: a name on a
// line is what it looks for.
type docs struct {
	fset  *token.FileSet
	files map[string]map[place]comment
}

type place struct {
	line int
	name string
}

type comment struct {
	text string
	hint string // the directive //troupe:ts
}

const directive = "//troupe:ts "

func newDocs(fset *token.FileSet) *docs {
	return &docs{fset, map[string]map[place]comment{}}
}

// of returns the comment about an object, and an empty one if there is none.
func (d *docs) of(obj types.Object) comment {
	p := d.fset.Position(obj.Pos())
	if p.Filename == "" {
		return comment{}
	}
	// Packages that were built with -trimpath, those of Go for example.
	path := strings.Replace(p.Filename, "$GOROOT", build.Default.GOROOT, 1)
	found, ok := d.files[path]
	if !ok {
		found = read(path)
		d.files[path] = found
	}
	return found[place{p.Line, obj.Name()}]
}

// read returns the comments of a file. A file that cannot be read has none.
func read(path string) map[place]comment {
	found := map[place]comment{}
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
			found[place{fset.Position(name.Pos()).Line, name.Name}] = c
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
