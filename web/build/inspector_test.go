package build_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/troupe-dev/troupe/web/build"
)

// The page of the inspector that is committed is that of its sources.
func TestInspector_isUpToDate(t *testing.T) {
	const root = "../.."
	if _, err := os.Stat(filepath.Join(root, "node_modules/react/package.json")); err != nil {
		t.Skip("npm's packages are not installed")
	}
	files, err := build.Inspector(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 4 {
		t.Errorf("got %d files, want the script, the style, the theme and the icon", len(files))
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, "backend/inspect/page", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("backend/inspect/page/%s is not that of web/src/inspect (%v): run go run ./web/cmd/build inspect", name, err)
		}
	}
}

func TestInspector_withoutItsSource(t *testing.T) {
	if files, err := build.Inspector(project(t, nil)); len(files) != 0 || err != nil {
		t.Errorf("got %d files and %v", len(files), err)
	}
}
