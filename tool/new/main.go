// New adds an actor to the project: the actor, its test, its registration, a page
// with a route, and an entry in the menu. Run it in the project's directory with
// "make new NAME=poll", then edit the result.
package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"unicode"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: make new NAME=poll")
		os.Exit(2)
	}
	files, err := add(".", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "new:", err)
		os.Exit(1)
	}
	for _, file := range files {
		fmt.Println("  ", file)
	}
	if f, err := parse(os.Args[1]); err == nil {
		fmt.Printf("make dev serves it at http://localhost:8080/%s\n", f.Path)
	}
}

//go:embed template
var templates embed.FS

// forms are the spellings of a name: teaParty, TeaParty, tea-party, "Tea party"; and
// the path of the module.
type forms struct{ Name, Type, Path, Title, Module string }

var nameForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(-[a-z0-9]+)*$`)

// reserved are names that mean something else: paths of the server, directories of the
// page, members of every object in JavaScript, and members of the client.
var reserved = strings.Fields(`
	api assets docs lib healthz readyz metrics debug
	app ui main home
	constructor prototype to-string to-locale-string value-of has-own-property is-prototype-of property-is-enumerable
	then catch finally to-json node-type asymmetric-match
	on once off call connect dispose state status id actor-id resolve with-options refresh reconnect stale`)

// parse derives the forms of a name in any of them.
func parse(name string) (forms, error) {
	if len(name) > 40 || !nameForm.MatchString(name) {
		return forms{}, fmt.Errorf("%q is not a valid name: use one such as poll, teaParty or tea-party", name)
	}
	var words []string
	for part := range strings.SplitSeq(name, "-") {
		start := 0
		for i, r := range part {
			if i > 0 && unicode.IsUpper(r) {
				words = append(words, strings.ToLower(part[start:i]))
				start = i
			}
		}
		words = append(words, strings.ToLower(part[start:]))
	}
	var f forms
	for i, word := range words {
		capital := strings.ToUpper(word[:1]) + word[1:]
		f.Type += capital
		if i == 0 {
			f.Name, f.Title = word, capital
		} else {
			f.Name, f.Title = f.Name+capital, f.Title+" "+word
		}
	}
	f.Path = strings.Join(words, "-")
	if slices.Contains(reserved, f.Path) || token.IsKeyword(f.Name) || slices.Contains(words, "") {
		return f, fmt.Errorf("the name %s means something else already: choose another one", name)
	}
	return f, nil
}

// edit is one insertion into an existing file: before the first match of before that
// follows the first match of after.
type edit struct{ file, after, before, insert string }

var edits = []edit{
	{"backend/rooms/registry.go", `(?m)^var Registry = actor\.NewRegistry\($`, `(?m)^\)$`, "\tactor.Define[{{.Type}}](\"{{.Name}}\",\n\t\tactor.Emits[{{.Type}}Added](),\n\t\tactor.Emits[{{.Type}}Closed](),\n\t\tactor.Handles((*{{.Type}}).close),\n\t),\n"},
	{"web/src/app/App.tsx", `(?m)^import `, `(?m)^import \{ Header \}`, "import { {{.Type}}Page } from \"../{{.Name}}/{{.Type}}Page\";\n"},
	{"web/src/app/App.tsx", `(?m)^function route\(`, `(?m)^    default:$`, "    case \"{{.Path}}\":\n      return { title: \"{{.Title}}\", element: <{{.Type}}Page /> };\n"},
	{"web/src/app/Header.tsx", `(?m)^const PAGES = \[$`, `(?m)^\];$`, "  { section: \"{{.Path}}\", href: \"/{{.Path}}\", label: \"{{.Title}}\" },\n"},
}

// add adds an actor to the project in the directory root, and returns the paths of
// the files that it has written. If a name or a file exists already, it writes nothing.
func add(root, name string) ([]string, error) {
	f, err := parse(name)
	if err != nil {
		return nil, err
	}
	if f.Module, err = modulePath(root); err != nil {
		return nil, err
	}
	file := strings.ToLower(f.Name)
	made := []struct{ path, template string }{
		{"backend/rooms/" + file + ".go", "actor.go.tmpl"},
		{"backend/rooms/" + file + "_test.go", "actor_test.go.tmpl"},
		{"web/src/" + f.Name + "/" + f.Type + "Page.tsx", "Page.tsx.tmpl"},
		{"web/src/" + f.Name + "/" + f.Name + ".css", "page.css.tmpl"},
	}
	if err := free(root, f); err != nil {
		return nil, err
	}
	content := map[string][]byte{}
	var paths []string
	for _, m := range made {
		if _, err := os.Lstat(filepath.Join(root, m.path)); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s exists already: choose another name", m.path)
		}
		text, err := templates.ReadFile("template/" + m.template)
		if err != nil {
			return nil, err
		}
		if content[m.path], err = render(string(text), f); err != nil {
			return nil, err
		}
		if filepath.Ext(m.path) == ".go" { // columns depend on the length of the name
			if content[m.path], err = format.Source(content[m.path]); err != nil {
				return nil, err
			}
		}
		paths = append(paths, m.path)
	}
	for _, e := range edits {
		if content[e.file] == nil {
			if content[e.file], err = os.ReadFile(filepath.Join(root, e.file)); err != nil {
				return nil, err
			}
			paths = append(paths, e.file)
		}
		if content[e.file], err = e.apply(content[e.file], f); err != nil {
			return nil, err
		}
	}
	for _, path := range paths {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(path)), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(root, path), content[path], 0o644); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// apply returns the file with the edit made.
func (e edit) apply(content []byte, f forms) ([]byte, error) {
	start := regexp.MustCompile(e.after).FindIndex(content)
	if start != nil {
		if at := regexp.MustCompile(e.before).FindIndex(content[start[0]:]); at != nil {
			insert, err := render(e.insert, f)
			return slices.Insert(content, start[0]+at[0], insert...), err
		}
	}
	return nil, fmt.Errorf("cannot edit %s: it needs a line that matches %s and, after it, one that matches %s; nothing was changed", e.file, e.after, e.before)
}

func render(text string, f forms) ([]byte, error) {
	t, err := template.New("").Parse(text)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, f)
	return b.Bytes(), err
}

// free checks that the name is not in use, by a type of the actors or a page.
func free(root string, f forms) error {
	if _, err := os.Lstat(filepath.Join(root, "web", "src", f.Name)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("web/src/%s exists already: choose another name", f.Name)
	}
	pages, err := os.ReadFile(filepath.Join(root, "web/src/app/Header.tsx"))
	if err != nil {
		return err
	}
	if bytes.Contains(pages, []byte(`section: "`+f.Path+`"`)) {
		return fmt.Errorf("a page %s exists already: choose another name", f.Path)
	}
	sources, err := filepath.Glob(filepath.Join(root, "backend/rooms/*.go"))
	if err != nil {
		return err
	}
	for _, source := range sources {
		parsed, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, name := range declared(parsed) {
			if slices.Contains([]string{
				f.Type, f.Type + "Entry", f.Type + "Added", f.Type + "Closed", f.Type + "View",
				"close" + f.Type, "keep" + f.Type + "Entries", "keep" + f.Type + "Open", "Test" + f.Type,
			}, name) {
				return fmt.Errorf("backend/rooms has a %s already: choose another name", name)
			}
		}
	}
	return nil
}

// declared returns the package-level names that a file declares.
func declared(file *ast.File) []string {
	var names []string
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				names = append(names, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, s.Name.Name)
				case *ast.ValueSpec:
					for _, name := range s.Names {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names
}

// modulePath returns the module's path, which a clone of this project may change.
func modulePath(root string) (string, error) {
	content, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", errors.New("there is no go.mod here: run it in the project's directory")
	}
	m := regexp.MustCompile(`(?m)^module (\S+)$`).FindSubmatch(content)
	if m == nil {
		return "", errors.New("go.mod names no module")
	}
	return string(m[1]), nil
}
