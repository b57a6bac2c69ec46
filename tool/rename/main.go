// Rename makes a clone of this project your own. Run it in the project's directory, with
// "make rename MODULE=example.com/me/app NAME=app".
//
// It changes the module's path and the app's name: of the binary, of the root npm
// package, in titles and on the page. The framework keeps its name: the packages
// @troupe/client and @troupe/react, environment variables such as TROUPE_ADDR, and the
// server's output.
//
// It requires a clean working tree, so that git can show and undo the changes. Run again,
// it changes nothing; with other names it renames again.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/mod/module"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: make rename MODULE=example.com/me/app NAME=app")
		os.Exit(2)
	}
	changed, err := rename(".", os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "rename:", err)
		os.Exit(1)
	}
	if len(changed) == 0 {
		fmt.Println("the project already has these names")
		return
	}
	fmt.Printf("renamed in %d files: review git diff, run make test, commit\n", len(changed))
}

// spot is a place with the app's name: a file, and a text in it with NAME or TITLE for
// the name. A spot whose text you have changed is left alone.
type spot struct{ file, text string }

var spots = []spot{
	{"package.json", `"name": "NAME",`},
	{"package-lock.json", `"name": "NAME",`},
	{".ci/check", `bin/NAME`},
	{"Makefile", `bin/NAME`},
	{"README.md", `bin/NAME`},
	{"e2e/server.ts", `bin/NAME`},
	{"web/page.templ", `<title>TITLE</title>`},
	{"web/page.templ", `<noscript>TITLE `},
	{"web/page_templ.go", `<title>TITLE</title>`},
	{"web/page_templ.go", `<noscript>TITLE `},
	{"web/dist/placeholder.html", `<title>TITLE</title>`},
	{"web/dist/placeholder.html", `<h1>TITLE `},
	{"web/src/app/App.tsx", "· TITLE`"},
	{"web/src/app/Header.tsx", `aria-label="TITLE, home"`},
	{"web/src/app/Header.tsx", `<span>TITLE</span>`},
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// rename gives the project in the directory root a module path and a name, and
// returns which files have changed.
func rename(root, path, name string) ([]string, error) {
	if err := module.CheckImportPath(path); err != nil {
		return nil, fmt.Errorf("want a module path such as example.com/me/app, got %q", path)
	}
	if !nameForm.MatchString(name) {
		return nil, fmt.Errorf("want a name such as app or my-app, got %q", name)
	}
	oldPath, err := find(root, "go.mod", `(?m)^module (\S+)$`)
	if err != nil {
		return nil, err
	}
	oldName, err := find(root, "package.json", `"name": "([^"]+)"`)
	if err != nil {
		return nil, err
	}
	if oldPath == path && oldName == name {
		return nil, nil
	}
	status, err := git(root, "status", "--porcelain")
	if err != nil {
		return nil, err
	}
	if status != "" {
		return nil, errors.New("the working tree has uncommitted changes: commit them first, so that git can undo the renaming")
	}
	list, err := git(root, "ls-files", "-z")
	if err != nil {
		return nil, err
	}

	var changed []string
	contents := map[string][]byte{}
	for file := range strings.SplitSeq(strings.TrimRight(list, "\x00"), "\x00") {
		before, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return nil, err
		}
		after := before
		if !library(file) {
			after = replacePath(after, oldPath, path)
		}
		for _, s := range spots {
			if s.file == file {
				after = replaceWhole(after, s.named(oldName), s.named(name))
			}
		}
		if bytes.Equal(before, after) {
			continue
		}
		if filepath.Ext(file) == ".go" { // imports are sorted
			if after, err = format.Source(after); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
		}
		contents[file] = after
		changed = append(changed, file)
	}
	for _, file := range changed {
		info, err := os.Stat(filepath.Join(root, file))
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(root, file), contents[file], info.Mode()); err != nil {
			return nil, err
		}
	}
	return changed, nil
}

// library reports whether a file belongs to the npm packages, which keep their names.
func library(file string) bool {
	return strings.HasPrefix(file, "clientjs/") || strings.HasPrefix(file, "hooks/")
}

// named returns the text of a spot with a name.
func (s spot) named(name string) string {
	title := strings.ReplaceAll(strings.ToUpper(name[:1])+name[1:], "-", " ")
	return strings.NewReplacer("NAME", name, "TITLE", title).Replace(s.text)
}

// replacePath replaces a module path, also at the beginning of a package's path,
// but not in an address such as https://github.com/….
func replacePath(content []byte, before, after string) []byte {
	at := regexp.MustCompile(`(^|[^\w./-])` + regexp.QuoteMeta(before) + `([^\w.-]|\.\W|\.[a-z]+=|\.?$)`)
	return at.ReplaceAll(content, []byte("${1}"+strings.ReplaceAll(after, "$", "$$")+"${2}"))
}

// replaceWhole replaces a text unless it is the beginning of a longer name.
func replaceWhole(content []byte, before, after string) []byte {
	at := regexp.MustCompile(regexp.QuoteMeta(before) + `([^\w-]|$)`)
	if last := before[len(before)-1]; last == ' ' || last == '>' { // the text ends with a delimiter
		at = regexp.MustCompile(regexp.QuoteMeta(before) + `()`)
	}
	return at.ReplaceAll(content, []byte(strings.ReplaceAll(after, "$", "$$")+"${1}"))
}

func find(root, file, pattern string) (string, error) {
	content, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		return "", fmt.Errorf("run this in the project's directory: %w", err)
	}
	m := regexp.MustCompile(pattern).FindSubmatch(content)
	if m == nil {
		return "", fmt.Errorf("%s does not have %s", file, pattern)
	}
	return string(m[1]), nil
}

func git(root string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = root
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", args[0], err, &stderr)
	}
	return string(out), nil
}
