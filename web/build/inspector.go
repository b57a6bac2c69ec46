package build

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/evanw/esbuild/pkg/api"
)

// inspectorFiles is where the files of the inspector's page are, below the project's
// directory. They are committed: package inspect embeds them, also where nobody runs npm.
const inspectorFiles = "backend/inspect/page"

// inspector builds the inspector's page. Names and content depend on the sources only.
func inspector(root string) api.BuildOptions {
	o := options(root)
	o.Outdir = filepath.Join(root, filepath.FromSlash(inspectorFiles))
	o.EntryPointsAdvanced = []api.EntryPoint{
		{InputPath: "web/src/inspect/main.tsx", OutputPath: "inspect"},
		{InputPath: "web/src/theme.ts", OutputPath: "theme"},
		{InputPath: "web/src/icon.svg", OutputPath: "icon"},
	}
	o.Alias = map[string]string{"@troupe/client": "./clientjs/src/index.ts", "@troupe/react": "./hooks/src/index.ts"}
	o.Sourcemap, o.Metafile = api.SourceMapNone, false
	o.LegalComments = api.LegalCommentsEndOfFile // they go with the source, without licenses.txt
	return o
}

// Inspector builds the inspector's page and returns its files by name. It returns none if
// the project in the directory root does not have its source.
func Inspector(root string) (map[string][]byte, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(root, "web/src/inspect/main.tsx")); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	result := api.Build(inspector(root))
	if err := failure(result); err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, output := range result.OutputFiles {
		files[filepath.Base(output.Path)] = output.Contents
	}
	return files, nil
}

// WriteInspector replaces those files of the inspector's page that have changed.
func WriteInspector(root string) error {
	files, err := Inspector(root)
	if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(root, filepath.FromSlash(inspectorFiles), name)
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
			continue
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
