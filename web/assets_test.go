package web_test

import (
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/troupe-dev/troupe/web"
)

const html = "text/html,application/xhtml+xml,*/*;q=0.8" // Accept of a browser's navigation

// built is a UI in the layout of web/build.
func built() fstest.MapFS {
	file := func(content string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(content)} }
	return fstest.MapFS{
		"manifest.json": file(`{"script":"/assets/main-A1.js","theme":"/assets/theme-B2.js",
			"styles":["/assets/main-C3.css"],"icon":"/assets/icon-D4.svg",
			"touchIcon":"/assets/touch-E5.png","appIcon":"/assets/app-F6.png","favicon":"/assets/favicon-G7.ico","social":"/assets/social-H8.png"}`),
		"assets/main-A1.js":     file("app"),
		"assets/main-A1.js.gz":  file("app, compressed"),
		"assets/main-A1.js.map": file("{}"),
		"assets/main-C3.css":    file("body{}"),
		"assets/icon-D4.svg":    file("<svg/>"),
		"lib/client.js":         file("client"),
		"lib/client.js.gz":      file("client, compressed"),
		"placeholder.html":      file("<html>not built"),
	}
}

func newUI(t *testing.T, dist fs.FS) *web.UI {
	t.Helper()
	ui, err := web.New(dist, "")
	if err != nil {
		t.Fatal(err)
	}
	return ui
}

// request makes a request; headers are "Name: value".
func request(h http.Handler, method, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestUI_routes(t *testing.T) {
	ui := newUI(t, built())
	tests := []struct {
		method, target, accept string
		status                 int
		contentType, cache     string
	}{
		{"GET", "/", "", 200, "text/html; charset=utf-8", "no-cache"},
		{"HEAD", "/", html, 200, "text/html; charset=utf-8", "no-cache"},
		{"GET", "/chat/general", html, 200, "text/html; charset=utf-8", "no-cache"},
		{"HEAD", "/game/arena", html, 200, "text/html; charset=utf-8", "no-cache"},
		{"GET", "/chat/a%20room", html, 200, "text/html; charset=utf-8", "no-cache"},
		{"GET", "/chat/v1.2", html, 200, "text/html; charset=utf-8", "no-cache"}, // names of users may have dots
		{"GET", "/chat/v1.2", "image/*", 404, "", ""},
		{"GET", "/news?from=mail", html, 200, "text/html; charset=utf-8", "no-cache"},
		{"GET", "/assets/main-A1.js", "", 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"HEAD", "/assets/main-A1.js", "", 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"GET", "/assets/main-C3.css", "", 200, "text/css; charset=utf-8", "public, max-age=31536000, immutable"},
		{"GET", "/assets/main-A1.js.map", "", 200, "application/json", "public, max-age=31536000, immutable"},
		{"GET", "/assets/icon-D4.svg", "", 200, "image/svg+xml", "public, max-age=31536000, immutable"},
		{"GET", "/lib/client.js", "", 200, "text/javascript; charset=utf-8", "no-cache"},

		{"GET", "/licenses.txt", html, 200, "text/plain; charset=utf-8", "no-cache"},

		{"GET", "/chat/general", "*/*", 404, "", ""}, // a fetch, not a navigation
		{"POST", "/missing.png", html, 404, "", ""},
		{"GET", "/missing.png", html, 404, "", ""},
		{"GET", "/missing.ico", html, 404, "", ""},
		{"GET", "/assets/main-OLD.js", html, 404, "", ""},
		{"GET", "/assets/", html, 404, "", ""},
		{"GET", "/assets", html, 404, "", ""},
		{"GET", "/assets/main-A1.js.gz", html, 404, "", ""}, // only as an encoding of the file
		{"GET", "/assets/../manifest.json", html, 404, "", ""},
		{"GET", "/assets/%2e%2e/manifest.json", html, 404, "", ""},
		{"GET", "/assets/../../go.mod", html, 404, "", ""},
		{"GET", "/assets/..%2f..%2fgo.mod", html, 404, "", ""},
		{"GET", "/assets/%252e%252e/manifest.json", html, 404, "", ""},
		{"GET", `/assets/..\..\go.mod`, html, 404, "", ""},
		{"GET", "/assets/..%5c..%5cmain-A1.js", html, 404, "", ""},
		{"GET", "/assets/main-A1.js%00.css", html, 404, "", ""},
		{"GET", "/assets//main-A1.js", html, 404, "", ""},
		{"GET", "/assets/./main-A1.js", html, 404, "", ""},
		{"GET", "//assets/main-A1.js", html, 404, "", ""},
		{"GET", "/lib/../assets/main-A1.js", html, 404, "", ""},
		{"GET", "/assets/C:/main-A1.js", html, 404, "", ""},
		{"GET", "/lib/missing.js", html, 404, "", ""},
		{"GET", "/api/missing", html, 404, "", ""},
		{"GET", "/healthz", html, 404, "", ""},
		{"GET", "/readyz", html, 404, "", ""},
		{"GET", "/metrics", html, 404, "", ""},
		{"GET", "/debug/pprof/", html, 404, "", ""},
		{"GET", "/manifest.json", html, 404, "", ""},
		{"GET", "/placeholder.html", html, 404, "", ""},
	}
	for _, test := range tests {
		t.Run(test.method+" "+test.target+" "+test.accept, func(t *testing.T) {
			w := request(ui, test.method, test.target, "Accept: "+test.accept)
			if w.Code != test.status {
				t.Fatalf("got status %d, want %d", w.Code, test.status)
			}
			if test.status == http.StatusNotFound {
				if strings.Contains(w.Body.String(), "<html") {
					t.Errorf("got a page, want plain text: %s", w.Body)
				}
				return
			}
			if got := w.Header().Get("Content-Type"); got != test.contentType {
				t.Errorf("got content type %q, want %q", got, test.contentType)
			}
			if got := w.Header().Get("Cache-Control"); got != test.cache {
				t.Errorf("got cache control %q, want %q", got, test.cache)
			}
			if got := w.Body.Len() == 0; got != (test.method == "HEAD") {
				t.Errorf("got a body of %d bytes", w.Body.Len())
			}
		})
	}
}

// A method that an address does not take gets 405, and the ones that it takes.
func TestUI_methods(t *testing.T) {
	ui := newUI(t, built())
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		for _, target := range []string{"/", "/chat/general", "/assets/main-A1.js", "/lib/client.js", "/licenses.txt", "/docs", "/docs/"} {
			w := request(ui, method, target, "Accept: "+html)
			if allow := strings.Join(w.Header().Values("Allow"), ", "); w.Code != http.StatusMethodNotAllowed || !strings.Contains(allow, "GET") || !strings.Contains(allow, "HEAD") {
				t.Errorf("%s %s: got %d, Allow %q, want 405, and GET and HEAD", method, target, w.Code, allow)
			}
		}
	}
}

func TestUI_compression(t *testing.T) {
	ui := newUI(t, built())
	for accept, want := range map[string]string{
		"":                    "app",
		"br, deflate":         "app",
		"gzip;q=0, br":        "app",
		"gzip; q=0.0":         "app",
		"gzip":                "app, compressed",
		"deflate, gzip;q=0.8": "app, compressed",
	} {
		w := request(ui, "GET", "/assets/main-A1.js", "Accept-Encoding: "+accept)
		if w.Body.String() != want {
			t.Errorf("Accept-Encoding %q: got %q, want %q", accept, w.Body, want)
		}
		wantEncoding := ""
		if strings.HasSuffix(want, "compressed") {
			wantEncoding = "gzip"
		}
		if got := w.Header().Get("Content-Encoding"); got != wantEncoding {
			t.Errorf("Accept-Encoding %q: got encoding %q, want %q", accept, got, wantEncoding)
		}
		if got := w.Header().Get("Vary"); got != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: got Vary %q", accept, got)
		}
	}
	if w := request(ui, "GET", "/assets/main-C3.css", "Accept-Encoding: gzip"); w.Body.String() != "body{}" {
		t.Errorf("a file without a compressed copy: got %q", w.Body)
	}
}

func TestUI_etag(t *testing.T) {
	ui := newUI(t, built())
	for _, target := range []string{"/", "/chat/general", "/lib/client.js"} {
		first := request(ui, "GET", target, "Accept: "+html)
		tag := first.Header().Get("ETag")
		if tag == "" {
			t.Errorf("%s: no ETag", target)
		}
		if again := request(ui, "GET", target, "Accept: "+html, "If-None-Match: "+tag); again.Code != 304 || again.Body.Len() != 0 {
			t.Errorf("%s: got status %d and %d bytes, want 304 and none", target, again.Code, again.Body.Len())
		}
		if other := request(ui, "GET", target, "Accept: "+html, `If-None-Match: "other"`); other.Code != 200 {
			t.Errorf("%s: got status %d for another tag, want 200", target, other.Code)
		}
	}
	plain := request(ui, "GET", "/lib/client.js").Header().Get("ETag")
	compressed := request(ui, "GET", "/lib/client.js", "Accept-Encoding: gzip").Header().Get("ETag")
	if plain == compressed {
		t.Errorf("one tag %s for two encodings", plain)
	}
}

func TestUI_librariesForAllOrigins(t *testing.T) {
	ui := newUI(t, built())
	library := request(ui, "GET", "/lib/client.js").Header()
	if got, policy := library.Get("Access-Control-Allow-Origin"), library.Get("Cross-Origin-Resource-Policy"); got != "*" || policy != "cross-origin" {
		t.Errorf("library: got %q and %q, want * and cross-origin", got, policy)
	}
	for _, target := range []string{"/", "/assets/main-A1.js"} {
		if got := request(ui, "GET", target).Header().Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s: got %q, want none", target, got)
		}
	}
}

func TestPolicyForbidsInlineCode(t *testing.T) {
	ui := newUI(t, built())
	for _, target := range []string{"/", "/chat/general", "/assets/main-A1.js", "/missing.png"} {
		h := request(ui, "GET", target, "Accept: "+html).Header()
		policy := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none';", "script-src 'self';", "connect-src 'self';", "base-uri 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: policy %q lacks %q", target, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q allows unsafe code", target, policy)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: got %s %q, want %q", target, name, got, want)
			}
		}
		if got := h.Get("Permissions-Policy"); !strings.Contains(got, "geolocation=()") {
			t.Errorf("%s: got Permissions-Policy %q, want features switched off", target, got)
		}
	}
}

// The page works under the policy: all code comes from files.
func TestPageHasNothingInline(t *testing.T) {
	page := request(newUI(t, built()), "GET", "/").Body.String()
	for _, want := range []string{
		`<script type="module" src="/assets/main-A1.js"></script>`,
		`<script src="/assets/theme-B2.js"></script>`,
		`<link rel="stylesheet" href="/assets/main-C3.css">`,
		`href="/assets/icon-D4.svg"`,
		`<html lang="en">`, `name="viewport"`, `name="color-scheme"`, `<title>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s:\n%s", want, page)
		}
	}
	if inline := regexp.MustCompile(`(?i)<script[^>]*>[^<]|<style|\sstyle=|\son\w+=|javascript:`).FindString(page); inline != "" {
		t.Errorf("the page has %q inline:\n%s", inline, page)
	}
}

// Links to the page are shown with its picture, whose address has the origin.
func TestPageNamesItsPicture(t *testing.T) {
	ui := newUI(t, built())
	picture := regexp.MustCompile(`property="og:image" content="([^"]*)"`)
	for _, test := range []struct{ host, proto, want string }{
		{"troupe.example", "", "http://troupe.example/assets/social-H8.png"},
		{"troupe.example:8080", "https", "https://troupe.example:8080/assets/social-H8.png"},
		{"[::1]:8080", "", "http://[::1]:8080/assets/social-H8.png"},
		{`a"><script>`, "", "/assets/social-H8.png"},
		{"a/b", "", "/assets/social-H8.png"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = test.host
		if test.proto != "" {
			r.Header.Set("X-Forwarded-Proto", test.proto)
		}
		w := httptest.NewRecorder()
		ui.ServeHTTP(w, r)
		if found := picture.FindStringSubmatch(w.Body.String()); found == nil || found[1] != test.want {
			t.Errorf("%s: got %v, want %s", test.host, found, test.want)
		}
	}
}

// TestInstallable: the web app manifest and the icon have fixed names, also below a path.
func TestInstallable(t *testing.T) {
	ui, err := web.New(built(), "/app")
	if err != nil {
		t.Fatal(err)
	}
	answer := request(ui, "GET", "/manifest.webmanifest")
	var app struct {
		StartURL string `json:"start_url"`
		Icons    []struct{ Src string }
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &app); err != nil {
		t.Fatal(err)
	}
	if got := answer.Header().Get("Content-Type"); got != "application/manifest+json" {
		t.Errorf("got type %s", got)
	}
	if len(app.Icons) != 2 || app.StartURL != "/app/" || app.Icons[0].Src != "/app/assets/icon-D4.svg" || app.Icons[1].Src != "/app/assets/app-F6.png" {
		t.Errorf("got %+v", app)
	}
	if icon := request(ui, "GET", "/favicon.ico"); icon.Code != 307 || icon.Header().Get("Location") != "/app/assets/favicon-G7.ico" {
		t.Errorf("the icon: got %d to %s", icon.Code, icon.Header().Get("Location"))
	}
	// Without scripts, the page says what it is, and leads to what works.
	page := request(ui, "GET", "/").Body.String()
	if !strings.Contains(page, "<noscript>") || !strings.Contains(page, `href="/app/docs/"`) {
		t.Errorf("the page says nothing without scripts:\n%s", page)
	}
}

// TestBasePath: a page below a path names its files there, and passes the path to the app.
func TestBasePath(t *testing.T) {
	ui, err := web.New(built(), "/any/app")
	if err != nil {
		t.Fatal(err)
	}
	page := request(ui, "GET", "/", "Accept: "+html).Body.String()
	for _, want := range []string{
		`data-troupe-base="/any/app"`, `src="/any/app/assets/main-A1.js"`, `src="/any/app/assets/theme-B2.js"`,
		`href="/any/app/assets/main-C3.css"`, `href="/any/app/assets/icon-D4.svg"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("got %s, want it to have %s", page, want)
		}
	}
	if page := request(newUI(t, built()), "GET", "/", "Accept: "+html).Body.String(); strings.Contains(page, "data-troupe-base") {
		t.Errorf("at the root: got %s", page)
	}
}

func TestPageEscapes(t *testing.T) {
	dist := built()
	dist["manifest.json"].Data = []byte(`{"script":"/a\"><script>alert(1)</script>","styles":["javascript:alert(1)"]}`)
	page := request(newUI(t, dist), "GET", "/").Body.String()
	for _, bad := range []string{"<script>alert", "javascript:"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q:\n%s", bad, page)
		}
	}
}

// No template marks anything as safe, so users' texts are always escaped.
func TestTemplatesMarkNothingSafe(t *testing.T) {
	templates, err := fs.Glob(os.DirFS("."), "*.templ")
	if err != nil || len(templates) == 0 {
		t.Fatalf("found %v, %v", templates, err)
	}
	for _, name := range templates {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bad := regexp.MustCompile(`templ\.(Raw|Safe\w+|JSUnsafe\w+)`).Find(source); bad != nil {
			t.Errorf("%s uses %s", name, bad)
		}
	}
}

func TestUI_notBuilt(t *testing.T) {
	ui := newUI(t, fstest.MapFS{"placeholder.html": {Data: []byte("<html>not built")}})
	if ui.Built() {
		t.Error("Built: got true, want false")
	}
	for _, target := range []string{"/", "/chat/general"} {
		w := request(ui, "GET", target, "Accept: "+html)
		if w.Code != http.StatusServiceUnavailable || w.Body.String() != "<html>not built" {
			t.Errorf("%s: got %d %q, want 503 and the placeholder", target, w.Code, w.Body)
		}
	}
	if w := request(ui, "GET", "/lib/client.js"); w.Code != http.StatusNotFound {
		t.Errorf("library: got %d, want 404", w.Code)
	}
}

// The committed placeholder says what to do.
func TestPlaceholder(t *testing.T) {
	f, err := os.Open("dist/placeholder.html")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"make run", "make build"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the placeholder does not say %q", want)
		}
	}
}

func TestBrokenManifest(t *testing.T) {
	for _, content := range []string{"", "{", `{"script":""}`} {
		if _, err := web.New(fstest.MapFS{"manifest.json": {Data: []byte(content)}}, ""); err == nil {
			t.Errorf("%q: got no error", content)
		}
	}
}
