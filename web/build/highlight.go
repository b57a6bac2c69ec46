package build

import (
	"html"
	"regexp"
	"strings"
)

// languages match comments, strings and keywords, as groups in this order. They are not
// complete lexers.
var languages = map[string]*regexp.Regexp{
	"go": language(`//[^\n]*`, "\"(?:\\\\.|[^\"\\\\\\n])*\"|`[^`]*`|'(?:\\\\.|[^'\\\\\\n])+'",
		"break case chan const continue default defer else for func go if import interface map nil package range return select struct switch true false type var"),
	"ts": language(`//[^\n]*|/\*(?s:.*?)\*/`, "\"(?:\\\\.|[^\"\\\\\\n])*\"|'(?:\\\\.|[^'\\\\\\n])*'|`[^`]*`",
		"as async await break case catch class const continue default else export extends false finally for from function if import in interface let new null of return switch this throw true try type typeof undefined while"),
	"sh":    language(`(?:^|\s)#[^\n]*`, `"(?:\\.|[^"\\])*"|'[^']*'`, "cd cp curl docker echo go kill make mkdir npm systemctl troupe"),
	"nginx": language(`#[^\n]*`, `"[^"\n]*"`, "location proxy_http_version proxy_pass proxy_set_header server"),
	"json":  language(`$^`, `"(?:\\.|[^"\\\n])*"`, "true false null"),
	"html":  language(`<!--(?s:.*?)-->`, "\"[^\"\\n]*\"|`[^`]*`", "await const from import new"),
}

func init() {
	languages["tsx"], languages["js"] = languages["ts"], languages["ts"]
}

func language(comment, text, keywords string) *regexp.Regexp {
	return regexp.MustCompile(`(?m)(` + comment + `)|(` + text + `)|\b(` + strings.ReplaceAll(keywords, " ", "|") + `)\b`)
}

// token is a piece of code. Class is comment, string, keyword or, for other pieces, empty.
type token struct {
	Class string `json:"class,omitempty"`
	Text  string `json:"text"`
}

// tokens cuts code into comments, strings, keywords and what is between them. Code of an
// unknown language is one piece.
func tokens(name, code string) []token {
	var all []token
	add := func(class, text string) {
		if text != "" {
			all = append(all, token{class, text})
		}
	}
	end := 0
	if expression := languages[name]; expression != nil {
		for _, m := range expression.FindAllStringSubmatchIndex(code, -1) {
			add("", code[end:m[0]])
			for i, class := range []string{"comment", "string", "keyword"} {
				if m[2+2*i] >= 0 {
					add(class, code[m[0]:m[1]])
				}
			}
			end = m[1]
		}
	}
	add("", code[end:])
	return all
}

// highlight returns code as HTML in which comments, strings and keywords have classes.
func highlight(name, code string) string {
	var b strings.Builder
	for _, t := range tokens(name, code) {
		if t.Class == "" {
			b.WriteString(html.EscapeString(t.Text))
		} else {
			b.WriteString(`<span class="` + t.Class + `">` + html.EscapeString(t.Text) + `</span>`)
		}
	}
	return b.String()
}
