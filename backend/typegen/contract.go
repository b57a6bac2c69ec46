package typegen

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
)

// contract is what the two files say of the registry: a client and a server that
// were generated of the same Go source have the same.
type contract struct {
	fingerprint string
	parts       []string // "chatRoom.sendMessage():Zm9v": each with a fingerprint of its own
}

// contract takes the fingerprints. Comments, names of parameters and the order of
// the source do not matter; what the types say does.
func (g *generator) contract(out []rendered) contract {
	texts := map[string]string{}
	for _, r := range out {
		for _, m := range slices.Concat(r.actions, r.events, []member{r.params, r.input}) {
			if m.bare != "undefined" {
				texts[m.part] = g.whole(m)
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

// whole returns what a member is, with the declarations of all that it uses.
func (g *generator) whole(m member) string {
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
