package actor

import "reflect"

// Contract has what generated code (package typegen) adds to the types of a registry.
type Contract struct {
	// Fingerprint identifies the registry's API. Clients have the fingerprint with which
	// they were built. Empty means unknown.
	Fingerprint string

	// Parts are the fingerprints of the actions, events, params and inputs, sorted:
	// "chatRoom.sendMessage():Zm9v".
	Parts []string

	// Unions are the string types whose only values are their constants.
	Unions []Union

	// Types is the TypeScript module that clients import: registry.gen.ts.
	Types string
}

// Union is a string type whose only values are its constants.
type Union struct {
	typ    reflect.Type
	values []string
}

// OneOf makes a Union. Generated code calls it.
func OneOf[T ~string](values ...T) Union {
	u := Union{typ: reflect.TypeFor[T]()}
	for _, v := range values {
		u.values = append(u.values, string(v))
	}
	return u
}

// SetContract makes the registry check what clients send against c. Generated code calls
// it in an init function, before any node runs.
func (r *Registry) SetContract(c Contract) {
	r.contract = c
	unions := map[reflect.Type][]string{}
	for _, u := range c.Unions {
		unions[u.typ] = u.values
	}
	r.defs.SetUnions(unions)
}

// Contract returns the contract that SetContract has set.
func (r *Registry) Contract() Contract { return r.contract }
