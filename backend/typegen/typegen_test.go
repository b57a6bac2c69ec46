package typegen_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/typegen"
)

var update = flag.Bool("update", false, "write the expected output anew")

// testdata/all.gen.ts is type-checked with all other sources (web/tsconfig).
func TestGenerate(t *testing.T) {
	got, err := typegen.Generate("testdata/all")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "all.gen.ts")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got:\n%s\nwant what is in %s (go test -update writes it)", got, file)
	}
}

// What cannot be expressed is an error with its place.
func TestGenerate_whatCannotBeExpressed(t *testing.T) {
	_, err := typegen.Generate("testdata/bad")
	if err == nil {
		t.Fatal("want an error")
	}
	lines := strings.Split(err.Error(), "\n")
	wants := []string{
		`bad\.go:27:21: the name of an actor has to be a constant`,
		`bad\.go:27:27: an option of Define has to be a call of Emits or WithOptions`,
		`bad\.go:29:2: there are two actors named "second"`,
		`bad\.go:20:53: a complex64 cannot be sent as JSON`,
		`bad\.go:8:6: a interface\{Area\(\) float64\} cannot be sent as JSON`,
		`bad\.go:10:6: type Own encodes itself: say as what, by a comment //troupe:ts TYPE on it`,
		`bad\.go:17:2: float64 cannot be the key of a JSON object`,
	}
	for _, want := range wants {
		found := false
		for i, line := range lines {
			if regexp.MustCompile(want).MatchString(line) {
				lines = append(lines[:i], lines[i+1:]...)
				found = true
				break
			}
		}
		if !found {
			t.Errorf("want an error like %s", want)
		}
	}
	for _, line := range lines {
		t.Errorf("unexpected: %s", line)
	}
}

func TestGenerate_noActors(t *testing.T) {
	if _, err := typegen.Generate("testdata/all/other"); err == nil || !strings.Contains(err.Error(), "defines no actors") {
		t.Errorf("got %v", err)
	}
	if _, err := typegen.Generate("testdata"); err == nil {
		t.Error("a directory without a package: want an error")
	}
}
