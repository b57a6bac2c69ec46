package typegen_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/typegen"
)

// TestContract: clients and servers find out what differs, and only that.
func TestContract(t *testing.T) {
	base, parts := contract(t, "base")
	if same, got := contract(t, "same"); same != base || !slices.Equal(got, parts) {
		t.Errorf("what is written in another way: got %s %q, want %s %q", same, got, base, parts)
	}
	changed, got := contract(t, "changed")
	if changed == base {
		t.Error("what offers something else has the same fingerprint")
	}
	differs := map[string]bool{}
	for _, part := range slices.Concat(parts, got) {
		if !slices.Contains(parts, part) || !slices.Contains(got, part) {
			name, _, _ := strings.Cut(part, ":")
			differs[name] = true
		}
	}
	for _, name := range []string{"room.posts()", "room.say()", "room.speak()", "room.connect()"} {
		if !differs[name] {
			t.Errorf("%s is not reported as different", name)
		}
		delete(differs, name)
	}
	if len(differs) > 0 {
		t.Errorf("these are reported as different: %v", differs)
	}
}

// contract returns the fingerprint and the parts that both files of a package have.
func contract(t *testing.T, name string) (fingerprint string, parts []string) {
	t.Helper()
	files, err := typegen.Render(typegen.Options{Dir: "testdata/contract/" + name, TS: "a.ts", Go: "a.go"})
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile(`"(\S+\..+:\S{4})",`)
	whole := regexp.MustCompile(`(?:~contract"|Fingerprint): "(\S{16})",`)
	for _, text := range files {
		var found []string
		for _, m := range quoted.FindAllStringSubmatch(text, -1) {
			found = append(found, m[1])
		}
		m := whole.FindStringSubmatch(text)
		if m == nil || len(found) == 0 || parts != nil && !slices.Equal(found, parts) || fingerprint != "" && m[1] != fingerprint {
			t.Fatalf("%s: the files have no contract, or not the same:\n%s", name, text)
		}
		fingerprint, parts = m[1], found
	}
	return fingerprint, parts
}
