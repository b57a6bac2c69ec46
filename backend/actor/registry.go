package actor

import (
	"time"

	"github.com/troupe-dev/troupe/backend/internal/definition"
)

// Registry is the set of actor definitions that a node serves. It does not
// change once a node does.
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

// Retention returns for how long a store has to keep the log so that every
// connection that comes back in time can be told all that it missed: the longest
// resume window, and a minute more.
func (r *Registry) Retention() time.Duration { return r.defs.Retention() }

// Definitions returns what package runtime runs actors by.
func (r *Registry) Definitions() definition.Set { return r.defs }
