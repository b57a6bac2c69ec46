package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// calm is how long the files must be quiet before a change is reported: editors
// truncate and write, or write elsewhere and rename, and some save many files.
const calm = 15 * time.Millisecond

// watcher finds files whose content has changed. It watches directories, not files, so
// that it does not matter how an editor replaces them.
type watcher struct {
	root string
	fs   *fsnotify.Watcher
	seen map[string][sha256.Size]byte // hash of each file, by path below root
}

func newWatcher(root string) (*watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", err)
	}
	w := &watcher{root: root, fs: notify, seen: map[string][sha256.Size]byte{}}
	if err := w.add(root, func(string) {}); err != nil {
		return nil, errors.Join(fmt.Errorf("watch files: %w", err), notify.Close())
	}
	return w, nil
}

func (w *watcher) close() { _ = w.fs.Close() }

// ignored reports whether nothing is built from a directory.
func ignored(dir string) bool {
	name := filepath.Base(dir)
	return strings.HasPrefix(name, ".") ||
		slices.Contains([]string{"node_modules", "bin", "data", "dist", "out", "report", "test-results"}, name)
}

// add watches a directory and its subdirectories, and calls found for each new file.
func (w *watcher) add(dir string, found func(path string)) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // it was removed meanwhile
		case err != nil:
			return err
		case !entry.IsDir():
			if name, isNew := w.look(path); isNew {
				found(name)
			}
			return nil
		case path != w.root && ignored(path):
			return filepath.SkipDir
		}
		return w.fs.Add(path)
	})
}

// look reports whether a file has changed or is gone since the last look, and returns
// its path below root.
func (w *watcher) look(path string) (name string, isNew bool) {
	name, err := filepath.Rel(w.root, path)
	if err != nil || !builds(name) {
		return name, false
	}
	before, known := w.seen[name]
	content, err := os.ReadFile(path)
	if err != nil {
		delete(w.seen, name)
		return name, known
	}
	sum := sha256.Sum256(content)
	w.seen[name] = sum
	return name, !known || sum != before
}

// next waits until files are saved and returns their paths below root. It returns nil
// when ctx ends.
func (w *watcher) next(ctx context.Context) []string {
	var changed []string
	add := func(name string) {
		if !slices.Contains(changed, name) {
			changed = append(changed, name)
		}
	}
	var calmed <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-calmed:
			if len(changed) > 0 {
				return changed
			}
			calmed = nil
		case event := <-w.fs.Events:
			calmed = time.After(calm)
			if info, err := os.Stat(event.Name); err == nil && info.IsDir() {
				if !ignored(event.Name) {
					_ = w.add(event.Name, add) // what cannot be watched is missed until it is saved again
				}
			} else if name, isNew := w.look(event.Name); isNew {
				add(name)
			}
		case <-w.fs.Errors:
			// Events were lost: look at everything again.
			calmed = time.After(calm)
			_ = w.add(w.root, add)
		}
	}
}

// builds reports whether something is built from a file.
func builds(name string) bool { return ofPage(name) || ofServer(name) }

// ofPage reports whether a file may be a part of the app. Editors' temporary files are
// not.
func ofPage(name string) bool {
	name = filepath.ToSlash(name)
	if base := path.Base(name); path.Ext(base) == "" || base[0] == '.' || strings.HasSuffix(base, "~") {
		return false
	}
	return strings.HasPrefix(name, "web/src/") || strings.HasPrefix(name, "clientjs/src/") || strings.HasPrefix(name, "hooks/src/")
}

// ofServer reports whether a file may be a part of the server.
func ofServer(name string) bool {
	switch filepath.Ext(name) {
	case ".go":
		return !strings.HasSuffix(name, "_test.go")
	case ".templ":
		return true
	}
	return name == "go.mod" || name == "go.sum"
}
