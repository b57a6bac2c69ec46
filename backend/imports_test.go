package backend_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/troupe-dev/troupe/"

// TestImportsGoDown checks the layers: which of our own packages each package
// may import, directly or not, and what the runtime must not know at all.
func TestImportsGoDown(t *testing.T) {
	tests := []struct {
		pkg    string
		ours   []string // the packages of ours that it may depend on
		forbid []string // others that it must not
	}{
		{"backend/store", nil, []string{"net/http", "database/sql"}},
		{"backend/store/internal/pages", []string{"backend/store"}, []string{"net/http", "database/sql"}},
		{"backend/internal/overlay", []string{"backend/internal/rope", "backend/store"}, []string{"net/http", "database/sql"}},
		{"backend/internal/rope", nil, []string{"net/http"}},
		{"backend/internal/delta", nil, []string{"net/http"}},
		{"backend/internal/metric", nil, []string{"net/http"}},
		{"backend/internal/jsonshape", nil, []string{"net/http"}},
		{"backend/store/memory", []string{"backend/store", "backend/store/internal/record", "backend/store/internal/text", "backend/internal/overlay", "backend/internal/rope"}, []string{"net/http", "database/sql"}},
		{"backend/store/sqlite", []string{"backend/store", "backend/store/internal/pages", "backend/store/internal/journal", "backend/store/internal/record", "backend/internal/delta", "backend/store/internal/text", "backend/internal/overlay", "backend/internal/rope"}, []string{"net/http"}},
		{"backend/store/jetstream", []string{"backend/store", "backend/store/internal/pages", "backend/store/internal/journal", "backend/store/internal/record", "backend/internal/delta", "backend/store/internal/text", "backend/internal/overlay", "backend/internal/rope"}, []string{"database/sql", "github.com/nats-io/nats-server/v2/server"}},
		{"backend/host", []string{"backend/store", "backend/wire"}, []string{"net/http", "database/sql"}},
		{"backend/internal/delivery", []string{"backend/host", "backend/store", "backend/wire"}, []string{"net/http", "database/sql"}},
		{"backend/internal/definition", []string{"backend/host", "backend/wire", "backend/internal/jsonshape", "backend/store"}, []string{"net/http", "database/sql"}},
		{"backend/runtime", []string{"backend/internal/fair", "backend/internal/overlay", "backend/internal/rope", "backend/host", "backend/internal/definition", "backend/internal/delivery", "backend/internal/delta", "backend/internal/jsonshape", "backend/internal/metric", "backend/store", "backend/wire"}, []string{"net/http", "database/sql"}},
		{"backend/actor", []string{"backend/internal/fair", "backend/runtime", "backend/internal/overlay", "backend/internal/rope", "backend/host", "backend/internal/definition", "backend/internal/delivery", "backend/internal/delta", "backend/internal/jsonshape", "backend/internal/metric", "backend/store", "backend/wire"}, []string{"net/http", "database/sql"}},
		{"backend/wire", nil, []string{"net/http"}},
		{"backend/rooms", []string{"backend/internal/fair", "backend/actor", "backend/runtime", "backend/internal/overlay", "backend/internal/rope", "backend/host", "backend/internal/definition", "backend/internal/delivery", "backend/internal/delta", "backend/internal/jsonshape", "backend/internal/metric", "backend/store", "backend/wire"}, []string{"net/http"}},
		{"backend/forwarded", nil, nil},
		{"backend/gateway/limit", []string{"backend/host", "backend/forwarded", "backend/store", "backend/wire"}, []string{"database/sql"}},
		{"backend/gateway/httpcall", []string{"backend/gateway/limit", "backend/host", "backend/forwarded", "backend/store", "backend/wire", "backend/internal/metric"}, []string{"database/sql"}},
		{"backend/gateway/transport", nil, []string{"database/sql"}},
		{"backend/gateway", []string{"backend/internal/fair", "backend/host", "backend/forwarded", "backend/store", "backend/wire", "backend/internal/metric"}, []string{"database/sql"}},
		{"backend/inspect", []string{"backend/forwarded", "backend/internal/fair", "backend/runtime", "backend/internal/overlay", "backend/internal/rope", "backend/host", "backend/internal/definition", "backend/internal/delivery", "backend/internal/delta", "backend/internal/jsonshape", "backend/internal/metric", "backend/store", "backend/wire"}, []string{"database/sql"}},
		{"backend/cluster/link", nil, []string{"net/http"}},
		{"backend/cluster", []string{"backend/host", "backend/internal/metric", "backend/store", "backend/store/jetstream", "backend/store/internal/pages", "backend/store/internal/journal", "backend/store/internal/record", "backend/internal/delta", "backend/store/internal/text", "backend/internal/overlay", "backend/internal/rope", "backend/wire"}, []string{"database/sql"}},
		{"backend/typegen", []string{"backend/internal/fair", "backend/actor", "backend/runtime", "backend/internal/overlay", "backend/internal/rope", "backend/host", "backend/internal/definition", "backend/internal/delivery", "backend/internal/delta", "backend/internal/jsonshape", "backend/internal/metric", "backend/store", "backend/wire"}, nil},
		{"web", nil, nil},
	}
	for _, test := range tests {
		t.Run(test.pkg, func(t *testing.T) {
			for _, dep := range goList(t, "-deps", "-f", "{{.ImportPath}}", module+test.pkg) {
				own, isOurs := strings.CutPrefix(dep, module)
				if isOurs && own != test.pkg && !strings.HasPrefix(own, test.pkg+"/") && !slices.Contains(test.ours, own) {
					t.Errorf("%s depends on %s", test.pkg, own)
				}
				if slices.Contains(test.forbid, dep) {
					t.Errorf("%s depends on %s", test.pkg, dep)
				}
			}
		})
	}
}

// TestDirectImports checks the packages that an app's author replaces or copies: actors
// need nothing of ours but backend/actor, and what serves them needs no more than the
// server as a library. Examples need nothing else but a router.
func TestDirectImports(t *testing.T) {
	tests := []struct {
		pkg  string
		ours []string
	}{
		{"backend/host", []string{"backend/store", "backend/wire"}},
		{"backend/actor/actortest", []string{"backend/actor", "backend/host", "backend/internal/jsonshape", "backend/runtime", "backend/store", "backend/store/memory"}},
		{"backend/store/storetest", []string{"backend/store"}},
		{"backend/rooms", []string{"backend/actor"}},
		{"backend/server", []string{"backend/actor", "backend/forwarded", "backend/gateway", "backend/host", "backend/inspect", "backend/internal/metric", "backend/runtime", "backend/store", "backend/store/sqlite"}},
		{"backend/app", []string{"backend/cluster", "backend/forwarded", "backend/rooms", "backend/server", "backend/store", "backend/store/jetstream", "backend/store/memory", "backend/store/sqlite", "web"}},
		{"examples/...", []string{"backend/actor", "backend/server"}},
	}
	for _, test := range tests {
		for _, dep := range goList(t, "-f", `{{join .Imports "\n"}}`, module+test.pkg) {
			if own, isOurs := strings.CutPrefix(dep, module); isOurs && !slices.Contains(test.ours, own) {
				t.Errorf("%s imports %s", test.pkg, own)
			}
		}
	}
	for _, dep := range goList(t, "-f", `{{join .Imports "\n"}}`, module+"examples/...") {
		host, _, _ := strings.Cut(dep, "/")
		if strings.Contains(host, ".") && !strings.HasPrefix(dep, module) && !strings.HasPrefix(dep, "github.com/go-chi/chi/v5") {
			t.Errorf("an example imports %s", dep)
		}
	}
}

// TestTheBinaryHasNoTools checks that what one develops with stays out of what is
// released: the bundler, the watcher and our own tools.
func TestTheBinaryHasNoTools(t *testing.T) {
	for _, dep := range goList(t, "-deps", "-f", "{{.ImportPath}}", strings.TrimSuffix(module, "/")) {
		for _, tool := range []string{"github.com/evanw/esbuild", "github.com/fsnotify", "golang.org/x/tools", module + "backend/typegen", module + "tool", module + "web/build", module + "web/cmd"} {
			if strings.HasPrefix(dep, tool) {
				t.Errorf("the binary has %s", dep)
			}
		}
	}
}

// TestMain opens all sources: the go command keeps a test's result until a file
// changes that the test itself has opened, and does not see what go list opens.
func TestMain(m *testing.M) {
	for _, root := range []string{".", "../examples", "../web", "../tool"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && filepath.Ext(path) == ".go" {
				_, err = os.ReadFile(path)
			}
			return err
		})
		if err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return strings.Fields(string(out))
}
