package actor

import (
	"reflect"

	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
)

// Contract is what generated code (package typegen) says of a registry beyond what
// its types do.
type Contract struct {
	// Fingerprint differs between registries that offer different things. Clients have
	// that of the one with which they were built. Empty means unknown.
	Fingerprint string

	// Parts are the fingerprints of the actions, events, params and inputs, sorted:
	// "chatRoom.sendMessage():Zm9v".
	Parts []string

	// Unions are the string types of which a value is one of its constants.
	Unions []Union
}

// Union is a string type whose constants are all of its values.
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

// SetContract makes the registry check what clients send against c, too. Generated
// code calls it, in an init function, before any node runs.
func (r *Registry) SetContract(c Contract) {
	r.contract = c
	unions := map[reflect.Type][]string{}
	for _, u := range c.Unions {
		unions[u.typ] = u.values
	}
	s := jsonshape.NewShapes(unions)
	for _, d := range r.defs {
		d.setShapes(s)
	}
}

// Contract returns what SetContract has set.
func (r *Registry) Contract() Contract { return r.contract }

// checkSent finds, in check mode, events and results that clients do not expect: a
// string that is none of its union.
func (in *instance) checkSent(v any, data []byte) error {
	if !in.actor.node.check {
		return nil
	}
	if s, ok := in.def.sent[reflect.TypeOf(v)]; ok {
		return s.Check(data)
	}
	return nil
}

// setShapes finds what JSON has to be like to be an argument, params, input, an
// event or a result.
func (d *Definition) setShapes(s *jsonshape.Shapes) {
	d.sent = map[reflect.Type]jsonshape.Shape{}
	for _, methods := range []map[string]*method{d.actions, d.hooks} {
		for _, m := range methods {
			m.shapes = nil
			for _, a := range m.args {
				m.shapes = append(m.shapes, s.Of(a))
			}
			if m.result != nil {
				d.sent[m.result] = s.Of(m.result)
			}
		}
	}
	for t := range d.events {
		d.sent[t] = s.Of(t)
	}
}
