package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPaths(t *testing.T) {
	for before, after := range map[string]string{
		"module old.com/a/b\n":              "module new.org/c\n",
		`import "old.com/a/b/actor"`:        `import "new.org/c/actor"`,
		"-X old.com/a/b/backend/app.v=1":    "-X new.org/c/backend/app.v=1",
		"replace old.com/a/b => ../..":      "replace new.org/c => ../..",
		"[home](https://old.com/a/b)":       "[home](https://old.com/a/b)",
		"old.com/a/bench old.com/a/b.git x": "old.com/a/bench old.com/a/b.git x",
	} {
		if got := string(replacePath([]byte(before), "old.com/a/b", "new.org/c")); got != after {
			t.Errorf("%q: got %q, want %q", before, got, after)
		}
	}
}

// newPath is in two parts, so that this file does not contain it.
const newPath = "example.com/me/" + "tea-shop"

// TestRename renames a copy of the project: it compiles, and its old names are gone.
func TestRename(t *testing.T) {
	root := clone(t, "../..")
	path, err := find(root, "go.mod", `(?m)^module (\S+)$`)
	if err != nil {
		t.Fatal(err)
	}
	name, err := find(root, "package.json", `"name": "([^"]+)"`)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[spot]bool{} // spots that had the name
	for _, s := range spots {
		content, err := os.ReadFile(filepath.Join(root, s.file))
		if err != nil {
			t.Fatal(err)
		}
		shown[s] = strings.Contains(string(content), s.named(name))
	}
	for _, bad := range [][2]string{{"no path", "app"}, {"example.com/app", "No Name"}} {
		if _, err := rename(root, bad[0], bad[1]); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
	note := filepath.Join(root, "notes.txt")
	if err := os.WriteFile(note, []byte("not committed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := rename(root, newPath, "tea-shop"); err == nil || !strings.Contains(err.Error(), "commit") {
		t.Errorf("with uncommitted changes: got %v", err)
	}
	if err := os.Remove(note); err != nil {
		t.Fatal(err)
	}

	changed, err := rename(root, newPath, "tea-shop")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range spots {
		content, err := os.ReadFile(filepath.Join(root, s.file))
		if err != nil {
			t.Fatal(err)
		}
		if shown[s] && !slices.Contains(changed, s.file) || shown[s] != strings.Contains(string(content), s.named("tea-shop")) {
			t.Errorf("%s has %s: want %t", s.file, s.named("tea-shop"), shown[s])
		}
	}
	left := exec.Command("git", "grep", "-l", path, "--", "*.go", "go.mod", "e2e/bench/go.mod", "Makefile")
	left.Dir = root
	if out, err := left.CombinedOutput(); err == nil || len(out) > 0 {
		t.Errorf("the old path is left in %s", out)
	}
	run(t, root, "go", "list", "-test", "-deps", "./...") // all imports are found, those of tests too
	run(t, root, "go", "vet", ".")
	run(t, filepath.Join(root, "e2e", "bench"), "go", "list", "-mod=readonly", "./...")
	run(t, root, "go", "test", "./backend/readme", "./web")
	if modules, err := filepath.Abs("../../node_modules"); err != nil {
		t.Fatal(err)
	} else if _, err := os.Stat(filepath.Join(modules, ".bin", "tsc")); err == nil {
		link := filepath.Join(root, "node_modules")
		if err := os.Symlink(modules, link); err != nil {
			t.Fatal(err)
		}
		run(t, root, "node_modules/.bin/tsc", "--noEmit")
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
	run(t, root, "git", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qam", "rename")

	if changed, err := rename(root, newPath, "tea-shop"); err != nil || len(changed) > 0 {
		t.Errorf("again: changed %v, error %v", changed, err)
	}
	if _, err := rename(root, path, name); err != nil {
		t.Errorf("back: %v", err)
	}
	run(t, root, "git", "diff", "--exit-code", "--stat", "HEAD~1")
}

// clone copies the project and commits it.
func clone(t *testing.T, project string) string {
	t.Helper()
	root := t.TempDir()
	list, err := git(project, "ls-files", "-co", "--exclude-standard", "-z")
	if err != nil {
		t.Skip("the project is not a git repository: ", err)
	}
	for file := range strings.SplitSeq(strings.TrimRight(list, "\x00"), "\x00") {
		source := filepath.Join(project, file)
		info, err := os.Stat(source)
		if os.IsNotExist(err) {
			continue // deleted, but not committed
		} else if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, file), content, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	run(t, root, "git", "init", "-q")
	run(t, root, "git", "add", "-A")
	run(t, root, "git", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "all")
	return root
}

// run runs a program and expects success.
func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-pgo=off -trimpath") // as make dev builds, so that both share the build cache
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
