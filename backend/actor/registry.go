package actor

import (
	"time"

	"github.com/troupe-dev/troupe/backend/internal/definition"
)

// Registry is the set of actor definitions that a server serves. It must not change once
// a server uses it.
type Registry struct {
	defs     definition.Set
	contract Contract
}

// RegistryOption is a Definition or WithOptions.
type RegistryOption interface{ addTo(*registryConfig) }

type registryConfig struct {
	defs    []*definition.Definition
	options definition.Options
}

// NewRegistry makes a registry of definitions. WithOptions sets options for all
// of them that do not set their own. It panics if a name is used twice.
func NewRegistry(parts ...RegistryOption) *Registry {
	var c registryConfig
	for _, p := range parts {
		p.addTo(&c)
	}
	for i, d := range c.defs {
		c.defs[i] = d.WithDefaults(c.options).WithDefaults(definition.Defaults)
	}
	return &Registry{defs: definition.NewSet(c.defs)}
}

// Names returns the names of the definitions, sorted.
func (r *Registry) Names() []string { return r.defs.Names() }

// Retention returns how long a store has to keep log entries, so that a resumed connection
// has no gap: the longest resume window plus a minute.
func (r *Registry) Retention() time.Duration { return r.defs.Retention() }

// Definitions returns the definitions for package runtime.
func (r *Registry) Definitions() definition.Set { return r.defs }
