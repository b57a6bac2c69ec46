package build

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/troupe-dev/troupe/web"
)

// DevManifest has the URLs of Dev's files. They are stable, so that a page finds files
// that are built later.
var DevManifest = web.Manifest{
	Script: "/assets/main.js",
	Theme:  "/assets/theme.js",
	Styles: []string{"/assets/main.css"},
	Icon:   "/assets/icon.svg",

	TouchIcon: "/assets/touch.png",
	AppIcon:   "/assets/app.png",
	Favicon:   "/assets/favicon.ico",
	Social:    "/assets/social.png",

	DocsScript: "/assets/docs.js",
	DocsStyles: []string{"/assets/docs.css"},
}

// Dev builds the app and the libraries repeatedly, in memory and incrementally. Unlike
// Run's, its app is not minified, has React's warnings, and no hashes in file names. It
// is not safe for concurrent use.
type Dev struct {
	root           string
	app, libraries []api.BuildContext
}

// NewDev prepares builds of the project in the directory root. Call Close after use.
func NewDev(root string) (*Dev, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if err := checkPackages(root); err != nil {
		return nil, err
	}
	d := &Dev{root: root}
	for _, o := range []api.BuildOptions{app(root), clientLibrary(root), hooksLibrary(root)} {
		o.EntryNames = strings.TrimSuffix(o.EntryNames, "-[hash]")
		o.Define = map[string]string{"process.env.NODE_ENV": `"development"`}
		o.MinifyWhitespace, o.MinifyIdentifiers, o.MinifySyntax = false, false, false
		o.Metafile = false
		ctx, failed := api.Context(o)
		if failed != nil {
			d.Close()
			return nil, failure(api.BuildResult{Errors: failed.Errors})
		}
		if d.app == nil {
			d.app = append(d.app, ctx)
		} else {
			d.libraries = append(d.libraries, ctx)
		}
	}
	return d, nil
}

// App builds the app and returns its files by path, such as /assets/main.js.
func (d *Dev) App() (map[string][]byte, error) { return d.rebuild(d.app) }

// Libraries builds the libraries and returns their files by path.
func (d *Dev) Libraries() (map[string][]byte, error) { return d.rebuild(d.libraries) }

func (d *Dev) rebuild(contexts []api.BuildContext) (map[string][]byte, error) {
	files := map[string][]byte{}
	dist := filepath.Join(d.root, "web", "dist")
	var errs []error
	for _, ctx := range contexts {
		result := ctx.Rebuild()
		errs = append(errs, failure(result))
		for _, output := range result.OutputFiles {
			name, err := filepath.Rel(dist, output.Path)
			if err != nil {
				return nil, err
			}
			files["/"+filepath.ToSlash(name)] = output.Contents
		}
	}
	return files, errors.Join(errs...)
}

// Close frees the builds' memory.
func (d *Dev) Close() {
	for _, ctx := range append(d.app, d.libraries...) {
		ctx.Dispose()
	}
}
