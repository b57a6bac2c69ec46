// Package web serves the sample app: the page, the files that esbuild built from src, and
// the libraries for other pages.
//
// The files are an fs.FS that web/build writes and the binary embeds:
//
//	manifest.json       which files the page needs
//	assets/NAME-HASH.*  the app; the name changes with the content
//	lib/*.js            the libraries, under stable names
//	docs/*              the documentation, rendered (see DocsName)
//	*.gz                the same, compressed
//	placeholder.html    shown if the rest is not built
package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
)

// Licenses are the licence texts of everything third-party in the binary and the page.
// tool/licenses collects them.
//
//go:embed licenses.txt
var Licenses string

//go:generate go tool templ generate -f page.templ
//go:generate go tool templ generate -f docs.templ

// policy lets the page load scripts, styles and images from this server and connect to
// it, and nothing else: nothing inline, nothing from elsewhere, no frames. No text
// becomes HTML or code (trusted types). 'self' includes sockets; browsers too old to know
// that fall back to HTTP.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// features are switched off for the page and any code injected into it.
const features = "camera=(), microphone=(), geolocation=(), display-capture=(), payment=(), usb=(), serial=(), hid=(), " +
	"midi=(), accelerometer=(), gyroscope=(), magnetometer=(), browsing-topics=()"

const (
	forever    = "public, max-age=31536000, immutable"
	revalidate = "no-cache"
)

// Reserved are the first segments of paths that do not belong to the app.
var Reserved = []string{"api", "assets", "docs", "lib", "healthz", "readyz", "metrics", "debug"}

// contentTypes are the types of all built files. The tables of machines differ, so they
// are not used.
var contentTypes = map[string]string{
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".map":  "application/json",
	".json": "application/json",
	".svg":  "image/svg+xml",
	".png":  "image/png",
	".ico":  "image/x-icon",
}

const (
	slogan      = "Pull the plug. Nothing is lost."
	description = "Troupe is a realtime backend: actors in Go, hooks in React, one binary. Cut the link or kill the server, and every message still arrives, once and in order."
)

// originMark stands in the rendered page where the origin of the request comes.
const originMark = "https://origin.invalid"

// plainHost are hosts that may be part of an origin.
var plainHost = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]+)?$`)

// origin returns the origin that a browser uses for the server, as far as the request
// tells. It is only good for texts: anybody can send any host.
func origin(r *http.Request) string {
	if !plainHost.MatchString(r.Host) {
		return ""
	}
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// UI answers requests for the page and its files. It is safe for concurrent use.
type UI struct {
	http.Handler

	dist  fs.FS
	page  document            // with originMark for the origin
	app   document            // the web app manifest
	icon  string              // the URL of the favicon
	docs  map[string]document // by name
	etags map[string]string   // of files without a hash in their name, by name
	built bool
}

// document is a page, rendered once.
type document struct {
	body   []byte
	etag   string
	status int
}

// New returns the UI in dist. If it is not built, every navigation gets a page that says
// how to build it. base is the path below which browsers reach the UI, such as /app, or
// empty: URLs in the page begin with it. Requests come without it.
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

	r := chi.NewRouter()
	r.Use(secure)
	r.NotFound(ui.navigate)
	for _, serve := range []func(string, http.HandlerFunc){r.Get, r.Head} {
		serve("/", ui.servePage)
		serve("/assets/*", ui.serveAsset)
		serve("/lib/*", ui.serveLibrary)
		serve("/licenses.txt", serveLicenses)
		serve("/manifest.webmanifest", ui.serveManifest)
		serve("/favicon.ico", ui.serveFavicon)
		serve("/docs", http.RedirectHandler(base+"/docs/", http.StatusPermanentRedirect).ServeHTTP)
		serve("/docs/*", ui.serveDocs)
	}
	ui.Handler = r
	return ui, nil
}

// Built reports whether dist has the app, or only the placeholder.
func (ui *UI) Built() bool { return ui.built }

// prepare renders the page, and computes the tags of files without a hash in their name.
func (ui *UI) prepare(m Manifest, base string) error {
	var body bytes.Buffer
	if err := page(m, base, originMark).Render(context.Background(), &body); err != nil {
		return err
	}
	app, err := json.MarshalIndent(m.app(base), "", "  ")
	if err != nil {
		return err
	}
	ui.app = document{body: app, etag: etag(app), status: http.StatusOK}
	ui.icon = m.Favicon
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

// secure sets the headers of every response.
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

// servePage serves the page. It names files that change with every build, so browsers
// must revalidate it.
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
	body := bytes.ReplaceAll(ui.page.body, []byte(originMark), []byte(origin(r)))
	h.Set("ETag", etag(body))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// serveManifest serves the web app manifest, with which the page can be installed.
func (ui *UI) serveManifest(w http.ResponseWriter, r *http.Request) {
	if !ui.built {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/manifest+json")
	h.Set("Cache-Control", revalidate)
	h.Set("ETag", ui.app.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(ui.app.body))
}

// serveFavicon leads to the icon that browsers and crawlers ask for by this name.
func (ui *UI) serveFavicon(w http.ResponseWriter, r *http.Request) {
	if ui.icon == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", revalidate)
	http.Redirect(w, r, ui.icon, http.StatusTemporaryRedirect)
}

// navigate serves the page for paths that are not files: its router handles them. A
// missing script or image gets 404.
func (ui *UI) navigate(w http.ResponseWriter, r *http.Request) {
	switch {
	case !isPage(r.URL.Path):
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
	case !strings.Contains(r.Header.Get("Accept"), "text/html"):
		http.NotFound(w, r)
	default:
		w.Header().Set("Vary", "Accept")
		ui.servePage(w, r)
	}
}

// isPage reports whether a path may be a page of the app.
func isPage(address string) bool {
	first, _, _ := strings.Cut(strings.TrimLeft(address, "/"), "/")
	return !slices.Contains(Reserved, first) && path.Ext(first) == ""
}

// serveAsset serves a file whose name changes with its content.
func (ui *UI) serveAsset(w http.ResponseWriter, r *http.Request) {
	ui.serveFile(w, r, forever)
}

// serveLicenses serves the licence texts.
func serveLicenses(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", revalidate)
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(Licenses))
}

// serveLibrary serves a library to pages of any origin.
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

// acceptsGzip reports whether the client accepts gzip, with a quality above 0.
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

// etag returns the content's ETag.
func etag(content []byte) string {
	sum := sha256.Sum256(content)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
