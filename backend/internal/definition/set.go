package definition

import (
	"fmt"
	"reflect"
	"slices"
	"sort"
	"time"

	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
)

// Set has the definitions that a node serves, by name. It does not change once a
// node serves it.
type Set map[string]*Definition

// NewSet makes a set. It panics if two definitions have one name.
func NewSet(defs []*Definition) Set {
	s := Set{}
	for _, d := range defs {
		if other := s[d.Name]; other != nil {
			panic(fmt.Sprintf("actor: two definitions are named %q: %s and %s", d.Name, other.Type, d.Type))
		}
		s[d.Name] = d
	}
	return s
}

// SetUnions makes the definitions check what clients send against these string types and
// their values.
func (s Set) SetUnions(unions map[reflect.Type][]string) {
	shapes := jsonshape.NewShapes(unions)
	for _, d := range s {
		d.setShapes(shapes)
	}
}

// Names returns the names, sorted.
func (s Set) Names() []string {
	names := make([]string, 0, len(s))
	for n := range s {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// Emits reports whether the definition of that name declares the event.
func (s Set) Emits(name, event string) bool {
	d := s[name]
	if d == nil {
		return false
	}
	_, ok := d.EventNames[event]
	return ok
}

// Any reports whether f is true for the definition of that name, or, if name is empty, for
// any definition.
func (s Set) Any(name string, f func(*Definition) bool) bool {
	if name != "" {
		d := s[name]
		return d != nil && f(d)
	}
	for _, d := range s {
		if f(d) {
			return true
		}
	}
	return false
}

// retentionExtra is how much longer than the resume window the log is kept.
const retentionExtra = time.Minute

// Retention is how long the log of an actor is kept: its resume window plus a minute.
func (o *Options) Retention() time.Duration { return o.ResumeWindow + retentionExtra }

// Retention is the longest one of the definitions.
func (s Set) Retention() time.Duration {
	longest := retentionExtra
	for _, d := range s {
		longest = max(longest, d.Options.Retention())
	}
	return longest
}

// ResumeWindows returns the resume windows of the definitions, the shortest first,
// each once.
func (s Set) ResumeWindows() []time.Duration {
	windows := make([]time.Duration, 0, len(s))
	for _, d := range s {
		windows = append(windows, d.Options.ResumeWindow)
	}
	slices.Sort(windows)
	return slices.Compact(windows)
}
