package definition

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Hint returns what an unknown action may have meant, to append to a message; empty if
// there is nothing like it.
func (d *Definition) Hint(action string) string {
	if name := nearest(action, slices.Sorted(maps.Keys(d.Actions))); name != "" {
		return fmt.Sprintf("; did you mean %q?", name)
	}
	ptr := reflect.PointerTo(d.Type)
	for i := range ptr.NumMethod() {
		m := ptr.Method(i)
		if _, hook := hookSignatures[m.Name]; !hook && m.Name != "OnAuth" && WireName(m.Name) == action {
			return fmt.Sprintf("; the method %s is not an action, because its first parameter is not an *actor.Context", m.Name)
		}
	}
	return ""
}

// NearHook returns the hook that a method's name was most likely meant to be, empty if there
// is none. Names that only resemble a hook, like CanUnsubscribe or Connect, are not meant.
func NearHook(method string) string {
	hooks := append(slices.Sorted(maps.Keys(hookSignatures)), "OnAuth")
	for _, hook := range hooks {
		if strings.EqualFold(method, hook) {
			return hook
		}
	}
	switch {
	case hasPrefix(method, "On"):
		return nearest(method, hooks) // it cannot be an action anyway
	case hasPrefix(method, "Can"):
		if hook := nearest(method, hooks); distance(method, hook) == 1 {
			return hook
		}
	}
	return ""
}

// hasPrefix reports whether a name starts with a prefix and another word.
func hasPrefix(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	return ok && rest != "" && rest[0] >= 'A' && rest[0] <= 'Z'
}

// nearest returns the one of names that differs least from name, empty if all differ much.
func nearest(name string, names []string) (found string) {
	best := 1 + min(2, len(name)/3)
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < best {
			found, best = n, d
		}
	}
	return found
}

// distance returns how many bytes have to be inserted, deleted or replaced to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0]++
		for j := range len(b) {
			d := min(row[j+1], row[j]) + 1
			if a[i] == b[j] {
				d = min(d, before)
			} else {
				d = min(d, before+1)
			}
			before, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
