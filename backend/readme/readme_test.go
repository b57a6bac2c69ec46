package readme_test

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/app"
)

const root = "../.."

// The documentation: what people read first, and what tests hold true.
func documents(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(names) < 10 {
		t.Fatalf("found %v, %v", names, err)
	}
	documents := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md"}
	for _, name := range names {
		documents = append(documents, "docs/"+filepath.Base(name))
	}
	return documents
}

// A block is code in a document: the comment above it names the file that it is a
// part of, or what runs it.
type block struct{ document, about, language, code string }

func blocks(t *testing.T, document string) []block {
	t.Helper()
	var blocks []block
	for _, m := range regexp.MustCompile("(?ms)(?:^<!-- ([^\n]+) -->\n)?^```(\\w*)\n(.*?)^```$").FindAllStringSubmatch(read(t, document), -1) {
		blocks = append(blocks, block{document, m[1], m[2], m[3]})
	}
	return blocks
}

// tested are where the files are that documents show, each with the tests that
// compile or run it.
var tested = []string{
	"backend/readme/",      // compiled, and run by the tests here
	"backend/rooms/",       // the same by the tests there
	"hooks/test/readme/",   // type-checked, and run by hooks/test/readme.test.tsx
	"web/src/chat/",        // type-checked, and run by e2e/chat.spec.ts and history.spec.ts
	"etc/nginx.conf",       // e2e/proxy.spec.ts
	"e2e/snippets.spec.ts", // reads the document
}

// Every block of code is one that a test compiles or runs.
func TestCodeIsTested(t *testing.T) {
	edits := 0
	for _, document := range documents(t) {
		for _, b := range blocks(t, document) {
			file, edit := strings.CutPrefix(b.about, "make new: ") // tool/new makes these edits
			switch {
			case b.language == "json" || b.language == "sh" || b.language == "":
			case edit:
				edits++
			case strings.HasSuffix(b.about, " runs it"):
				file = strings.TrimSuffix(b.about, " runs it")
				if !strings.Contains(read(t, file), path.Base(document)) {
					t.Errorf("%s: %s does not read it", document, file)
				}
				fallthrough
			case file != "":
				if !slices.ContainsFunc(tested, func(prefix string) bool { return strings.HasPrefix(file, prefix) }) {
					t.Errorf("%s: no test runs %s", document, file)
				}
				if file == b.about && !strings.Contains(read(t, file), b.code) {
					t.Errorf("%s shows something else than %s has:\n%s", document, file, b.code)
				}
			default:
				t.Errorf("%s: no test covers this %s block:\n%s", document, b.language, b.code)
			}
		}
	}
	if edits != 4 {
		t.Errorf("got %d edits of tool/new, want 4", edits)
	}
}

// Commands for a shell are what a shell can read.
func TestShellBlocks(t *testing.T) {
	for _, document := range documents(t) {
		for _, b := range blocks(t, document) {
			if b.language != "sh" {
				continue
			}
			cmd := exec.Command("bash", "-n")
			cmd.Stdin = strings.NewReader(b.code)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s\n%s", document, err, out, b.code)
			}
		}
	}
}

// Every make target and server flag that the documents name exists.
func TestCommandsExist(t *testing.T) {
	targets, flags := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z0-9-]+):`).FindAllStringSubmatch(read(t, "Makefile"), -1) {
		targets[m[1]] = true
	}
	var help bytes.Buffer
	if err := app.Run(t.Context(), []string{"-h"}, nil, nil, &help, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^  (-[a-z-]+)|Environment: (TROUPE_\w+)`).FindAllStringSubmatch(help.String(), -1) {
		flags[m[1]+m[2]] = true
	}
	commands := regexp.MustCompile("(?m)(?:^|`)make ((?:[a-z][a-z-]*(?: |`|$))+)")
	options := regexp.MustCompile("`(-[a-z][a-z-]*)[` ]|\\b(TROUPE_[A-Z_]+)\\b")
	for _, document := range documents(t) {
		text := read(t, document)
		for _, m := range commands.FindAllStringSubmatch(text, -1) {
			for _, target := range strings.Fields(strings.Trim(m[1], "` ")) {
				if !targets[target] {
					t.Errorf("%s: there is no make %s", document, target)
				}
			}
		}
		for _, m := range options.FindAllStringSubmatch(text, -1) {
			if name := m[1] + m[2]; !flags[name] {
				t.Errorf("%s: the server has no %s", document, name)
			}
		}
	}
}

// Links within the repository lead somewhere, to headings too.
func TestLinks(t *testing.T) {
	documents := append(documents(t), "clientjs/README.md", "hooks/README.md", "e2e/bench/README.md", ".github/pull_request_template.md",
		"examples/README.md", "examples/auth/README.md", "examples/chi/README.md", "examples/counter/README.md", "examples/nextjs/README.md", "examples/presence/README.md")
	link := regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"`)
	for _, document := range documents {
		prose := regexp.MustCompile("(?ms)^```.*?^```$|`[^`\n]*`").ReplaceAllString(read(t, document), "")
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			to := m[1] + m[2]
			if strings.HasPrefix(to, "https://") {
				continue
			}
			to, anchor, _ := strings.Cut(to, "#")
			file := document
			if to != "" {
				file = path.Join(path.Dir(document), to)
			}
			if _, err := os.Stat(filepath.Join(root, file)); err != nil {
				t.Errorf("%s: a link leads nowhere: %v", document, err)
			} else if anchor != "" && !slices.Contains(anchors(read(t, file)), anchor) {
				t.Errorf("%s: %s has no heading #%s", document, file, anchor)
			}
		}
	}
}

// anchors are those that GitHub gives the headings of a document.
func anchors(text string) []string {
	var anchors []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		anchors = append(anchors, strings.ReplaceAll(name, " ", "-"))
	}
	return anchors
}

// Every document is in the list of documents.
func TestIndexIsComplete(t *testing.T) {
	index := read(t, "docs/index.md")
	for _, document := range documents(t) {
		if name, ok := strings.CutPrefix(document, "docs/"); ok && name != "index.md" && !strings.Contains(index, "("+name+")") {
			t.Errorf("docs/index.md does not link to %s", name)
		}
	}
}

func TestReadmeIsShort(t *testing.T) {
	if n := strings.Count(read(t, "README.md"), "\n"); n > 180 {
		t.Errorf("got %d lines, want 180 at most: docs is the place for more", n)
	}
}

// The promises are linked to tests by name.
func TestPromisesNameTestsThatExist(t *testing.T) {
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
	for _, document := range []string{"README.md", "docs/guarantees.md"} {
		named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(read(t, document), -1)
		if len(named) < 10 {
			t.Errorf("%s: got %d tests, want one for each promise at least", document, len(named))
		}
		for _, m := range named {
			if !tests[m[1]] {
				t.Errorf("%s names %s, which does not exist", document, m[1])
			}
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
