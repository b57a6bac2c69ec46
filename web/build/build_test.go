package build_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/web"
	"github.com/troupe-dev/troupe/web/build"
)

// project makes a directory with the smallest project that can be built.
func project(t *testing.T, more map[string]string) string {
	t.Helper()
	files := map[string]string{
		"package.json":                        "{}",
		"node_modules/react/package.json":     "{}",
		"node_modules/react/index.js":         "export const version = 'react is here'",
		"node_modules/react-dom/package.json": "{}",
		"clientjs/src/index.ts":               "export { ActorError } from './client.js'",
		"clientjs/src/client.ts":              "export class ActorError extends Error { at: string = 'the client is here' }; import('./http.js')",
		"clientjs/src/http.ts":                "export const http = 'HTTP is here'",
		"hooks/src/index.ts":                  "import { version } from 'react'; import { ActorError } from '@troupe/client'; export const x = [version, ActorError]",
		"web/src/main.tsx":                    "import './main.css'; import { x } from '@troupe/react'; console.log(x)",
		"web/src/main.css":                    "body { color: red }",
		"web/src/theme.ts":                    "document.title = 'theme'",
		"web/src/icon.svg":                    "<svg/>",
		"web/src/icons/touch.png":             "touch",
		"web/src/icons/app.png":               "app",
		"web/src/icons/favicon.ico":           "favicon",
		"web/src/icons/social.png":            "social",
		"web/src/docs/main.ts":                "document.title = 'docs'",
		"web/dist/placeholder.html":           "<html>",
		"web/dist/assets/main-OLD.js":         "old",
	}
	for name, content := range more {
		files[name] = content
	}
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestBuild(t *testing.T) {
	root := project(t, nil)
	files, err := build.Run(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 12 {
		t.Errorf("got %d files, want 12: %v", len(files), files)
	}
	dist := os.DirFS(filepath.Join(root, "web", "dist"))
	assets, err := fs.Glob(dist, "assets/*")
	if err != nil {
		t.Fatal(err)
	}
	hashed := regexp.MustCompile(`^assets/(main|theme|docs|icon)-[A-Z0-9]{8}\.(js|css|svg)(\.map)?(\.gz)?$|^assets/(touch|app|favicon|social)-[A-Z0-9]{8}\.(png|ico)$`)
	for _, name := range assets {
		if !hashed.MatchString(name) {
			t.Errorf("%s has no hash in its name, or is old", name)
		}
	}

	read := func(name string) string {
		content, err := fs.ReadFile(dist, name)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	if got := read("placeholder.html"); got != "<html>" {
		t.Errorf("the placeholder is %q now", got)
	}
	// The hooks bundle neither React nor the client.
	hooks := read("lib/react.js")
	for want, there := range map[string]bool{
		`from"react"`: true, `from"./client.js"`: true, "react is here": false, "client is here": false,
	} {
		if strings.Contains(hooks, want) != there {
			t.Errorf("lib/react.js contains %s: want %t:\n%s", want, there, hooks)
		}
	}
	if client := read("lib/client.js"); !strings.Contains(client, "client is here") || strings.Contains(client, "HTTP is here") ||
		!strings.Contains(client, `import("./http.js")`) {
		t.Errorf("lib/client.js is not the client without its HTTP:\n%s", client)
	}
	main, err := fs.Glob(dist, "assets/main-*.js")
	if err != nil || len(main) != 1 {
		t.Fatalf("got %v, %v", main, err)
	}
	if script := read(main[0]); !strings.Contains(script, `import("../lib/http.js")`) || strings.Contains(script, "HTTP is here") {
		t.Errorf("the app does not load its HTTP from the libraries:\n%s", script)
	}
	if http := read("lib/http.js"); !strings.Contains(http, "HTTP is here") || strings.Contains(http, "import") {
		t.Errorf("lib/http.js is not the client's HTTP alone:\n%s", http)
	}

	// Package web can serve the build.
	ui, err := web.New(dist, "")
	if err != nil {
		t.Fatal(err)
	}
	if !ui.Built() {
		t.Error("Built: got false, want true")
	}
}

func TestBuild_failureKeepsTheOldOne(t *testing.T) {
	root := project(t, map[string]string{"web/src/main.tsx": "const = 1", "web/src/theme.ts": "import './missing'"})
	_, err := build.Run(root)
	if err == nil || !strings.Contains(err.Error(), "web/src/main.tsx:1") || !strings.Contains(err.Error(), "./missing") {
		t.Errorf("got %v, want an error with both places", err)
	}
	if _, err := os.Stat(filepath.Join(root, "web/dist/assets/main-OLD.js")); err != nil {
		t.Error(err)
	}
}

func TestBuild_missingPackages(t *testing.T) {
	if _, err := build.Run(t.TempDir()); err == nil || !strings.Contains(err.Error(), "package.json") {
		t.Errorf("in another directory: got %v", err)
	}
	root := project(t, nil)
	if err := os.RemoveAll(filepath.Join(root, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if _, err := build.Run(root); err == nil || !strings.Contains(err.Error(), "npm ci") {
		t.Errorf("without node_modules: got %v, want the command to run", err)
	}
}
