package runtime

import (
	"encoding/json"
	"reflect"
	"slices"

	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
)

// DefinitionInfo is what a definition offers.
type DefinitionInfo struct {
	Name    string
	Actions []ActionInfo // by name
	Events  []string     // sorted
	Tables  []string
	As      *Arg // the result of OnAuth; nil if there is none
}

// ActionInfo is an action.
type ActionInfo struct {
	Name     string
	ReadOnly bool
	Args     []Arg
	Result   string // its type; empty if it returns nothing
}

// Arg is a value that is read from JSON.
type Arg struct {
	Type    string          `json:"type"`    // in Go
	Kind    string          `json:"kind"`    // string, number, boolean, or json for all others
	Example json.RawMessage `json:"example"` // the zero value
}

// Definitions returns what all definitions offer, by name.
func (i *Inspector) Definitions() []DefinitionInfo {
	infos := []DefinitionInfo{}
	for _, name := range i.n.defs.Names() {
		infos = append(infos, infoOf(i.n.defs[name]))
	}
	return infos
}

func infoOf(d *definition.Definition) DefinitionInfo {
	info := DefinitionInfo{Name: d.Name, Events: []string{}, Tables: []string{}}
	for event := range d.EventNames {
		info.Events = append(info.Events, event)
	}
	slices.Sort(info.Events)
	for _, t := range d.Tables {
		info.Tables = append(info.Tables, t.Name)
	}
	if d.Auth != nil {
		as := argOf(d.Auth.Result)
		info.As = &as
	}
	for name, a := range d.Actions {
		action := ActionInfo{Name: name, ReadOnly: a.ReadOnly}
		for _, t := range a.Args {
			action.Args = append(action.Args, argOf(t))
		}
		if a.Result != nil {
			action.Result = a.Result.String()
		}
		info.Actions = append(info.Actions, action)
	}
	slices.SortFunc(info.Actions, func(a, b ActionInfo) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return info
}

func argOf(t reflect.Type) Arg {
	arg := Arg{Type: t.String(), Kind: "json", Example: json.RawMessage("null")}
	example := reflect.New(t).Elem()
	if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		example = reflect.New(t.Elem())
	}
	_, _ = protect(func() (any, error) { // an author's MarshalJSON may panic
		if text, err := jsonshape.Marshal(example.Interface()); err == nil {
			arg.Example = text
		}
		return nil, nil
	})
	if jsonshape.Marshals(t) {
		return arg
	}
	switch k := t.Kind(); {
	case k == reflect.String:
		arg.Kind = "string"
	case k == reflect.Bool:
		arg.Kind = "boolean"
	case k >= reflect.Int && k <= reflect.Float64 && k != reflect.Uintptr:
		arg.Kind = "number"
	}
	return arg
}
