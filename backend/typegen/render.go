package typegen

import (
	"cmp"
	"encoding/json"
	"fmt"
	"go/types"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/troupe-dev/troupe/backend/actor"
)

// rendered is an actor in TypeScript.
type rendered struct {
	name, doc     string
	actions       []member
	events        []member
	params, input member
}

// member is an action, an event, params or input.
type member struct {
	name, doc string
	part      string // its name in the contract
	text      string // in TypeScript
	bare      string // the same without parameter names
	uses      map[string]bool
}

// render renders the actors in TypeScript with the names in g.names, and collects
// their declarations in g.decls.
func (g *generator) render() []rendered {
	g.decls = map[string]*decl{}
	var out []rendered
	for _, a := range g.actors {
		r := rendered{name: a.name, doc: g.docs.of(a.typ.Obj()).text}
		for _, act := range a.actions {
			r.actions = append(r.actions, g.action(a, act))
		}
		for _, e := range a.events {
			m := member{name: e.name, part: a.name + ".on(" + e.name + ")", doc: rename(g.docs.of(e.typ.Obj()).text, e.typ.Obj().Name(), e.name)}
			m.text = g.use(&m, func() string { return g.expr(e.typ, site{e.pos, "event " + e.name}) })
			m.bare = m.text
			r.events = append(r.events, m)
		}
		r.params = g.payload(a.params, a.name+".connect()", "params of "+a.name)
		r.input = g.payload(a.input, a.name+".create()", "input of "+a.name)
		out = append(out, r)
	}
	return out
}

// use calls f and records in m the declarations that it uses.
func (g *generator) use(m *member, f func() string) string {
	m.uses = map[string]bool{}
	g.uses = m.uses
	return f()
}

const adviseString = "use a string, or a struct with a field that is tagged `json:\",string\"`"

func (g *generator) action(a *actorDef, act *action) member {
	goName := act.method.Name()
	m := member{name: act.name, part: a.name + "." + act.name + "()", doc: rename(g.docs.of(act.method).text, goName, act.name)}
	sig := act.method.Signature()
	pos := act.method.Pos()
	if act.method.Pkg() != g.pkg.Types {
		pos = a.typ.Obj().Pos()
	}
	m.text = g.use(&m, func() string {
		var params, bare []string
		taken := map[string]bool{}
		for i := 1; i < sig.Params().Len(); i++ {
			p := sig.Params().At(i)
			here := site{pos, fmt.Sprintf("%s.%s: parameter %d", a.typ.Obj().Name(), goName, i)}
			if act.method.Pkg() == g.pkg.Types && p.Pos().IsValid() {
				here.pos = p.Pos()
			}
			text := g.expr(p.Type(), here)
			checkNumber(g, p.Type(), p.Name(), adviseString, here)
			params = append(params, parameter(p.Name(), i, taken)+": "+text)
			bare = append(bare, text)
		}
		result := "void"
		if n := sig.Results().Len(); n > 0 && !types.Identical(sig.Results().At(0).Type(), errorType) {
			here := site{pos, fmt.Sprintf("%s.%s: its result", a.typ.Obj().Name(), goName)}
			result = g.expr(sig.Results().At(0).Type(), here)
			checkNumber(g, sig.Results().At(0).Type(), goName, adviseString, here)
		}
		m.bare = "(" + strings.Join(bare, ", ") + "): " + result
		return property(act.name) + "(" + strings.Join(params, ", ") + "): " + result
	})
	return m
}

func (g *generator) payload(p *payload, part, what string) member {
	m := member{part: part, text: "undefined", bare: "undefined", uses: map[string]bool{}}
	if p == nil {
		return m
	}
	m.text = g.use(&m, func() string {
		text := g.expr(p.typ, site{p.pos, what})
		if g.absent(p.typ) && text != "unknown" {
			text += " | undefined"
		}
		return text
	})
	m.bare = m.text
	return m
}

// parameter returns the name of a parameter in TypeScript.
func parameter(goName string, i int, taken map[string]bool) string {
	name := actor.WireName(goName)
	if name == "" || name == "_" {
		name = fmt.Sprint("arg", i)
	}
	if reservedWords[name] {
		name += "_"
	}
	for first := name; taken[name]; {
		name = fmt.Sprint(first, i)
	}
	taken[name] = true
	return name
}

// reservedWords are not allowed as parameter names in TypeScript, but are in Go.
var reservedWords = map[string]bool{}

func init() {
	for _, word := range strings.Fields(`arguments await catch class debugger delete do enum eval export extends
		false finally function implements in instanceof let new null private protected public static super
		this throw true try typeof void while with yield`) {
		reservedWords[word] = true
	}
}

// rename replaces the Go name at the start of a comment by the name that clients use.
func rename(doc, from, to string) string {
	if rest, ok := strings.CutPrefix(doc, from); ok && (rest == "" || rest[0] == ' ' || rest[0] == '\n') {
		return to + rest
	}
	return doc
}

// typescript writes the file for clients.
func (g *generator) typescript(out []rendered, c contract) string {
	var b strings.Builder
	fmt.Fprintf(&b, "// Code generated from the Go package %s (go generate ./...). DO NOT EDIT.\n", g.pkg.PkgPath)
	for _, k := range slices.SortedFunc(maps.Keys(g.decls), func(a, b string) int { return strings.Compare(g.names[a], g.names[b]) }) {
		d := g.decls[k]
		b.WriteString("\n")
		comments(&b, "", g.docs.of(d.named.Origin().Obj()).text)
		b.WriteString(d.write(true))
	}
	b.WriteString("\n/** The actors of the server, by name: their actions, events, params and input. */\nexport interface Registry {\n")
	for _, r := range out {
		comments(&b, "  ", r.doc)
		fmt.Fprintf(&b, "  %s: {\n", property(r.name))
		members(&b, "actions", r.actions, func(m member) string { return m.text })
		members(&b, "events", r.events, func(m member) string { return property(m.name) + ": " + m.text })
		fmt.Fprintf(&b, "    params: %s;\n    input: %s;\n  };\n", r.params.text, r.input.text)
	}
	b.WriteString("}\n\n/** The registry for `createClient<typeof registry>(url, { registry })`. The client compares its fingerprints with the server's. */\nexport const registry = {\n")
	fmt.Fprintf(&b, "  \"~contract\": %s,\n  \"~parts\": [\n", literal(c.fingerprint))
	for _, part := range c.parts {
		fmt.Fprintf(&b, "    %s,\n", literal(part))
	}
	b.WriteString("  ],\n} as unknown as Registry;\n")
	return b.String()
}

func members(b *strings.Builder, what string, all []member, text func(member) string) {
	if len(all) == 0 {
		fmt.Fprintf(b, "    %s: Record<never, never>;\n", what)
		return
	}
	fmt.Fprintf(b, "    %s: {\n", what)
	for _, m := range all {
		comments(b, "      ", m.doc)
		fmt.Fprintf(b, "      %s;\n", text(m))
	}
	b.WriteString("    };\n")
}

// write returns the declaration, with or without the comments of its fields.
func (d *decl) write(commented bool) string {
	if d.fields == nil {
		return fmt.Sprintf("export type %s = %s;\n", d.name, cmp.Or(d.text, "Record<string, never>"))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "export interface %s {\n", d.name+d.params)
	for _, f := range d.fields {
		if commented {
			comments(&b, "  ", f.doc)
		}
		fmt.Fprintf(&b, "  %s;\n", f.member())
	}
	b.WriteString("}\n")
	return b.String()
}

func (f field) member() string {
	if f.optional {
		return property(f.name) + "?: " + f.text
	}
	return property(f.name) + ": " + f.text
}

// property returns the name of a property, quoted if necessary: new(…) would be the
// signature of a constructor.
func property(name string) string {
	if name == "" || name == "new" {
		return literal(name)
	}
	for i, r := range name {
		if r > unicode.MaxASCII || !(r == '_' || r == '$' || unicode.IsLetter(r) || i > 0 && unicode.IsDigit(r)) {
			return literal(name)
		}
	}
	return name
}

// literal returns a TypeScript string literal; JSON is valid TypeScript.
func literal(s string) string {
	b, _ := json.Marshal(s) // encoding a string does not fail
	return string(b)
}

// comments writes a doc comment as TSDoc.
func comments(b *strings.Builder, indent, text string) {
	if text == "" {
		return
	}
	text = strings.ReplaceAll(text, "*/", "*\\/")
	if !strings.Contains(text, "\n") {
		fmt.Fprintf(b, "%s/** %s */\n", indent, text)
		return
	}
	fmt.Fprintf(b, "%s/**\n", indent)
	for line := range strings.Lines(text) {
		fmt.Fprintln(b, strings.TrimRight(indent+" * "+line, " \n"))
	}
	fmt.Fprintf(b, "%s */\n", indent)
}
