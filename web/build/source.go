package build

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// sourceCode lets the app show files of the project: an import of "source:DIRECTORY/FILE"
// is an array of the file's tokens.
var sourceCode = api.Plugin{
	Name: "source code",
	Setup: func(b api.PluginBuild) {
		root := b.InitialOptions.AbsWorkingDir
		b.OnResolve(api.OnResolveOptions{Filter: `^source:`}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
			return api.OnResolveResult{Path: strings.TrimPrefix(args.Path, "source:"), Namespace: "source"}, nil
		})
		b.OnLoad(api.OnLoadOptions{Filter: `.*`, Namespace: "source"}, func(args api.OnLoadArgs) (api.OnLoadResult, error) {
			code, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(args.Path)))
			if err != nil {
				return api.OnLoadResult{}, err
			}
			array, err := json.Marshal(tokens(strings.TrimPrefix(filepath.Ext(args.Path), "."), string(code)))
			contents := string(array)
			return api.OnLoadResult{Contents: &contents, Loader: api.LoaderJSON}, err
		})
	},
}
