package inspect

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/troupe-dev/troupe/backend/runtime"
)

// offer is what a definition offers, for the forms of the page.
type offer struct {
	Name    string       `json:"name"`
	Actions []action     `json:"actions"`
	Events  []string     `json:"events"`
	Tables  []string     `json:"tables"`
	As      *runtime.Arg `json:"as,omitempty"` // the result of OnAuth; missing if there is none
}

type action struct {
	Name      string  `json:"name"`
	ReadOnly  bool    `json:"readOnly"`
	Args      []param `json:"args"`
	Result    string  `json:"result,omitempty"`    // its type; missing if it returns nothing
	Signature string  `json:"signature,omitempty"` // in TypeScript, if the registry has a contract
}

type param struct {
	Name string `json:"name"` // as in the source, if the registry has a contract
	runtime.Arg
}

// offers are all of them, by name.
type offers []offer

func newOffers(defs []runtime.DefinitionInfo, types string) offers {
	all := offers{}
	for _, d := range defs {
		o := offer{Name: d.Name, Actions: []action{}, Events: d.Events, Tables: d.Tables, As: d.As}
		text := sectionOf(types, d.Name)
		for _, a := range d.Actions {
			signature, names := signatureOf(text, a.Name)
			shown := action{Name: a.Name, ReadOnly: a.ReadOnly, Args: []param{}, Result: a.Result, Signature: signature}
			for n, arg := range a.Args {
				p := param{Name: "argument", Arg: arg}
				if len(names) == len(a.Args) {
					p.Name = names[n]
				}
				shown.Args = append(shown.Args, p)
			}
			o.Actions = append(o.Actions, shown)
		}
		all = append(all, o)
	}
	return all
}

// sectionOf returns the part of the generated types that is about a definition.
func sectionOf(types, name string) string {
	_, text, ok := strings.Cut(types, "\n  "+name+": {\n")
	if !ok {
		_, text, _ = strings.Cut(types, "\n  \""+name+"\": {\n")
	}
	text, _, _ = strings.Cut(text, "\n  };\n")
	return text
}

var paramName = regexp.MustCompile(`(?:^|, )([A-Za-z_$][\w$]*)\??: `)

// signatureOf finds an action in a definition's types: its text, and the names of its
// parameters.
func signatureOf(text, action string) (signature string, names []string) {
	_, text, ok := strings.Cut(text, "\n      "+action+"(")
	if !ok {
		return "", nil
	}
	line, _, _ := strings.Cut(text, "\n")
	signature = action + "(" + strings.TrimSuffix(line, ";")
	params, _, _ := strings.Cut(line, "): ")
	depth, start := 0, 0
	var flat strings.Builder // without what is in brackets
	for at, r := range params {
		switch {
		case strings.ContainsRune("{[(<", r):
			if depth == 0 {
				flat.WriteString(params[start:at])
			}
			depth++
		case strings.ContainsRune("}])>", r):
			if depth--; depth == 0 {
				start = at + 1
			}
		}
	}
	if depth == 0 {
		flat.WriteString(params[start:])
	}
	for _, m := range paramName.FindAllStringSubmatch(flat.String(), -1) {
		names = append(names, m[1])
	}
	return signature, names
}

// serveOffers answers with all offers, and with whether actions may be run.
func serveOffers(o offers, write bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"definitions": o, "write": write})
	}
}
