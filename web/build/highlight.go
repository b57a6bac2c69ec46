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

// highlight returns code as HTML in which comments, strings and keywords have classes.
// Code of an unknown language has none.
func highlight(name, code string) string {
	expression := languages[name]
	if expression == nil {
		return html.EscapeString(code)
	}
	var b strings.Builder
	end := 0
	for _, m := range expression.FindAllStringSubmatchIndex(code, -1) {
		b.WriteString(html.EscapeString(code[end:m[0]]))
		for i, class := range []string{"comment", "string", "keyword"} {
			if m[2+2*i] >= 0 {
				b.WriteString(`<span class="` + class + `">` + html.EscapeString(code[m[0]:m[1]]) + `</span>`)
			}
		}
		end = m[1]
	}
	b.WriteString(html.EscapeString(code[end:]))
	return b.String()
}
