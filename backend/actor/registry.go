package actor

import (
	"fmt"
	"slices"
	"sort"
	"time"
)

// Registry is the set of actor definitions that a node serves. It does not
// change once a node does.
type Registry struct {
	defs     map[string]*Definition
	contract Contract
}

// RegistryOption is a Definition or WithOptions.
type RegistryOption interface{ addTo(*registryConfig) }

type registryConfig struct {
	defs    []*Definition
	options Options
}

// NewRegistry makes a registry of definitions. WithOptions sets options for all
// of them that do not set their own. It panics if a name is used twice.
func NewRegistry(parts ...RegistryOption) *Registry {
	var c registryConfig
	for _, p := range parts {
		p.addTo(&c)
	}
	r := &Registry{defs: map[string]*Definition{}}
	for _, d := range c.defs {
		if r.defs[d.name] != nil {
			panic(fmt.Sprintf("actor: two definitions are named %q: %s and %s", d.name, r.defs[d.name].typ, d.typ))
		}
		own := *d
		own.options = d.options.merge(c.options).merge(defaultOptions)
		r.defs[d.name] = &own
	}
	return r
}

// Names returns the names of the definitions, sorted.
func (r *Registry) Names() []string {
	names := make([]string, 0, len(r.defs))
	for n := range r.defs {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// emits reports whether the actor named name declares the event.
func (r *Registry) emits(name, event string) bool {
	d := r.defs[name]
	if d == nil {
		return false
	}
	_, ok := d.eventNames[event]
	return ok
}

// some reports whether f is true of the definition named name; without a name, of
// any.
func (r *Registry) some(name string, f func(*Definition) bool) bool {
	if name != "" {
		d := r.defs[name]
		return d != nil && f(d)
	}
	for _, d := range r.defs {
		if f(d) {
			return true
		}
	}
	return false
}

// Retention returns for how long a store has to keep the log so that every
// connection that comes back in time can be told all that it missed: the longest
// resume window, and a minute more.
func (r *Registry) Retention() time.Duration {
	longest := time.Duration(0)
	if windows := r.windows(); len(windows) > 0 {
		longest = windows[len(windows)-1]
	}
	return longest + retentionExtra
}

// windows returns the resume windows of the definitions, the shortest first.
func (r *Registry) windows() []time.Duration {
	windows := make([]time.Duration, 0, len(r.defs))
	for _, d := range r.defs {
		windows = append(windows, d.options.ResumeWindow)
	}
	slices.Sort(windows)
	return slices.Compact(windows)
}
