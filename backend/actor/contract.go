package actor

import "reflect"

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

// SetContract makes the registry check what clients send against c, too. Generated
// code calls it, in an init function, before any node runs.
func (r *Registry) SetContract(c Contract) {
	r.contract = c
	s := newShapes(c.Unions)
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
		return s.check(data)
	}
	return nil
}

// setShapes finds what JSON has to be like to be an argument, params, input, an
// event or a result.
func (d *Definition) setShapes(s *shapes) {
	d.sent = map[reflect.Type]slot{}
	for _, methods := range []map[string]*method{d.actions, d.hooks} {
		for _, m := range methods {
			m.slots = nil
			for _, a := range m.args {
				m.slots = append(m.slots, s.of(a))
			}
			if m.result != nil {
				d.sent[m.result] = s.of(m.result)
			}
		}
	}
	for t := range d.events {
		d.sent[t] = s.of(t)
	}
}
