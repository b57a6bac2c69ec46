package backend_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFilesAndTypesStaySmall checks the two limits that show when a file or a type holds
// more than one idea: a file has at most 500 lines, and the methods of a type are in at
// most six files. Cut a larger one into parts that have a state of their own each.
func TestFilesAndTypesStaySmall(t *testing.T) {
	const maxLines, maxFiles = 500, 6
	files := map[string][]string{} // of a type's methods
	for _, root := range []string{".", "../e2e", "../examples", "../tool", "../web"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_templ.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if lines := bytes.Count(text, []byte("\n")); lines > maxLines {
				t.Errorf("%s has %d lines: want at most %d", path, lines, maxLines)
			}
			if strings.HasSuffix(path, "_test.go") || strings.Contains(path, "testdata") {
				return nil
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, d := range f.Decls {
				if method, ok := d.(*ast.FuncDecl); ok && method.Recv != nil {
					of := filepath.ToSlash(filepath.Dir(path)) + "." + receiver(method.Recv.List[0].Type)
					if !slices.Contains(files[of], path) {
						files[of] = append(files[of], path)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, in := range files {
		if len(in) > maxFiles {
			t.Errorf("%s has methods in %d files, want at most %d: %s", name, len(in), maxFiles, strings.Join(in, " "))
		}
	}
}

// receiver returns the name of a receiver's type.
func receiver(of ast.Expr) string {
	switch of := of.(type) {
	case *ast.StarExpr:
		return receiver(of.X)
	case *ast.IndexExpr:
		return receiver(of.X)
	case *ast.IndexListExpr:
		return receiver(of.X)
	case *ast.Ident:
		return of.Name
	}
	return ""
}
