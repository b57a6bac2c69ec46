package inspect

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"path"
	"time"

	"github.com/a-h/templ"
	"github.com/go-chi/chi/v5"
)

//go:generate go tool templ generate -f page.templ

// files are the page's, as web/build has made them from web/src/inspect. They are committed,
// so that every server that imports this package has the page: "go run ./web/cmd/build" writes them.
//
//go:embed page
var files embed.FS

var contentTypes = map[string]string{
	".js":  "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml",
}

// asset returns the address of one of the files. It changes with the content.
func asset(name string) string {
	content, err := files.ReadFile("page/" + name)
	if err != nil {
		return Path + "/assets/" + name
	}
	sum := sha256.Sum256(content)
	return Path + "/assets/" + name + "?" + base64.RawURLEncoding.EncodeToString(sum[:6])
}

// serveAsset serves one of the files. They have no secrets.
func serveAsset(w http.ResponseWriter, r *http.Request) {
	name := chi.URLParam(r, "name")
	content, err := files.ReadFile("page/" + name)
	kind := contentTypes[path.Ext(name)]
	if err != nil || kind == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// servePage serves the shell. The page finds its own way from the address.
func servePage(w http.ResponseWriter, r *http.Request) {
	render(w, r, http.StatusOK, page(asset("inspect.js"), asset("theme.js"), asset("inspect.css"), asset("icon.svg")))
}

func refusePage(w http.ResponseWriter, r *http.Request) {
	render(w, r, http.StatusUnauthorized, refusal(asset("theme.js"), asset("inspect.css"), asset("icon.svg")))
}

func render(w http.ResponseWriter, r *http.Request, status int, c templ.Component) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = c.Render(r.Context(), w) // an error means that the browser is gone
}
