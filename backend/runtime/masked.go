package runtime

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"

	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/store"
)

// What an Inspector returns has no secrets: they are masked by the types of the definition. Of
// a definition that this binary does not have, nothing is known, and nothing is shown; likewise
// of a type of events or messages and of a table. What an earlier version has stored is shown
// as the current version has it.

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
		fields = append(fields, reflect.StructField{Name: fmt.Sprint("Field", i), Type: t, Tag: maskTag(c.Name, field)})
	}
	types := []reflect.Type{def.ScalarType}
	if len(fields) > 0 {
		types = append(types, reflect.StructOf(fields))
	}
	return types
}

// maskTag returns the tag of a field that stands for another, by its name in JSON.
func maskTag(name string, field reflect.StructField) reflect.StructTag {
	return reflect.StructTag("json:" + strconv.Quote(name+",") + " troupe:" + strconv.Quote(field.Tag.Get("troupe")))
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

// maskItem masks an item of a table that a version has written. It is nil if it cannot be made
// one of the current version.
func maskItem(def *definition.Definition, table string, version int, value []byte) json.RawMessage {
	if def == nil || !json.Valid(value) {
		return nil
	}
	for _, f := range def.Tables {
		if field := def.Type.Field(f.Index); f.Name == table {
			value, err := def.MigrateItem(table, version, value)
			if err != nil {
				return nil
			}
			_, item := def.Table(reflect.New(field.Type)).Types()
			holder := reflect.StructOf([]reflect.StructField{{Name: "Item", Type: item, Tag: maskTag("i", field)}})
			masked := jsonshape.Masked(holder, append(append([]byte(`{"i":`), value...), '}'))
			return masked[len(`{"i":`) : len(masked)-1]
		}
	}
	return nil
}

// maskParams masks the params of a connection, by the type that the hooks take.
func maskParams(def *definition.Definition, params []byte) json.RawMessage {
	if !json.Valid(params) {
		return nil
	}
	for _, name := range []string{"OnBeforeConnect", "CreateConnState"} { // they take the same type
		if h := def.Hooks[name]; h != nil && len(h.Args) > 0 {
			return jsonshape.Masked(h.Args[0], params)
		}
	}
	return params
}

// maskAuth masks the result of OnAuth.
func maskAuth(def *definition.Definition, auth []byte) json.RawMessage {
	if def.Auth == nil || !json.Valid(auth) {
		return nil
	}
	return jsonshape.Masked(def.Auth.Result, auth)
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
	return nil
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
	h, data, err := def.Handlers.Migrate(m.Type, m.Version, m.Data)
	if err != nil {
		return nil
	}
	return jsonshape.Masked(h.Message, data)
}
