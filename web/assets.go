// Package web serves the sample app: a page, the files that esbuild made of
// src, and the libraries for pages that are not ours.
//
// The files are an fs.FS that web/build has written, and the binary embeds:
//
//	manifest.json       which files the page needs
//	assets/NAME-HASH.*  the app; the name changes with the content
//	lib/*.js            the libraries, under names that stay
//	docs/*              the documentation, rendered (see DocsName)
//	*.gz                the same, compressed
//	placeholder.html    shown when the rest was not built
package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
)

// Licenses are the texts that the licences ask for of what others have made and is
// in the binary, and in the page. tool/licenses collects them.
//
//go:embed licenses.txt
var Licenses string

//go:generate go tool templ generate -f page.templ
//go:generate go tool templ generate -f docs.templ

// policy lets the page load scripts, styles and images of this server and connect
// to it, and nothing else: nothing inline, nothing from elsewhere, in no frame. No
// text becomes HTML or code (trusted types). Sockets are 'self', too; a browser so
// old that it does not know that goes on over HTTP.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// features are what the page does without, and whatever might get into it.
const features = "camera=(), microphone=(), geolocation=(), display-capture=(), payment=(), usb=(), serial=(), hid=(), " +
	"midi=(), accelerometer=(), gyroscope=(), magnetometer=(), browsing-topics=()"

const (
	forever    = "public, max-age=31536000, immutable"
	revalidate = "no-cache"
)

// Reserved are the first parts of paths that are not the app's.
var Reserved = []string{"api", "assets", "docs", "lib", "healthz", "readyz", "metrics", "debug"}

// contentTypes are those of everything that the build makes. They do not come
// from the machine, whose tables differ.
var contentTypes = map[string]string{
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".map":  "application/json",
	".json": "application/json",
	".svg":  "image/svg+xml",
}

// UI answers requests for the page and its files. It is safe for concurrent use.
type UI struct {
	http.Handler

	dist  fs.FS
	page  document
	docs  map[string]document // by name
	etags map[string]string   // of what has no hash in its name, by file name
	built bool
}

// document is a page that is made once.
type document struct {
	body   []byte
	etag   string
	status int
}

// New returns the UI that dist has. If it was not built, the answer to every
// navigation is a page that says how to. base is the path below which browsers find
// it, such as /app, or empty: addresses in the page begin with it. Requests come
// without.
func New(dist fs.FS, base string) (*UI, error) {
	ui := &UI{dist: dist, docs: map[string]document{}, etags: map[string]string{}}
	manifest, err := readManifest(dist)
	if err != nil {
		return nil, err
	}
	if ui.built = manifest != nil; ui.built {
		err = ui.prepare(manifest.below(base), base)
	} else {
		ui.page.status = http.StatusServiceUnavailable
		ui.page.body, err = fs.ReadFile(dist, "placeholder.html")
	}
	if err != nil {
		return nil, fmt.Errorf("prepare the UI: %w", err)
	}
	ui.page.etag = etag(ui.page.body)

	r := chi.NewRouter()
	r.Use(secure)
	r.NotFound(ui.navigate)
	r.MethodNotAllowed(http.NotFound)
	for _, serve := range []func(string, http.HandlerFunc){r.Get, r.Head} {
		serve("/", ui.servePage)
		serve("/assets/*", ui.serveAsset)
		serve("/lib/*", ui.serveLibrary)
		serve("/licenses.txt", serveLicenses)
		serve("/docs", http.RedirectHandler(base+"/docs/", http.StatusPermanentRedirect).ServeHTTP)
		serve("/docs/*", ui.serveDocs)
	}
	ui.Handler = r
	return ui, nil
}

// Built reports whether there is an app to serve, or only the placeholder.
func (ui *UI) Built() bool { return ui.built }

// prepare makes the page, and the tags of what has no hash in its name.
func (ui *UI) prepare(m Manifest, base string) error {
	var body bytes.Buffer
	if err := page(m, base).Render(context.Background(), &body); err != nil {
		return err
	}
	ui.page = document{body: body.Bytes(), status: http.StatusOK}
	for _, pattern := range []string{"lib/*", "docs/*.json", "docs/images/*"} {
		names, err := fs.Glob(ui.dist, pattern)
		if err != nil {
			return err
		}
		for _, name := range names {
			content, err := fs.ReadFile(ui.dist, name)
			if err != nil {
				return err
			}
			ui.etags[name] = etag(content)
		}
	}
	return ui.prepareDocs(m, base)
}

// secure sets the headers that every answer has.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", features)
		next.ServeHTTP(w, r)
	})
}

// servePage answers with the page, which names files that change with every
// build: it has to be asked for again.
func (ui *UI) servePage(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", revalidate)
	if ui.page.status != http.StatusOK {
		w.WriteHeader(ui.page.status)
		if r.Method != http.MethodHead {
			_, _ = w.Write(ui.page.body) // an error means that the browser is gone
		}
		return
	}
	h.Set("ETag", ui.page.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(ui.page.body))
}

// navigate answers what is no file with the page, whose router knows more. A
// script or an image that is missing stays missing.
func (ui *UI) navigate(w http.ResponseWriter, r *http.Request) {
	if !isNavigation(r) {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Vary", "Accept")
	ui.servePage(w, r)
}

func isNavigation(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	first, _, _ := strings.Cut(strings.TrimLeft(r.URL.Path, "/"), "/")
	if slices.Contains(Reserved, first) {
		return false
	}
	return path.Ext(first) == "" && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// serveAsset answers with a file whose name changes with its content.
func (ui *UI) serveAsset(w http.ResponseWriter, r *http.Request) {
	ui.serveFile(w, r, forever)
}

// serveLicenses answers with the licences: the page has code of others, too.
func serveLicenses(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", revalidate)
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(Licenses))
}

// serveLibrary answers with a library, to pages of any origin.
func (ui *UI) serveLibrary(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	ui.serveFile(w, r, revalidate)
}

func (ui *UI) serveFile(w http.ResponseWriter, r *http.Request, cache string) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	contentType, known := contentTypes[path.Ext(name)]
	if !known || !fs.ValidPath(name) {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	stored := name
	if acceptsGzip(r) && ui.has(name+".gz") {
		stored += ".gz"
	}
	f, err := ui.dist.Open(stored)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	content, ok := f.(io.ReadSeeker)
	if !ok {
		http.Error(w, "cannot seek in "+stored, http.StatusInternalServerError)
		return
	}
	if stored != name {
		h.Set("Content-Encoding", "gzip")
	}
	if tag := ui.etags[stored]; tag != "" {
		h.Set("ETag", tag)
	}
	h.Set("Vary", "Accept-Encoding")
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", cache)
	http.ServeContent(w, r, "", time.Time{}, content)
}

func (ui *UI) has(name string) bool {
	_, err := fs.Stat(ui.dist, name)
	return err == nil
}

// acceptsGzip reports whether the client takes gzip: it is named, and not with
// a quality of 0.
func acceptsGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, quality, _ := strings.Cut(coding, ";")
		if strings.TrimSpace(name) == "gzip" {
			q := strings.Trim(strings.TrimPrefix(strings.TrimSpace(quality), "q="), "0.")
			return quality == "" || q != ""
		}
	}
	return false
}

// etag returns a tag that changes with the content.
func etag(content []byte) string {
	sum := sha256.Sum256(content)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
