package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestNamesHaveForms(t *testing.T) {
	for _, name := range []string{"tea-party", "teaParty", "TeaParty"} {
		got, err := parse(name)
		if want := (forms{Name: "teaParty", Type: "TeaParty", Path: "tea-party", Title: "Tea party"}); err != nil || got != want {
			t.Errorf("%s: got %+v and error %v, want %+v", name, got, err, want)
		}
	}
	for _, name := range []string{"", "1st", "a b", "../x", "tea_party", "-x", "x-", "api", "func", "stale", "to-string", "Then", "catch", "toJson", "has-own-property", "docs", "state", "ünder", strings.Repeat("a", 41)} {
		if got, err := parse(name); err == nil {
			t.Errorf("%q is a name: %+v", name, got)
		}
	}
}

// hostile are names that could collide with names in the templates, with words of Go and
// TypeScript, and with names of the libraries that the page uses.
var hostile = strings.Fields(`
	event error text entry entries add thrown failure connection actor i set-text set-error form-event use-state
	class delete new void typeof instanceof in of with yield await async enum export extends implements private
	string number boolean any unknown never object symbol bigint undefined null nan
	array set date promise record partial readonly pick omit registry-entry function math json error-event
	react react-node component element fragment props ref key children use-actor-state header html
	strings int append len nil true init linux windows`)

// TestAddedActorsCompile adds actors to a copy of the project, and builds and tests it;
// with npm packages, it runs the type checker and the linter, too.
func TestAddedActorsCompile(t *testing.T) {
	root := copyOf(t, "../..")
	var tests []string
	for _, name := range append([]string{"zebra", "teaParty"}, hostile...) {
		if _, err := add(root, name); err != nil {
			t.Fatal(err)
		}
		f, err := parse(name)
		if err != nil {
			t.Fatal(err)
		}
		tests = append(tests, f.Type)
	}
	followTutorial(t, root)
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	before := read("backend/rooms/registry.go")
	for name, want := range map[string]string{
		"zebra": "exists already", "tea-party": "exists already", "zebra-entry": "has a ZebraEntry", "no name": "not a valid name",
	} {
		if _, err := add(root, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("add %s: got %v, want %q", name, err, want)
		}
	}
	if header := read("web/src/app/Header.tsx"); !strings.Contains(header, `{ section: "tea-party", href: "/tea-party", label: "Tea party" }`) {
		t.Errorf("the menu has no entry:\n%s", header)
	}

	run(t, root, "go", "generate", "./backend/rooms")
	run(t, root, "gofmt", "-l", "backend/rooms")
	run(t, root, "go", "vet", "./backend/rooms")
	run(t, root, "go", "test", "-run", "^Test("+strings.Join(tests, "|")+")$", "./backend/rooms")
	modules, err := filepath.Abs("../../node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, ".bin", "tsc")); err == nil {
		if err := os.Symlink(modules, filepath.Join(root, "node_modules")); err != nil {
			t.Fatal(err)
		}
		run(t, root, "node_modules/.bin/tsc", "--noEmit")
		run(t, root, "node_modules/.bin/oxlint", "--deny-warnings", "web/src")
	}

	// If one of the files cannot be edited, nothing is changed.
	path := filepath.Join(root, "web/src/app/Header.tsx")
	if err := os.WriteFile(path, []byte("const PAGES = somethingElse;"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := add(root, "quiz"); err == nil || !strings.Contains(err.Error(), "web/src/app/Header.tsx") {
		t.Errorf("without a menu: got %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "backend/rooms/quiz.go")); err == nil || read("backend/rooms/registry.go") != before {
		t.Error("something was changed by what failed")
	}
}

// followTutorial makes the tutorial's edits, which add an event to a poll, to a zebra,
// so that the tutorial's code is compiled.
func followTutorial(t *testing.T, root string) {
	t.Helper()
	tutorial, err := os.ReadFile("../../docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)<!-- make new: (\\S+) -->\n```\\w+\n(.*?)```").FindAllStringSubmatch(strings.NewReplacer("poll", "zebra", "Poll", "Zebra").Replace(string(tutorial)), -1)
	below := []string{"\treturn ZebraView{r.Entries.Values(), r.Closed}\n}\n", "\t\tactor.Emits[ZebraAdded](),\n", "({ entries: [...entries, entry], closed: false }),\n", "</button>\n"}
	if len(blocks) != len(below) {
		t.Fatalf("the tutorial has %d edits, want %d", len(blocks), len(below))
	}
	for i, block := range blocks {
		path := filepath.Join(root, block[1])
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		head, tail, found := strings.Cut(string(content), below[i])
		if !found {
			t.Fatalf("%s does not have %q", block[1], below[i])
		}
		if i == 0 {
			block[2] = "\n" + block[2]
		}
		if err := os.WriteFile(path, []byte(head+below[i]+block[2]+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// copyOf copies the project's sources.
func copyOf(t *testing.T, project string) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"go.mod", "go.sum", "tsconfig.json", ".oxlintrc.json", "package.json", "backend", "clientjs/src", "hooks/src", "web/src"} {
		err := filepath.WalkDir(filepath.Join(project, dir), func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			name, err := filepath.Rel(project, path)
			if err != nil {
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(root, name), content, 0o644)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// run runs a program that must succeed; gofmt must print nothing.
func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-pgo=off -trimpath") // as make dev builds, so that both share the build cache
	out, err := cmd.CombinedOutput()
	if err != nil || (name == "gofmt" && len(out) > 0) {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
