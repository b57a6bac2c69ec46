package readme_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// The README's complete examples are files that are compiled and tested.
func TestTheReadmeShowsFilesThatAreTested(t *testing.T) {
	blocks := regexp.MustCompile("(?s)<!-- (\\S+) -->\n```\\w+\n(.*?)```").FindAllStringSubmatch(read(t, "README.md"), -1)
	if len(blocks) != 3 {
		t.Errorf("got %d examples that name their file, want 3", len(blocks))
	}
	for _, b := range blocks {
		if !strings.Contains(read(t, b[1]), b[2]) {
			t.Errorf("the README shows something else than %s has", b[1])
		}
	}
}

// The promises are linked to tests by name.
func TestTheReadmeNamesTestsThatExist(t *testing.T) {
	tests := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir(filepath.Join(root, "backend"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		for _, m := range declared.FindAllStringSubmatch(string(src), -1) {
			tests[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(read(t, "README.md"), -1)
	if len(named) < 10 {
		t.Errorf("got %d tests in the README, want one for each promise at least", len(named))
	}
	for _, m := range named {
		if !tests[m[1]] {
			t.Errorf("the README names %s, which does not exist", m[1])
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
