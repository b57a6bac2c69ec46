package main

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"mime"
	"net/http"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/troupe-dev/troupe/web/build"
)

// page holds the last build of the app that succeeded.
type page struct {
	root    string
	overlay *overlay
	server  *server // set before run
	check   *job    // checks the types, in the background

	building sync.Mutex
	dev      *build.Dev

	mu    sync.Mutex
	files map[string][]byte // by address
	types bool              // new types were generated, and wait for their server
}

func newPage(root string, overlay *overlay) (*page, error) {
	dev, err := build.NewDev(root)
	if err != nil {
		return nil, err
	}
	p := &page{root: root, overlay: overlay, dev: dev}
	p.check = newJob(p.checkTypes)
	p.build("everything")
	p.check.request()
	return p, nil
}

func (p *page) close() { p.dev.Close() }

// run checks types until ctx ends.
func (p *page) run(ctx context.Context) { p.check.run(ctx) }

// saved rebuilds the app if one of the files may be a part of it. Types generated from
// the server's source wait until that server runs: a page newer than its server is as
// wrong as an older one.
func (p *page) saved(changed []string, building bool) {
	names := slices.DeleteFunc(slices.Clone(changed), func(name string) bool { return !ofPage(name) })
	if len(names) == 0 {
		return
	}
	if building && !slices.ContainsFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".gen.ts") }) {
		p.mu.Lock()
		p.types = true
		p.mu.Unlock()
	} else {
		p.build(strings.Join(names, ", "))
	}
	if slices.ContainsFunc(names, func(name string) bool { return path.Ext(name) == ".ts" || path.Ext(name) == ".tsx" }) {
		p.check.request()
	}
}

// catchUp rebuilds the app if it waits for the server.
func (p *page) catchUp() {
	p.mu.Lock()
	due := p.types
	p.types = false
	p.mu.Unlock()
	if due {
		p.build("new types")
	}
}

// build builds the app; why names the files that were saved.
func (p *page) build(why string) {
	begin := time.Now()
	p.building.Lock()
	files, err := p.dev.App()
	p.building.Unlock()
	p.overlay.report(fromPage, err)
	if err != nil {
		return
	}
	p.mu.Lock()
	p.files = files
	p.mu.Unlock()
	var scripts, styles [][]byte
	for _, address := range slices.Sorted(maps.Keys(files)) {
		switch path.Ext(address) {
		case ".css":
			styles = append(styles, files[address])
		case ".map":
		default:
			scripts = append(scripts, files[address])
		}
	}
	p.overlay.built(tag(scripts...), tag(styles...))
	p.overlay.say("built the page in %d ms (%s)", time.Since(begin).Milliseconds(), why)
}

// checkTypes runs the type checker on files that belong together: while the server is
// being built, its types are those of the last build, or half written.
func (p *page) checkTypes(ctx context.Context) {
	builds, err := p.server.settled(ctx)
	if err != nil {
		return // another file was saved
	}
	tsc := filepath.Join(p.root, "node_modules", ".bin", "tsc")
	output, err := command(ctx, p.root, tsc, "--noEmit", "--pretty", "false")
	if ctx.Err() != nil {
		return // another file was saved
	}
	if !p.server.stillSettled(builds) {
		p.check.request() // the types changed under the type checker
		return
	}
	if err != nil && output != "" {
		err = errors.New(output)
	}
	p.overlay.report(fromTypes, err)
}

// serveApp answers with a file of the app.
func (p *page) serveApp(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	files := p.files
	p.mu.Unlock()
	serveFile(w, r, files)
}

// serveLibrary answers with a library, built at each request.
func (p *page) serveLibrary(w http.ResponseWriter, r *http.Request) {
	p.building.Lock()
	files, err := p.dev.Libraries()
	p.building.Unlock()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Access-Control-Allow-Origin", "*")
	serveFile(w, r, files)
}

// serveFile answers with one of files. Browsers do not cache it.
func serveFile(w http.ResponseWriter, r *http.Request, files map[string][]byte) {
	content, found := files[r.URL.Path]
	if !found {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(r.URL.Path)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}
