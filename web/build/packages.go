package build

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/evanw/esbuild/pkg/api"
)

// Packages returns the sorted names of the npm packages that Run bundles. root is the
// project's directory.
func Packages(root string) ([]string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if err := checkPackages(root); err != nil {
		return nil, err
	}
	inside := regexp.MustCompile(`^node_modules/((?:@[^/]+/)?[^/]+)/`)
	names := map[string]bool{}
	for _, o := range []api.BuildOptions{app(root), clientLibrary(root), hooksLibrary(root)} {
		result := api.Build(o)
		if err := failure(result); err != nil {
			return nil, err
		}
		var meta struct {
			Inputs map[string]json.RawMessage `json:"inputs"`
		}
		if err := json.Unmarshal([]byte(result.Metafile), &meta); err != nil {
			return nil, fmt.Errorf("read esbuild's metafile: %w", err)
		}
		for input := range meta.Inputs {
			if found := inside.FindStringSubmatch(input); found != nil {
				names[found[1]] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}
