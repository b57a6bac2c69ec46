package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// write writes files of a project, by path below root.
func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWatcher(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{"main.go": "1", "web/src/main.tsx": "1", "node_modules/x/x.go": "1", "data/x.go": "1"})
	w, err := newWatcher(root)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	rename := func(name, content string) {
		write(t, root, map[string]string{".swap": content})
		if err := os.Rename(filepath.Join(root, ".swap"), filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	steps := []struct {
		name string
		save func()
		want string
	}{
		{"written", func() { write(t, root, map[string]string{"main.go": "2"}) }, "main.go"},
		{"replaced by a rename", func() { rename("main.go", "3") }, "main.go"},
		{"again", func() { rename("main.go", "4") }, "main.go"},
		{"in a new directory", func() { write(t, root, map[string]string{"web/src/poll/Poll.tsx": "1"}) }, "web/src/poll/Poll.tsx"},
		{"again in the new directory", func() { rename("web/src/poll/Poll.tsx", "2") }, "web/src/poll/Poll.tsx"},
		{"removed", func() { os.Remove(filepath.Join(root, "web/src/poll/Poll.tsx")) }, "web/src/poll/Poll.tsx"},
		// Nothing before the last write is reported.
		{"nothing new", func() {
			rename("main.go", "4")
			write(t, root, map[string]string{"node_modules/x/x.go": "2", "data/x.go": "2", "main_test.go": "1", "notes.txt": "1", "web/src/.main.tsx.swp": "1", "web/src/sedX1": "1", "web/src/main.tsx~": "1"})
			write(t, root, map[string]string{"go.mod": "1"})
		}, "go.mod"},
	}
	for _, step := range steps {
		step.save()
		if got := w.next(context.Background()); !slices.Equal(got, []string{step.want}) {
			t.Fatalf("%s: got %v, want %s", step.name, got, step.want)
		}
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if got := w.next(ended); got != nil {
		t.Errorf("after the end: got %v", got)
	}
}
