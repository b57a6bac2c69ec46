// Package build builds the web UI and the libraries with esbuild. It is separate from
// package web so that the server does not link esbuild.
package build

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/troupe-dev/troupe/web"
)

// File is a file that the build wrote.
type File struct {
	Name string // below web/dist
	Size int    // in bytes
	Gzip int    // in bytes when compressed; 0 if only the file itself is served
}

// options are common to all builds: the app and the libraries only add to them.
func options(root string) api.BuildOptions {
	return api.BuildOptions{
		AbsWorkingDir: root,
		Outdir:        filepath.Join(root, "web", "dist"),
		Bundle:        true,
		Format:        api.FormatESModule,
		Target:        api.ES2022,
		JSX:           api.JSXAutomatic,
		Define:        map[string]string{"process.env.NODE_ENV": `"production"`},
		Loader:        map[string]api.Loader{".svg": api.LoaderCopy, ".png": api.LoaderCopy, ".ico": api.LoaderCopy},
		Charset:       api.CharsetUTF8,
		LegalComments: api.LegalCommentsNone,

		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		Sourcemap:         api.SourceMapLinked,
		Metafile:          true,
		LogLevel:          api.LogLevelSilent, // errors are returned
	}
}

// app builds the app, which the page loads.
func app(root string) api.BuildOptions {
	o := options(root)
	o.EntryPointsAdvanced = []api.EntryPoint{
		{InputPath: "web/src/main.tsx", OutputPath: "main"},
		{InputPath: "web/src/theme.ts", OutputPath: "theme"},
		{InputPath: "web/src/docs/main.ts", OutputPath: "docs"},
		{InputPath: "web/src/icon.svg", OutputPath: "icon"},
		{InputPath: "web/src/icons/touch.png", OutputPath: "touch"},
		{InputPath: "web/src/icons/app.png", OutputPath: "app"},
		{InputPath: "web/src/icons/favicon.ico", OutputPath: "favicon"},
		{InputPath: "web/src/icons/social.png", OutputPath: "social"},
	}
	o.EntryNames = "assets/[name]-[hash]"
	// Within the project the libraries are imported from source, as the type checker does.
	o.Alias = map[string]string{
		"@troupe/client": "./clientjs/src/index.ts",
		"@troupe/react":  "./hooks/src/index.ts",
	}
	o.Plugins = []api.Plugin{httpLibrary, sourceCode}
	return o
}

// httpLibrary leaves what the client loads when it first needs HTTP in a file of
// the libraries. Its name stays, so a page finds it after a deployment, too.
var httpLibrary = api.Plugin{
	Name: "http library",
	Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: `^\./http\.js$`}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
			if args.Kind != api.ResolveJSDynamicImport {
				return api.OnResolveResult{}, nil
			}
			return api.OnResolveResult{Path: "../lib/http.js", External: true}, nil
		})
	},
}

// clientLibrary builds the client for other pages, and what it loads when it first
// needs HTTP.
func clientLibrary(root string) api.BuildOptions {
	o := options(root)
	o.EntryPointsAdvanced = []api.EntryPoint{
		{InputPath: "clientjs/src/index.ts", OutputPath: "client"},
		{InputPath: "clientjs/src/http.ts", OutputPath: "http"},
	}
	o.EntryNames = "lib/[name]"
	o.External = []string{"./http.js"}
	return o
}

// hooksLibrary builds the hooks for other pages that have their own React. It imports
// the client library. (It is a separate build, because the client's sources also have a
// file ./client.js, which belongs in its bundle.)
func hooksLibrary(root string) api.BuildOptions {
	o := options(root)
	o.EntryPointsAdvanced = []api.EntryPoint{{InputPath: "hooks/src/index.ts", OutputPath: "react"}}
	o.EntryNames = "lib/[name]"
	o.Alias = map[string]string{"@troupe/client": "./client.js"}
	o.External = []string{"react", "./client.js"}
	return o
}

// Run builds everything into web/dist below root, the project's directory. A successful
// build replaces the files of the previous one.
func Run(root string) ([]File, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if err := checkPackages(root); err != nil {
		return nil, err
	}
	var outputs []api.OutputFile
	var manifest web.Manifest
	for _, o := range []api.BuildOptions{app(root), clientLibrary(root), hooksLibrary(root)} {
		result := api.Build(o)
		if err := failure(result); err != nil {
			return nil, err
		}
		outputs = append(outputs, result.OutputFiles...)
		if err := addEntries(&manifest, result.Metafile); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(WriteDocs(root), WriteInspector(root)); err != nil {
		return nil, err
	}
	return write(filepath.Join(root, "web", "dist"), outputs, manifest)
}

// checkPackages says what to do if packages are missing: esbuild would report each import.
func checkPackages(root string) error {
	if _, err := os.Stat(filepath.Join(root, "package.json")); err != nil {
		return errors.New("no package.json here: run this in the project's directory")
	}
	for _, name := range []string{"react", "react-dom"} {
		if _, err := os.Stat(filepath.Join(root, "node_modules", name, "package.json")); err != nil {
			return fmt.Errorf("the npm package %s is not installed: run `npm ci`, or `make run`, which does it", name)
		}
	}
	return nil
}

// failure returns esbuild's errors as one Go error, or nil.
func failure(result api.BuildResult) error {
	if len(result.Errors) == 0 {
		return nil
	}
	lines := api.FormatMessages(result.Errors, api.FormatMessagesOptions{Kind: api.ErrorMessage})
	return fmt.Errorf("esbuild: %d errors\n%s", len(result.Errors), strings.TrimSpace(strings.Join(lines, "")))
}

// addEntries finds the manifest's files in esbuild's metafile, by their sources.
func addEntries(m *web.Manifest, metafile string) error {
	var meta struct {
		Outputs map[string]struct {
			EntryPoint string `json:"entryPoint"`
			CSSBundle  string `json:"cssBundle"`
		} `json:"outputs"`
	}
	if err := json.Unmarshal([]byte(metafile), &meta); err != nil {
		return fmt.Errorf("read esbuild's metafile: %w", err)
	}
	built := func(output string) string { return strings.TrimPrefix(output, "web/dist") }
	for output, about := range meta.Outputs {
		switch about.EntryPoint {
		case "web/src/main.tsx":
			m.Script = built(output)
			if about.CSSBundle != "" {
				m.Styles = []string{built(about.CSSBundle)}
			}
		case "web/src/theme.ts":
			m.Theme = built(output)
		case "web/src/docs/main.ts":
			m.DocsScript = built(output)
			if about.CSSBundle != "" {
				m.DocsStyles = []string{built(about.CSSBundle)}
			}
		case "web/src/icon.svg":
			m.Icon = built(output)
		case "web/src/icons/touch.png":
			m.TouchIcon = built(output)
		case "web/src/icons/app.png":
			m.AppIcon = built(output)
		case "web/src/icons/favicon.ico":
			m.Favicon = built(output)
		case "web/src/icons/social.png":
			m.Social = built(output)
		}
	}
	return nil
}

// write replaces the files in dist. The manifest is removed first and written last: a
// directory with a manifest is complete.
func write(dist string, outputs []api.OutputFile, manifest web.Manifest) ([]File, error) {
	for _, name := range []string{web.ManifestName, "assets", "lib"} {
		if err := os.RemoveAll(filepath.Join(dist, name)); err != nil {
			return nil, err
		}
	}
	var files []File
	for _, output := range outputs {
		name, err := filepath.Rel(dist, output.Path)
		if err != nil {
			return nil, err
		}
		file := File{Name: filepath.ToSlash(name), Size: len(output.Contents)}
		if err := os.MkdirAll(filepath.Dir(output.Path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(output.Path, output.Contents, 0o644); err != nil {
			return nil, err
		}
		if slices.Contains([]string{".png", ".ico"}, path.Ext(file.Name)) {
			files = append(files, file) // is compressed already
			continue
		}
		compressed, err := compress(output.Contents)
		if err != nil {
			return nil, err
		}
		file.Gzip = len(compressed)
		if err := os.WriteFile(output.Path+".gz", compressed, 0o644); err != nil {
			return nil, err
		}
		if path.Ext(file.Name) != ".map" {
			files = append(files, file)
		}
	}
	data, err := json.MarshalIndent(manifest, "", "  ")
	if err != nil {
		return nil, err
	}
	return files, os.WriteFile(filepath.Join(dist, web.ManifestName), append(data, '\n'), 0o644)
}

func compress(content []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
