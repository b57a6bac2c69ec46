package build_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/web/build"
)

func TestDev(t *testing.T) {
	root := project(t, nil)
	d, err := build.NewDev(root)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	save := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	files, err := d.App()
	if err != nil {
		t.Fatal(err)
	}
	m := build.DevManifest
	for _, address := range append(m.Styles, m.Script, m.Theme, m.Icon, m.TouchIcon, m.AppIcon, m.Favicon, m.Social) {
		if files[address] == nil {
			t.Errorf("the manifest names %s, which the build lacks", address)
		}
	}

	save("web/src/main.css", "body { color: blue }")
	save("web/src/main.tsx", "import './main.css'; console.log('second', process.env.NODE_ENV)")
	if files, err = d.App(); err != nil {
		t.Fatal(err)
	}
	if js := string(files[m.Script]); !strings.Contains(js, `"second", "development"`) {
		t.Errorf("the script is not the changed one:\n%s", js)
	}
	if css := string(files[m.Styles[0]]); !strings.Contains(css, "blue") {
		t.Errorf("the style is not the changed one:\n%s", css)
	}

	save("web/src/main.tsx", "const = 1")
	if _, err = d.App(); err == nil || !strings.Contains(err.Error(), "web/src/main.tsx:1") {
		t.Errorf("got %v, want an error with its place", err)
	}
	save("web/src/main.tsx", "console.log('mended')")
	if _, err = d.App(); err != nil {
		t.Error(err)
	}

	libraries, err := d.Libraries()
	if err != nil || libraries["/lib/client.js"] == nil || libraries["/lib/react.js"] == nil {
		t.Errorf("libraries: got %d files and error %v, want client.js and react.js", len(libraries), err)
	}
	if _, err := os.Stat(filepath.Join(root, "web/dist/assets/main-OLD.js")); err != nil {
		t.Error("dev builds write to web/dist:", err)
	}
}
