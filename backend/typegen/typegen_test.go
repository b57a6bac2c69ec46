package typegen_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/typegen"
)

var update = flag.Bool("update", false, "rewrite the files generated from testdata/all")

var options = typegen.Options{Dir: "testdata/all", TS: "../all.gen.ts", Go: "contract_gen.go"}

// TestGenerate compares the output with committed files, so that review sees changes.
// TestValuesSatisfyTheirTypes and clientjs/test/generated.test.ts check the types.
func TestGenerate(t *testing.T) {
	if *update {
		if err := typegen.Generate(options); err != nil {
			t.Fatal(err)
		}
	}
	files, err := typegen.Render(options)
	if err != nil {
		t.Fatal(err)
	}
	for path, got := range files {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s is out of date: rewrite it with go test -update, and review git diff", path)
		}
	}
}

// TestErrors generates from packages with errors. A comment // want "…" has the
// expected error of its line.
func TestErrors(t *testing.T) {
	dirs, err := filepath.Glob("testdata/wrong/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("got %v, %v; want packages", dirs, err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			o := typegen.Options{Dir: dir, TS: filepath.Join(t.TempDir(), "registry.gen.ts")}
			err := typegen.Generate(o)
			if err == nil {
				t.Fatal("got no error")
			}
			checkLines(t, filepath.Join(dir, "wrong.go"), "want", strings.Split(err.Error(), "\n"))
			if _, err := os.Stat(filepath.Join(dir, o.TS)); err == nil {
				t.Error("something was written")
			}
		})
	}
}

// TestWarnings generates from a package with probable mistakes. A comment // warn "…"
// has the expected warning of its line.
func TestWarnings(t *testing.T) {
	dir := filepath.Join("testdata", "warnings")
	var got []string
	o := typegen.Options{Dir: dir, TS: "registry.gen.ts", Warn: func(line string) { got = append(got, line) }}
	if _, err := typegen.Render(o); err != nil {
		t.Fatal(err)
	}
	checkLines(t, filepath.Join(dir, "warnings.go"), "warn", got)
}

// checkLines compares problems with the comments of a file that expect them.
func checkLines(t *testing.T, file, word string, got []string) {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	expected := regexp.MustCompile(`// ` + word + ` ("(?:[^"\\]|\\.)*")$`)
	n := 0
	for i, line := range strings.Split(string(src), "\n") {
		m := expected.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		n++
		text, err := strconv.Unquote(m[1])
		if err != nil {
			t.Fatal(err)
		}
		if !hasError(got, fmt.Sprintf("%s:%d:", file, i+1), text) {
			t.Errorf("line %d: want %q", i+1, text)
		}
	}
	if n != len(got) {
		t.Errorf("want %d lines, got\n%s", n, strings.Join(got, "\n"))
	}
}

func hasError(got []string, place, text string) bool {
	for _, line := range got {
		if strings.Contains(line, place) && strings.Contains(line, text) {
			return true
		}
	}
	return false
}

// A directory without a package is an error.
func TestNoPackage(t *testing.T) {
	if _, err := typegen.Render(typegen.Options{Dir: "testdata", TS: "registry.gen.ts"}); err == nil {
		t.Error("got no error")
	}
}
