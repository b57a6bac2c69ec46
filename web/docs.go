package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
)

// DocsName is the file in the built UI that lists the pages of the documentation, an
// array of DocsPage. Beside it are their bodies (docs/NAME.html), the search index and
// images.
const DocsName = "docs/pages.json"

// DocsPage is a page of the documentation.
type DocsPage struct {
	Name     string        `json:"name"` // of its file, docs/NAME.md
	Title    string        `json:"title"`
	Headings []DocsHeading `json:"headings"` // of the second level
}

// DocsHeading is a heading within a page.
type DocsHeading struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

// address returns the page's URL, relative to the other pages.
func (p DocsPage) address() string {
	if p.Name == "index" {
		return "./"
	}
	return p.Name
}

// fragment is HTML that the build rendered from this project's documents. It has no user
// text.
type fragment []byte

// Render implements templ.Component.
func (f fragment) Render(_ context.Context, w io.Writer) error {
	_, err := w.Write(f)
	return err
}

// prepareDocs renders the pages of the documentation, if it is built.
func (ui *UI) prepareDocs(m Manifest, base string) error {
	data, err := fs.ReadFile(ui.dist, DocsName)
	if isNotExist(err) {
		return nil
	} else if err != nil {
		return err
	}
	var pages []DocsPage
	if err := json.Unmarshal(data, &pages); err != nil {
		return fmt.Errorf("%s: %w", DocsName, err)
	}
	for _, p := range pages {
		body, err := fs.ReadFile(ui.dist, "docs/"+p.Name+".html")
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := docsPage(m, base, p, pages, fragment(body)).Render(context.Background(), &b); err != nil {
			return err
		}
		ui.docs[p.Name] = document{body: b.Bytes(), etag: etag(b.Bytes()), status: http.StatusOK}
	}
	return nil
}

// serveDocs serves a page of the documentation, the search index, or an image.
func (ui *UI) serveDocs(w http.ResponseWriter, r *http.Request) {
	name := chi.URLParam(r, "*")
	if name == "search.json" || strings.HasPrefix(name, "images/") {
		ui.serveFile(w, r, revalidate)
		return
	}
	if name == "" {
		name = "index"
	}
	page, found := ui.docs[name]
	if !found {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", revalidate)
	h.Set("ETag", page.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(page.body))
}
