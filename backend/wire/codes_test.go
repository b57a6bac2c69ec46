package wire_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/wire"
)

// TestCodes: every code is snake_case, is unique and has a comment; and the codes of
// Reconnects are among them.
func TestCodes(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	snake := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	names := map[string]string{} // of the constants, by code
	reasons := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Names) != 1 || len(spec.Values) != 1 {
			return true
		}
		name := spec.Names[0].Name
		lit, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		code, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if strings.TrimSpace(spec.Comment.Text()) == "" {
			t.Errorf("%s has no comment", name)
		}
		switch {
		case strings.HasPrefix(name, "Code"):
			if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Code" {
				t.Errorf("%s is not of type Code", name)
			}
			if !snake.MatchString(code) {
				t.Errorf("%s: %q is not snake_case", name, code)
			}
			if other, ok := names[code]; ok {
				t.Errorf("%s and %s are both %q", name, other, code)
			}
			names[code] = name
		case strings.HasPrefix(name, "Reason"):
			reasons++
		default:
			t.Errorf("%s is neither a Code… nor a Reason…", name)
		}
		return true
	})
	if len(names) < 30 || reasons < 4 {
		t.Errorf("got %d codes and %d reasons: the test does not see the table", len(names), reasons)
	}
	for code := range wire.Reconnects {
		if names[code] == "" {
			t.Errorf("Reconnects has %q, which is no code", code)
		}
	}
}

// TestAppendClosed_Reconnect: closed agrees with the table.
func TestAppendClosed_Reconnect(t *testing.T) {
	for _, code := range []string{wire.CodeReplaced, wire.CodeSlow, wire.CodeUnavailable, "an_actors_own", wire.CodeBadKey} {
		got := string(wire.AppendClosed(nil, code, "m", nil))
		want := `,"reconnect":` + strconv.FormatBool(wire.Reconnects[code]) + `}`
		if !strings.HasSuffix(got, want) {
			t.Errorf("got %s, want it to end in %s", got, want)
		}
		if got := string(wire.AppendFinal(nil, code, "m", nil)); got != strings.TrimSuffix(string(wire.AppendClosed(nil, code, "m", nil)), want)+`,"reconnect":false}` {
			t.Errorf("final: got %s", got)
		}
	}
}
