package definition

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/store"
)

// Version has the steps from the version before it.
type Version struct {
	Number int
	Steps  []Step
}

// Step is one change of what is stored. Exactly one of the groups of fields is set.
type Step struct {
	Text string // the call that made it, for messages

	From, To string // renames a field of the state; without To drops it

	// Message is the name of a type of messages. With To it is renamed, with Convert its
	// messages are converted.
	Message string

	// Convert makes the JSON of a New from that of an Old: of the fields of the state that
	// an Old has; if OfConn, of a connection's state; with Items, of an item of the Table in
	// the field of that name; with Message, of a message.
	Old, New reflect.Type
	Convert  func(raw []byte) ([]byte, error)
	OfConn   bool
	Items    string

	// Move makes the items of a Table from the JSON of a List, each an Old, both in the field
	// From: a New under a Key, without Version. next is the next key to give.
	Move func(list []byte) (items []store.Item, next uint64, err error)
	Key  reflect.Type

	version int    // that the step leads to
	table   string // of Items or Move: the name that the Table has in the current version, empty if it was dropped
}

// ErrNewer is the error of what a newer version of a definition has stored.
var ErrNewer = errors.New("it was stored by a newer version")

// Version returns the definition's version: 0 if no steps were ever declared.
func (d *Definition) Version() int { return len(d.versions) }

// MigrateState returns a state that a version has stored as the current version stores
// it, and what has moved from it into tables. text is JSON.
func (d *Definition) MigrateState(from int, text []byte) (_ []byte, moved []Moved, err error) {
	object := jsonshape.Members(text)
	if object == nil {
		return nil, nil, errors.New("it is not a JSON object")
	}
	err = d.migrate(from, (*Step).ofState, func(s *Step) (err error) {
		if s.Move == nil {
			object, err = s.state(object)
			return err
		}
		if list, ok := value(object, s.From); ok {
			m := Moved{Table: s.table}
			if m.Items, m.Next, err = s.move(list); err != nil {
				return err
			}
			if m.Table != "" && len(m.Items) > 0 {
				moved = append(moved, m)
			}
		}
		object = without(object, s.From)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return append(jsonshape.AppendMembers([]byte{'{'}, object), '}'), moved, nil
}

// LocateState returns why a state does not decode, with the place in it; nil if it does.
func (d *Definition) LocateState(text []byte) error {
	if err := jsonshape.Locate(d.ScalarType, text, ""); err != nil {
		return err
	}
	for _, m := range jsonshape.Members(text) {
		for _, c := range d.Collections {
			if !strings.EqualFold(c.Name, m.Name) {
				continue
			}
			key, item := d.Collection(reflect.New(d.Type.Field(c.Index).Type)).Types()
			all := reflect.SliceOf(item)
			if key != nil {
				all = reflect.MapOf(key, item)
			}
			if err := jsonshape.Locate(all, m.Value, c.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// MigrateConn returns a connection's state that a version has stored as the current
// version stores it.
func (d *Definition) MigrateConn(from int, raw []byte) ([]byte, error) {
	err := d.migrate(from, (*Step).ofConn, func(s *Step) (err error) {
		raw, err = s.Convert(raw)
		return err
	})
	return raw, err
}

func (s *Step) ofState() bool { return !s.OfConn && s.Items == "" && s.Message == "" }
func (s *Step) ofConn() bool  { return s.OfConn }

// migrate calls f with the steps from a version to the current one that are meant.
func (d *Definition) migrate(from int, meant func(*Step) bool, f func(*Step) error) error {
	if from > d.Version() {
		return fmt.Errorf("version %d: %w than %d", from, ErrNewer, d.Version())
	}
	for v, steps := range d.versions[max(from, 0):] {
		for i := range steps {
			if !meant(&steps[i]) {
				continue
			}
			if err := f(&steps[i]); err != nil {
				return fmt.Errorf("actor.Version(%d), %s: %w", from+v+1, steps[i].Text, err)
			}
		}
	}
	return nil
}

// state applies the step to the fields of a state.
func (s *Step) state(object []jsonshape.Member) ([]jsonshape.Member, error) {
	if s.Convert != nil {
		return s.convert(object)
	}
	value, ok := value(object, s.From)
	object = without(object, s.From)
	if s.To == "" || !ok {
		return object, nil
	}
	label, _ := json.Marshal(s.To) // of a string: it does not fail
	text := append(append(label, ':'), value...)
	return append(without(object, s.To), jsonshape.Member{Name: s.To, Text: text, Value: value}), nil
}

// convert replaces the fields of an Old by those of a New, and leaves others.
func (s *Step) convert(object []jsonshape.Member) ([]jsonshape.Member, error) {
	olds := slices.Clone(object)
	for _, f := range jsonshape.FieldsOf(s.Old) {
		object = without(object, f.Name)
	}
	olds = slices.DeleteFunc(olds, func(m jsonshape.Member) bool { return has(object, m.Name) })
	raw, err := s.Convert(append(jsonshape.AppendMembers([]byte{'{'}, olds), '}'))
	if err != nil {
		return nil, err
	}
	news := jsonshape.Members(raw)
	for _, m := range news {
		object = without(object, m.Name)
	}
	return append(object, news...), nil
}

// value returns the value of the last member of a name, as encoding/json takes it: case does
// not matter.
func value(object []jsonshape.Member, name string) (value []byte, ok bool) {
	for _, m := range slices.Backward(object) {
		if strings.EqualFold(m.Name, name) {
			return m.Value, true
		}
	}
	return nil, false
}

func has(object []jsonshape.Member, name string) bool {
	return slices.ContainsFunc(object, func(m jsonshape.Member) bool { return m.Name == name })
}

// without returns a copy without the members of a name. As for encoding/json, case does not
// matter.
func without(object []jsonshape.Member, name string) []jsonshape.Member {
	return slices.DeleteFunc(slices.Clone(object), func(m jsonshape.Member) bool { return strings.EqualFold(m.Name, name) })
}

// setVersions checks the steps from the last one to the first: after each, the fields that
// are stored must be those that the steps after it, and at last the type, expect.
func (d *Definition) setVersions(versions []Version) {
	for i, v := range versions {
		if v.Number != i+1 {
			d.panicf("actor.Version(%d, …) is declared where version %d is expected: declare every version from 1 on, in their order, with its steps from the one before; what was stored without any has version 0", v.Number, i+1)
		}
		d.versions = append(d.versions, v.Steps)
	}
	state, conn, tables, messages := d.fieldsOf(d.Type), d.ConnType, versionedTables{}, d.Handlers.versioned()
	for _, f := range d.Tables {
		key, item := d.Table(reflect.New(d.Type.Field(f.Index).Type)).Types()
		tables[f.Name] = versionedTable{f.Name, key, item}
	}
	for i := len(versions) - 1; i >= 0; i-- {
		steps := versions[i].Steps
		for j := len(steps) - 1; j >= 0; j-- {
			var why string
			s := &steps[j]
			s.version = i + 1
			switch {
			case s.Text == "":
				why = "a step is made by actor.Rename, Drop, Migrate, MigrateConn, MigrateItem, ToTable, RenameMessage or MigrateMessage"
			case s.Message != "":
				why = messages.before(d, s)
			case s.Items != "":
				why = tables.before(d, s, state)
			case s.Move != nil:
				state, why = tables.beforeMove(d, s, state)
			case s.OfConn:
				conn, why = d.beforeConn(s, conn)
			case s.Convert != nil:
				state, why = d.beforeConvert(s, state)
			default:
				tables.rename(s)
				state, why = before(s, state)
			}
			if why != "" {
				d.panicf("actor.Version(%d), %s: %s", i+1, steps[j].Text, why)
			}
		}
	}
}

// storedField is a field of stored states at one step: its name, and the kind of its JSON,
// which is empty if any will do.
type storedField struct{ name, kind string }

type storedFields []storedField

// tableKind is the kind of a table, which is not in the state's JSON.
const tableKind = "a table"

// find returns the index of a field, -1 if there is none.
func (fs storedFields) find(name string) int {
	return slices.IndexFunc(fs, func(f storedField) bool { return strings.EqualFold(f.name, name) })
}

// without returns the fields without one.
func (fs storedFields) without(name string) storedFields {
	return slices.DeleteFunc(slices.Clone(fs), func(f storedField) bool { return strings.EqualFold(f.name, name) })
}

func (fs storedFields) String() string {
	var names []string
	for _, f := range fs {
		names = append(names, f.name)
	}
	if len(names) == 0 {
		return "no field"
	}
	return "the fields " + strings.Join(names, ", ")
}

// fieldsOf returns the stored fields of a struct.
func (d *Definition) fieldsOf(t reflect.Type) (fields storedFields) {
	for _, f := range jsonshape.FieldsOf(t) {
		kind := d.kindOf(f.Type)
		if f.Quoted {
			kind = "a string"
		}
		fields = append(fields, storedField{f.Name, kind})
	}
	return fields
}

// kindOf returns the kind of a type's JSON, empty if it may be of any kind.
func (d *Definition) kindOf(t reflect.Type) string {
	if d.isCollection(t) {
		if key, _ := d.Collection(reflect.New(t)).Types(); key != nil {
			return "an object"
		}
		return "an array"
	}
	if d.isTable(t) {
		return tableKind
	}
	if jsonshape.Marshals(t) {
		return ""
	}
	switch t.Kind() {
	case reflect.Interface:
		return ""
	case reflect.Pointer:
		return d.kindOf(t.Elem())
	}
	return jsonshape.KindOf(t)
}

// before returns the fields that are stored before a Rename or Drop, or why the step is
// wrong.
func before(s *Step, state storedFields) (storedFields, string) {
	kind := ""
	switch s.From {
	case "":
		return nil, "the name is empty: want that of a stored field in JSON"
	case s.To:
		return nil, "the names are the same"
	}
	if s.To != "" {
		to := state.find(s.To)
		if to < 0 {
			return nil, fmt.Sprintf("after it the state has no field %q, but %s: write names as they are in JSON", s.To, state)
		}
		kind, state = state[to].kind, state.without(s.To)
	}
	if state.find(s.From) >= 0 {
		return nil, fmt.Sprintf("after it the state still has a field %q: remove that from the struct, or give it another name in JSON", s.From)
	}
	return append(state, storedField{s.From, kind}), ""
}

// beforeConvert returns the fields that are stored before a Migrate, or why it is wrong.
func (d *Definition) beforeConvert(s *Step, state storedFields) (storedFields, string) {
	for _, t := range []reflect.Type{s.Old, s.New} {
		if t.Kind() != reflect.Struct || jsonshape.Marshals(t) {
			return nil, fmt.Sprintf("want func(old Old) New with structs that have the fields of the state that change, %s is none", t)
		}
	}
	news, olds := d.fieldsOf(s.New), d.fieldsOf(s.Old)
	for _, f := range slices.Concat(news, olds) {
		if f.kind == tableKind {
			return nil, fmt.Sprintf("field %q: a Table is renamed by Rename and removed by Drop; leave it out of %s and %s", f.name, s.Old, s.New)
		}
	}
	for _, f := range news {
		at := state.find(f.name)
		if at < 0 {
			return nil, fmt.Sprintf("%s has a field %q, which the state does not have after it; it has %s", s.New, f.name, state)
		}
		if why := follows(f.kind, state[at].kind); why != "" {
			return nil, fmt.Sprintf("%s has a field %q that is %s", s.New, f.name, why)
		}
	}
	for _, f := range news {
		state = state.without(f.name)
	}
	for _, f := range olds {
		if state.find(f.name) >= 0 {
			return nil, fmt.Sprintf("it takes the field %q and does not return it, but the state has it after it: add it to %s, or remove it from %s", f.name, s.New, s.Old)
		}
	}
	return append(state, olds...), ""
}

// beforeConn returns the type of connection states before a MigrateConn, or why it is
// wrong.
func (d *Definition) beforeConn(s *Step, conn reflect.Type) (reflect.Type, string) {
	if conn == d.bindings.NoState {
		return nil, "the actor's connections have no state"
	}
	if why := d.fits(s.New, conn, "states of connections"); why != "" {
		return nil, why
	}
	return s.Old, ""
}

// fits returns why JSON of a type cannot come before what takes the JSON of another one,
// empty if it can. what has that JSON.
func (d *Definition) fits(made, taken reflect.Type, what string) string {
	if why := follows(d.kindOf(made), d.kindOf(taken)); why != "" {
		return fmt.Sprintf("%s is %s", made, why)
	}
	if made == taken || made.Kind() != reflect.Struct || taken.Kind() != reflect.Struct || jsonshape.Marshals(made) || jsonshape.Marshals(taken) {
		return ""
	}
	after := d.fieldsOf(taken)
	for _, f := range d.fieldsOf(made) {
		at := after.find(f.name)
		if at < 0 {
			return fmt.Sprintf("%s has a field %q, which the %s do not have after it; they have %s", made, f.name, what, after)
		}
		if why := follows(f.kind, after[at].kind); why != "" {
			return fmt.Sprintf("%s has a field %q that is %s", made, f.name, why)
		}
	}
	return ""
}

// follows returns why JSON of one kind cannot come before a step or type that takes another
// kind, empty if it can.
func follows(kind, want string) string {
	if kind == "" || want == "" || kind == want {
		return ""
	}
	return fmt.Sprintf("%s, but what comes after it takes %s", kind, want)
}
