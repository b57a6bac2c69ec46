package runtime

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/store"
)

// What an Inspector returns has no secrets: they are masked by the types of the definition. Of
// a definition that this binary does not have, nothing is known, and nothing is shown.

// stateTypes returns the types that a state's JSON has secrets of: its scalar fields, and a
// struct that has the collections as slices and maps.
func stateTypes(def *definition.Definition) []reflect.Type {
	var fields []reflect.StructField
	for i, c := range def.Collections {
		field := def.Type.Field(c.Index)
		key, item := def.Collection(reflect.New(field.Type)).Types()
		t := reflect.SliceOf(item)
		if key != nil {
			t = reflect.MapOf(reflect.TypeFor[string](), item)
		}
		fields = append(fields, reflect.StructField{Name: fmt.Sprint("Field", i), Type: t, Tag: field.Tag})
	}
	types := []reflect.Type{def.ScalarType}
	if len(fields) > 0 {
		types = append(types, reflect.StructOf(fields))
	}
	return types
}

func maskState(def *definition.Definition, state []byte) json.RawMessage {
	if def == nil || !json.Valid(state) {
		return nil
	}
	for _, t := range stateTypes(def) {
		state = jsonshape.Masked(t, state)
	}
	return state
}

func unmaskState(def *definition.Definition, edited, original []byte) (_ []byte, err error) {
	for _, t := range stateTypes(def) {
		if edited, err = jsonshape.Unmasked(t, edited, original); err != nil {
			return nil, err
		}
	}
	return edited, nil
}

// maskItem masks an item of a table.
func maskItem(def *definition.Definition, table string, value []byte) json.RawMessage {
	if def == nil || !json.Valid(value) {
		return nil
	}
	for _, f := range def.Tables {
		if field := def.Type.Field(f.Index); f.Name == table {
			_, item := def.Table(reflect.New(field.Type)).Types()
			holder := reflect.StructOf([]reflect.StructField{{Name: "Item", Type: item, Tag: reflect.StructTag(`json:"i" troupe:"` + field.Tag.Get("troupe") + `"`)}})
			masked := jsonshape.Masked(holder, append(append([]byte(`{"i":`), value...), '}'))
			return masked[len(`{"i":`) : len(masked)-1]
		}
	}
	return value // of a table that was dropped
}

func maskConn(def *definition.Definition, state []byte) json.RawMessage {
	if def == nil || !json.Valid(state) {
		return nil
	}
	return jsonshape.Masked(def.ConnType, state)
}

// maskEvent masks the data of an event.
func maskEvent(def *definition.Definition, event string, data []byte) json.RawMessage {
	if def == nil || !json.Valid(data) {
		return nil
	}
	if t := def.EventNames[event]; t != nil {
		return jsonshape.Masked(t, data)
	}
	return data
}

// maskReply masks the result of a call. Which action it is of is not known, so all results
// are masked if that of any action may have secrets.
func maskReply(def *definition.Definition, data []byte) json.RawMessage {
	if def == nil || len(data) > 0 && !json.Valid(data) {
		return nil
	}
	for _, a := range def.Actions {
		if len(data) > 0 && a.Result != nil && jsonshape.HasSecrets(a.Result) {
			return json.RawMessage(`"` + jsonshape.Mask + `"`)
		}
	}
	return data
}

// maskMessage masks the data of a message to an actor of a definition.
func maskMessage(def *definition.Definition, m *store.Message) json.RawMessage {
	if def == nil || !json.Valid(m.Data) {
		return nil
	}
	h := def.Handlers.Named(m.Type)
	if h == nil || m.Version != def.Version() && jsonshape.HasSecrets(h.Message) {
		return nil
	}
	return jsonshape.Masked(h.Message, m.Data)
}
