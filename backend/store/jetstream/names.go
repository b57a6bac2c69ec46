package jetstream

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/pages"
)

// names are the names of streams and subjects. See Options.Space.
type names struct {
	prefix  string // of subjects
	journal string // the stream of journals: prefix.j.<incarnation>
	state   string // the stream of what is known of each actor: prefix.s.>
	items   string // the stream of the pages of tables: prefix.i.>
	table   string // the stream of what all nodes share: prefix.t.>
}

func namesIn(space string) (names, error) {
	if space == "" {
		return names{"t", "TROUPE_J", "TROUPE_S", "TROUPE_I", "TROUPE_T"}, nil
	}
	const longest = 32
	if len(space) > longest || !isToken(space) || strings.ContainsAny(space, "_-") {
		return names{}, fmt.Errorf("the space %q is not a name of at most %d letters and digits", space, longest)
	}
	stream := "TROUPE-" + space
	return names{"t-" + space, stream + "_J", stream + "_S", stream + "_I", stream + "_T"}, nil
}

func (n names) journalOf(incarnation string) string { return n.prefix + ".j." + incarnation }

// head is the subject of an actor's snapshot. With a name of * it selects that of any
// definition.
func (n names) head(name, actor string) string {
	return n.prefix + ".s.a." + partition(actor) + "." + name + "." + actor
}

// heads selects the heads of a partition, of one definition or, with *, of all.
func (n names) heads(part int, name string) string {
	return n.prefix + ".s.a." + strconv.Itoa(part) + "." + name + ".*"
}

// wake is the subject of what an owner has to know of a sleeping actor.
func (n names) wake(actor string) string { return n.prefix + ".s.w." + partition(actor) + "." + actor }

func (n names) wakes(part int) string { return n.prefix + ".s.w." + strconv.Itoa(part) + ".*" }

// piece is the subject of a part of a head that is too long for one message.
func (n names) piece(actor string, i int) string {
	return n.prefix + ".s.p." + partition(actor) + "." + actor + "." + strconv.Itoa(i)
}

func (n names) barrier(incarnation string) string { return n.prefix + ".s.b." + incarnation }

// page is the subject of a part of a page.
func (n names) page(actor string, name pages.Name, part int) string {
	return n.prefix + ".i." + partition(actor) + "." + actor + "." + name.String() + "." + strconv.Itoa(part)
}

// allOf selects all parts of a page.
func (n names) allOf(actor string, name pages.Name) string {
	return n.prefix + ".i." + partition(actor) + "." + actor + "." + name.String() + ".*"
}

// pages selects the pages of an actor.
func (n names) pages(actor string) string {
	return n.prefix + ".i." + partition(actor) + "." + actor + ".>"
}

func (n names) secret(name string) string {
	return n.prefix + ".t.secret." + base64.RawURLEncoding.EncodeToString([]byte(name))
}

func partition(actor string) string { return strconv.Itoa(store.Partition(actor)) }

// isToken reports whether an actor's id or a definition's name may be a part of a subject.
// Others would select subjects, or leave the stream: ids come from clients.
func isToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	const longest = 128
	return s != "" && len(s) <= longest
}
