package definition

import (
	"encoding/json"
	"reflect"

	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
)

// setShapes finds the shapes of arguments, params, input, events and results.
func (d *Definition) setShapes(s *jsonshape.Shapes) {
	d.Sent = map[reflect.Type]jsonshape.Shape{}
	for _, methods := range []map[string]*Method{d.Actions, d.Hooks} {
		for _, m := range methods {
			m.shapes = nil
			for _, a := range m.Args {
				m.shapes = append(m.shapes, s.Of(a))
			}
			if m.Result != nil {
				d.Sent[m.Result] = s.Of(m.Result)
			}
		}
	}
	for t := range d.Events {
		d.Sent[t] = s.Of(t)
	}
}

// DecodeConnState makes a connection's state from its stored form.
func (d *Definition) DecodeConnState(raw []byte) (any, error) {
	v := reflect.New(d.ConnType)
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, v.Interface()); err != nil {
			return nil, err
		}
	}
	return v.Elem().Interface(), nil
}
