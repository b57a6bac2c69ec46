package build

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
	"golang.org/x/mod/modfile"

	"github.com/troupe-dev/troupe/web"
)

// Docs renders the documentation, docs/*.md below root, and returns the files for
// package web by name below web/dist. Without docs/index.md it returns none.
func Docs(root string) (map[string][]byte, error) {
	index, err := os.ReadFile(filepath.Join(root, "docs", "index.md"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return nil, err
	}
	d := &docs{root: root, repository: "https://" + modfile.ModulePath(module) + "/blob/main/", files: map[string][]byte{}}
	d.markdown = goldmark.New(
		goldmark.WithExtensions(extension.Linkify, extension.NewTable(
			extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute), // the page's policy forbids style attributes
		)),
		goldmark.WithParserOptions(parser.WithAutoHeadingID()),
		goldmark.WithRendererOptions(
			html.WithUnsafe(), // the documents are this project's, and use <picture>
			renderer.WithNodeRenderers(util.Prioritized(blockRenderer{}, 0)),
		),
	)
	names := []string{"index"} // in the index's order
	for _, m := range regexp.MustCompile(`\]\(([a-z-]+)\.md\)`).FindAllSubmatch(index, -1) {
		if name := string(m[1]); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if err := d.add(name); err != nil {
			return nil, fmt.Errorf("render docs/%s.md: %w", name, err)
		}
	}
	if d.files[web.DocsName], err = json.Marshal(d.pages); err != nil {
		return nil, err
	}
	d.files["docs/search.json"], err = json.Marshal(d.sections)
	return d.files, err
}

// WriteDocs replaces the documentation in web/dist by the files of Docs.
func WriteDocs(root string) error {
	files, err := Docs(root)
	if err != nil {
		return err
	}
	dist := filepath.Join(root, "web", "dist")
	if err := os.RemoveAll(filepath.Join(dist, "docs")); err != nil {
		return err
	}
	for name, content := range files {
		file := filepath.Join(dist, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// docs is the documentation while it is rendered.
type docs struct {
	root       string
	repository string // base URL of links out of the documentation
	markdown   goldmark.Markdown
	files      map[string][]byte
	pages      []web.DocsPage
	sections   []section
}

// section is an entry of the search index: the text below a heading.
type section struct {
	Page    string `json:"page"`
	Title   string `json:"title"`
	Anchor  string `json:"anchor"`
	Heading string `json:"heading"`
	Text    string `json:"text"`
}

var (
	comments = regexp.MustCompile(`(?m)^<!--.*-->\n`)
	sources  = regexp.MustCompile(`(src|srcset)="([^"]+)"`)
)

func (d *docs) add(name string) error {
	source, err := os.ReadFile(filepath.Join(d.root, "docs", name+".md"))
	if err != nil {
		return err
	}
	source = comments.ReplaceAll(source, nil)
	source = sources.ReplaceAllFunc(source, func(m []byte) []byte {
		part := sources.FindSubmatch(m)
		address, copyErr := d.image(string(part[2]))
		err = errors.Join(err, copyErr)
		return fmt.Appendf(nil, `%s="%s"`, part[1], address)
	})
	if err != nil {
		return err
	}
	root := d.markdown.Parser().Parse(text.NewReader(source))
	page := web.DocsPage{Name: name}
	var at *section
	err = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Link:
			n.Destination = []byte(d.address(string(n.Destination)))
		case *ast.Heading:
			id, _ := n.AttributeString("id")
			anchor, _ := id.([]byte)
			heading := textOf(n, source)
			if n.Level == 1 {
				page.Title = heading
			} else if n.Level == 2 {
				page.Headings = append(page.Headings, web.DocsHeading{ID: string(anchor), Text: heading})
			}
			d.sections = append(d.sections, section{Page: name, Title: page.Title, Anchor: string(anchor), Heading: heading})
			at = &d.sections[len(d.sections)-1]
			return ast.WalkSkipChildren, nil
		}
		if at != nil && n.Type() == ast.TypeBlock && (n.FirstChild() == nil || n.FirstChild().Type() == ast.TypeInline) {
			at.Text = strings.TrimSpace(at.Text + " " + textOf(n, source))
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		return err
	}
	var body bytes.Buffer
	if err := d.markdown.Renderer().Render(&body, source, root); err != nil {
		return err
	}
	d.pages = append(d.pages, page)
	d.files["docs/"+name+".html"] = body.Bytes()
	return nil
}

// image adds an image of the repository to the documentation, and returns its URL.
func (d *docs) image(to string) (string, error) {
	content, err := os.ReadFile(filepath.Join(d.root, filepath.FromSlash(path.Join("docs", to))))
	address := "images/" + path.Base(to)
	d.files["docs/"+address] = content
	return address, err
}

// address converts the target of a link in a document to a URL. Pages link to each other
// by relative URLs.
func (d *docs) address(to string) string {
	if strings.Contains(to, "://") || strings.HasPrefix(to, "#") {
		return to
	}
	to, anchor, found := strings.Cut(to, "#")
	if found {
		anchor = "#" + anchor
	}
	file := path.Join("docs", to)
	name, isDoc := strings.CutSuffix(strings.TrimPrefix(file, "docs/"), ".md")
	switch {
	case file == "docs/index.md":
		return "./" + anchor
	case isDoc && path.Dir(file) == "docs":
		return name + anchor
	}
	return d.repository + file + anchor
}

// textOf returns the text of a node.
func textOf(n ast.Node, source []byte) string {
	var b strings.Builder
	if n.Type() == ast.TypeBlock && n.FirstChild() == nil {
		if _, isHTML := n.(*ast.HTMLBlock); isHTML {
			return ""
		}
		return string(n.Lines().Value(source))
	}
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the function returns no error
		if s, ok := n.(*ast.Text); ok && entering {
			b.Write(s.Segment.Value(source))
			if s.SoftLineBreak() {
				b.WriteByte(' ')
			}
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// blockRenderer replaces some of goldmark's renderers: headings link to themselves, and
// code is highlighted.
type blockRenderer struct{}

// RegisterFuncs implements renderer.NodeRenderer.
func (blockRenderer) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindHeading, renderHeading)
	r.Register(ast.KindFencedCodeBlock, renderCode)
}

func renderHeading(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n := node.(*ast.Heading)
	var err error
	if !entering {
		_, err = fmt.Fprintf(w, "</a></h%d>\n", n.Level)
		return ast.WalkContinue, err
	}
	id, _ := n.AttributeString("id")
	_, err = fmt.Fprintf(w, `<h%d id="%s"><a href="#%s">`, n.Level, id, id)
	return ast.WalkContinue, err
}

func renderCode(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	n := node.(*ast.FencedCodeBlock)
	code := highlight(string(n.Language(source)), string(n.Lines().Value(source)))
	_, err := fmt.Fprintf(w, "<pre tabindex=\"0\"><code>%s</code></pre>\n", code)
	return ast.WalkSkipChildren, err
}
