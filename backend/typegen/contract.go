package typegen

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
)

// contract has the fingerprints of the registry, which are in both files: a client and
// a server generated from the same Go source have the same.
type contract struct {
	fingerprint string
	parts       []string // "chatRoom.sendMessage():Zm9v": each with a fingerprint of its own
}

// contract computes the fingerprints. Types change them; comments, names of
// parameters and the order of the source do not.
func (g *generator) contract(out []rendered) contract {
	texts := map[string]string{}
	for _, r := range out {
		for _, m := range slices.Concat(r.actions, r.events, []member{r.params, r.input}) {
			if m.bare != "undefined" {
				texts[m.part] = g.definition(m)
			}
		}
	}
	var c contract
	var all strings.Builder
	for _, part := range slices.Sorted(maps.Keys(texts)) {
		c.parts = append(c.parts, part+":"+fingerprint(texts[part], 3))
		all.WriteString(part + "\n" + texts[part])
	}
	c.fingerprint = fingerprint(all.String(), 12)
	return c
}

// definition returns a member with all declarations that it uses.
func (g *generator) definition(m member) string {
	used := map[string]bool{}
	var use func(keys map[string]bool)
	use = func(keys map[string]bool) {
		for k := range keys {
			if !used[k] {
				used[k] = true
				use(g.decls[k].uses)
			}
		}
	}
	use(m.uses)
	var decls []string
	for k := range used {
		decls = append(decls, g.decls[k].write(false))
	}
	slices.Sort(decls)
	return m.bare + "\n" + strings.Join(decls, "")
}

// fingerprint returns n bytes of a text's hash in base64.
func fingerprint(text string, n int) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:n])
}
