package build_test

import (
	"encoding/json"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/troupe-dev/troupe/web"
	"github.com/troupe-dev/troupe/web/build"
)

// served is the project's documentation, served below a path.
func served(t *testing.T, base string) (*web.UI, []web.DocsPage) {
	t.Helper()
	files, err := build.Docs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dist := fstest.MapFS{"manifest.json": {Data: []byte(`{"script":"/assets/main.js","styles":["/assets/main.css"],"theme":"/assets/theme.js",
		"icon":"/assets/icon.svg","docsScript":"/assets/docs.js","docsStyles":["/assets/docs.css"]}`)}}
	for name, content := range files {
		dist[name] = &fstest.MapFile{Data: content}
	}
	ui, err := web.New(dist, base)
	if err != nil {
		t.Fatal(err)
	}
	var pages []web.DocsPage
	if err := json.Unmarshal(files[web.DocsName], &pages); err != nil {
		t.Fatal(err)
	}
	if len(pages) < 12 || pages[0].Name != "index" {
		t.Fatalf("got pages %v", pages)
	}
	return ui, pages
}

func get(ui *web.UI, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	ui.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
	return w
}

func addressOf(page string) string { return "/docs/" + strings.TrimSuffix(page, "index") }

// Every page is served, works under the policy, and its links have targets.
func TestDocs(t *testing.T) {
	ui, pages := served(t, "")
	ids := map[string]map[string]bool{} // by address
	bodies := map[string]string{}
	for _, p := range pages {
		w := get(ui, addressOf(p.Name))
		body := w.Body.String()
		if w.Code != 200 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || w.Header().Get("ETag") == "" {
			t.Fatalf("%s: got %d, %v", p.Name, w.Code, w.Header())
		}
		if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: got policy %q", p.Name, policy)
		}
		if inline := regexp.MustCompile(`(?i)<script[^>]*>[^<]|<style|<\w[^>]*\s(?:style|on\w+)=|javascript:`).FindString(body); inline != "" {
			t.Errorf("%s has %q inline", p.Name, inline)
		}
		if p.Title == "" || !strings.Contains(body, "<title>"+p.Title+" · Troupe</title>") || strings.Count(body, "<h1 ") != 1 {
			t.Errorf("%s: its title is %q", p.Name, p.Title)
		}
		if strings.Contains(body, "<!--") || strings.Contains(body, "```") {
			t.Errorf("%s has a note for GitHub only", p.Name)
		}
		bodies[addressOf(p.Name)], ids[addressOf(p.Name)] = body, map[string]bool{"": true}
		for _, m := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(body, -1) {
			ids[addressOf(p.Name)][m[1]] = true
		}
	}
	for at, body := range bodies {
		for _, m := range regexp.MustCompile(`(?:href|src|srcset)="([^"]*)"`).FindAllStringSubmatch(body, -1) {
			to, anchor, _ := strings.Cut(m[1], "#")
			switch {
			case strings.HasPrefix(to, "https://"), strings.HasPrefix(to, "http://"), strings.HasPrefix(to, "/"):
				continue
			case strings.HasPrefix(to, "images/"):
				if w := get(ui, "/docs/"+to); w.Code != 200 || w.Header().Get("Content-Type") != "image/svg+xml" {
					t.Errorf("%s: %s: got %d, %v", at, to, w.Code, w.Header())
				}
				continue
			case to == "":
				to = at
			default:
				to = path.Join("/docs", to)
				if to == "/docs" {
					to = "/docs/"
				}
			}
			if !ids[to][anchor] {
				t.Errorf("%s: a link has no target: %s", at, m[1])
			}
		}
	}
}

func TestDocs_basePath(t *testing.T) {
	ui, _ := served(t, "/app")
	body := get(ui, "/docs/deploy").Body.String()
	for _, want := range []string{`src="/app/assets/docs.js"`, `href="/app/assets/docs.css"`, `href="/app/chat/general"`, `href="operate"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(body, `"/docs`) {
		t.Error("the page has an address at the root")
	}
	if w := get(ui, "/docs"); w.Code != 308 || w.Header().Get("Location") != "/app/docs/" {
		t.Errorf("/docs: got %d to %q", w.Code, w.Header().Get("Location"))
	}
	if w := get(ui, "/docs/missing"); w.Code != 404 {
		t.Errorf("a page that is missing: got %d", w.Code)
	}
}

// The search index has every heading and the text below it.
func TestDocsSearchIndex(t *testing.T) {
	ui, pages := served(t, "")
	w := get(ui, "/docs/search.json")
	var sections []struct{ Page, Anchor, Heading, Text string }
	if err := json.Unmarshal(w.Body.Bytes(), &sections); err != nil || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("got %v, %v", err, w.Header())
	}
	found := false
	for _, s := range sections {
		found = found || s.Page == "deploy" && s.Anchor == "nginx" && strings.Contains(s.Text, "proxy_set_header Upgrade") && strings.Contains(s.Text, "server-sent events")
	}
	if !found || len(sections) < 4*len(pages) {
		t.Errorf("got %d sections, that of nginx among them: %t", len(sections), found)
	}
}

func TestHighlight(t *testing.T) {
	ui, _ := served(t, "")
	body := get(ui, "/docs/tutorial").Body.String()
	for _, want := range []string{
		`<span class="keyword">func</span> (r *Poll) Clear(`, `<span class="comment">// Clear removes all entries.</span>`, `<span class="string">&#34;no_name&#34;</span>`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the tutorial lacks %s", want)
		}
	}
}
