package definition

import (
	"cmp"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
)

// Definition is a Go type registered as an actor.
type Definition struct {
	Name    string
	Type    reflect.Type // the struct
	Options Options

	Fields      []int        // the stored top-level fields of Type that are not collections or tables
	ScalarType  reflect.Type // Type without its collections and tables, with the same memory layout
	Collections []CollectionField
	Tables      []TableField
	names       []string // of the stored fields in JSON

	versions [][]Step // versions[v] are the steps from version v to the next

	ConnType   reflect.Type // the type of connection states
	ConnCopier *Copier      // of ConnType

	Actions    map[string]*Method // by wire name
	Hooks      map[string]*Method // by method name
	Auth       *Method            // OnAuth, which runs outside turns; nil if there is none
	Events     map[reflect.Type]Event
	EventNames map[string]reflect.Type
	Sent       map[reflect.Type]jsonshape.Shape // of events and results
	Handlers   Handlers                         // of messages

	bindings    *Bindings
	contextType reflect.Type // Context[S], nil if no method has one
}

// Event is a type of events.
type Event struct {
	Name          string // on the wire
	Deterministic bool   // equal values have the same JSON
}

// CollectionField is a field of the state with a List or a Map.
type CollectionField struct {
	Index int
	Field string
	Name  string // in JSON
	Label []byte // Name as JSON, with the colon
}

// Spec has the arguments of actor.Define.
type Spec struct {
	Name     string
	Type     reflect.Type
	Events   []reflect.Type
	Handlers []HandlerSpec
	Options  Options
	Versions []Version
	Bindings *Bindings
}

// objectNames are the names that every JavaScript object has: a client finds those and
// not the server's.
var objectNames = []string{
	"constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf",
	"__proto__", "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__",
}

// reservedActions cannot be actions: JavaScript, frameworks or the client's own methods
// use these names on a connection or a handle.
var reservedActions = append([]string{
	"then", "catch", "finally", "toJSON", "$$typeof", "nodeType", "asymmetricMatch",
	"on", "once", "off", "call", "connect", "dispose", "state", "status", "id", "actorId", "resolve", "withOptions",
	"refresh", "reconnect",
}, objectNames...)

// reservedNames cannot be the names of definitions either: a client has methods of
// these names.
var reservedNames = append([]string{"stale"}, reservedActions...)

// reservedEvents cannot be events: the client uses these names for lifecycle events.
var reservedEvents = []string{"connected", "disconnected", "reconnected", "error", "closed", "stale"}

// ReservedName reports whether a definition cannot have a name.
func ReservedName(name string) bool { return slices.Contains(reservedNames, name) }

// ReservedAction reports whether an action cannot have a name.
func ReservedAction(name string) bool { return slices.Contains(reservedActions, name) }

// ReservedEvent reports whether an event cannot have a name.
func ReservedEvent(name string) bool { return slices.Contains(reservedEvents, name) }

// New makes a definition. It panics if the type or one of its methods cannot be used. The
// panic names the type, the method and the signature to write.
func New(s Spec) *Definition {
	d := &Definition{
		Name: s.Name, Type: s.Type, Options: s.Options, bindings: s.Bindings,
		Actions: map[string]*Method{}, Hooks: map[string]*Method{},
		Events: map[reflect.Type]Event{}, EventNames: map[string]reflect.Type{},
	}
	d.Handlers = Handlers{d: d, byName: map[string]*Handler{}, byType: map[reflect.Type]*Handler{}}
	if d.Name == "" || len(d.Name) > host.MaxNameBytes || strings.ContainsFunc(d.Name, notNameRune) {
		d.panicf("the name %q: want letters, digits, - or _, at most %d bytes", d.Name, host.MaxNameBytes)
	}
	if slices.Contains(reservedNames, d.Name) {
		d.panicf("the name %q is reserved", d.Name)
	}
	d.checkState()
	for _, e := range s.Events {
		d.addEvent(e)
	}
	for _, h := range s.Handlers {
		d.Handlers.add(h)
	}
	d.findMethods()
	if d.ConnType == nil {
		d.ConnType = d.bindings.NoState
	}
	d.checkSent()
	d.setVersions(s.Versions)
	d.ConnCopier = CopierOf(d.ConnType)
	d.setShapes(jsonshape.NewShapes(nil))
	return d
}

// WithDefaults returns a copy of the definition whose zero options are those of o.
func (d *Definition) WithDefaults(o Options) *Definition {
	own := *d
	own.Options = d.Options.or(o)
	return &own
}

func notNameRune(r rune) bool {
	return r > unicode.MaxASCII || !(unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_')
}

func (d *Definition) panicf(format string, args ...any) {
	panic(fmt.Sprintf("actor: Define[%s]: %s", d.Type, fmt.Sprintf(format, args...)))
}

func (d *Definition) addEvent(t reflect.Type) {
	if t.Name() == "" || t.Kind() == reflect.Interface {
		d.panicf("Emits[%s]: an event is a named type that is not an interface", t)
	}
	base, _, generic := strings.Cut(t.Name(), "[")
	if generic {
		d.panicf("Emits[%s]: an event type cannot be generic; declare type X %s", t, base)
	}
	name := WireName(t.Name())
	if slices.Contains(reservedEvents, name) {
		d.panicf("Emits[%s]: the event name %q is reserved", t, name)
	}
	if other, ok := d.EventNames[name]; ok && other != t {
		d.panicf("Emits[%s]: the event name %q is already used by %s", t, name, other)
	}
	d.Events[t] = Event{name, deterministic(t)}
	d.EventNames[name] = t
}

// checkState finds the stored fields of the state and panics for fields that cannot be
// stored and undone.
func (d *Definition) checkState() {
	if d.Type.Kind() != reflect.Struct {
		d.panicf("want a struct, %s is a %s", d.Type, d.Type.Kind())
	}
	if jsonshape.Marshals(d.Type) {
		d.panicf("the state cannot have a MarshalJSON: its fields are stored and undone one by one")
	}
	for i := range d.Type.NumField() {
		f := d.Type.Field(i)
		if ephemeral(f) {
			continue
		}
		if f.Anonymous && !f.IsExported() && f.Type.Kind() == reflect.Pointer {
			d.panicf("field %s: an embedded pointer to an unexported type cannot be read back from JSON; embed %s itself", f.Name, f.Type.Elem())
		}
		if d.isCollection(f.Type) {
			d.addCollection(i, f)
			continue
		}
		if d.isTable(f.Type) {
			d.addTable(i, f)
			continue
		}
		d.checkNested(f.Type, f.Name, map[reflect.Type]bool{})
		d.Fields = append(d.Fields, i)
	}
	d.ScalarType = d.Type
	if len(d.Collections)+len(d.Tables) > 0 {
		d.ScalarType = d.withoutCollections()
		d.checkNames()
	}
	for _, f := range jsonshape.FieldsOf(d.ScalarType) {
		d.names = append(d.names, f.Name)
	}
	for _, c := range d.Collections {
		d.names = append(d.names, c.Name)
	}
}

// HasField reports whether a field of a stored state is one of the type's. As for
// encoding/json, case does not matter.
func (d *Definition) HasField(name string) bool {
	return slices.ContainsFunc(d.names, func(n string) bool { return strings.EqualFold(n, name) })
}

func (d *Definition) addCollection(i int, f reflect.StructField) {
	name := jsonName(f)
	d.checkNameOnce(f, name)
	if f.Type.NumField() > 1 { // it embeds a List or Map
		d.panicf("field %s: the other fields of %s would not be stored; move them to %s", f.Name, f.Type, d.Type)
	}
	key, item := d.Collection(reflect.New(f.Type)).Types()
	if key != nil {
		d.checkKey(key, f.Name)
	}
	d.checkNested(item, f.Name, map[reflect.Type]bool{})
	label, _ := json.Marshal(name) // of a string: it does not fail
	d.Collections = append(d.Collections, CollectionField{Index: i, Field: f.Name, Name: name, Label: append(label, ':')})
}

// checkNameOnce panics if another collection or table has the name of a field.
func (d *Definition) checkNameOnce(f reflect.StructField, name string) {
	check := func(other, otherName string) {
		if strings.EqualFold(otherName, name) {
			d.panicf("fields %s and %s: both are named %q", other, f.Name, name)
		}
	}
	for _, other := range d.Collections {
		check(other.Field, other.Name)
	}
	for _, other := range d.Tables {
		check(other.Field, other.Name)
	}
}

func (d *Definition) checkKey(key reflect.Type, field string) {
	if jsonshape.Marshals(key) || reflect.PointerTo(key).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		d.panicf("field %s: its key type has MarshalText or UnmarshalText, which a Map or Table does not call; use a type without them", field)
	}
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return cmp.Or(name, f.Name)
}

// withoutCollections returns a type like the state's, in whose JSON the collections and the
// ephemeral fields are left out.
func (d *Definition) withoutCollections() (t reflect.Type) {
	defer func() {
		if why := recover(); why != nil {
			d.panicf("a state with a List, Map or Table cannot embed types that are unexported or have methods: %v", why)
		}
	}()
	fields := make([]reflect.StructField, d.Type.NumField())
	for i := range fields {
		fields[i] = d.Type.Field(i)
		if !slices.Contains(d.Fields, i) {
			fields[i] = reflect.StructField{Name: fmt.Sprint("Left_out_", i), Type: fields[i].Type, Tag: `json:"-"`}
		}
	}
	t = reflect.StructOf(fields)
	for i := range fields {
		if t.Field(i).Offset != d.Type.Field(i).Offset {
			panic("its memory has another layout")
		}
	}
	return t
}

// checkNames panics if a scalar field, also in an embedded struct, has the JSON name of a
// collection or a table. encoding/json ignores case, so the check decodes an object with it.
func (d *Definition) checkNames() {
	check := func(field, name string) {
		label, _ := json.Marshal(name) // of a string: it does not fail
		text := json.NewDecoder(strings.NewReader("{" + string(label) + ":null}"))
		text.DisallowUnknownFields()
		if err := text.Decode(reflect.New(d.ScalarType).Interface()); err == nil || !strings.Contains(err.Error(), "unknown field") {
			d.panicf("field %s: another field is also named %q in JSON", field, name)
		}
	}
	for _, c := range d.Collections {
		check(c.Field, c.Name)
	}
	for _, t := range d.Tables {
		check(t.Field, t.Name)
	}
}

// Changes reports whether an action may change something. Calls of such actions must not
// run twice.
func (d *Definition) Changes(action string) bool {
	a := d.Actions[action]
	return a != nil && !a.ReadOnly
}

// Guards reports whether a hook may refuse subscriptions: OnAccess or CanSubscribe.
func (d *Definition) Guards() bool {
	return d.Hooks["OnAccess"] != nil || d.Hooks["CanSubscribe"] != nil
}

// ephemeral reports whether a top-level field is kept only while the actor is awake.
func ephemeral(f reflect.StructField) bool {
	return f.Tag.Get("json") == "-" || (!f.IsExported() && !f.Anonymous)
}

func (d *Definition) isCollection(t reflect.Type) bool {
	return t.Kind() != reflect.Pointer && d.Collection(reflect.New(t)) != nil
}

// Collection returns the collection to which field points, nil if it is not one.
func (d *Definition) Collection(field reflect.Value) Collection {
	return d.bindings.Collection(field.Interface())
}

func (d *Definition) checkNested(t reflect.Type, path string, seen map[reflect.Type]bool) {
	if d.isCollection(t) || d.isTable(t) {
		d.panicf("field %s: a %s must be a field of %s itself", path, t, d.Type)
	}
	if seen[t] || jsonshape.Marshals(t) {
		return
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		d.checkNested(t.Elem(), path, seen)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			d.panicf("field %s: a %s cannot be read back from JSON; use a type that says what is in it", path, t)
		}
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		d.panicf("field %s: a %s cannot be stored; tag it `json:\"-\"` if it is needed only while the actor is awake", path, t)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if ephemeral(f) {
				d.panicf("field %s.%s is not stored, and every undo would clear it; move it to %s itself", path, f.Name, d.Type)
			}
			d.checkNested(f.Type, path+"."+f.Name, seen)
		}
	}
}

// checkSent panics for types that are stored or sent, and whose JSON would lose values: maps
// whose values or keys are lost, and tables.
func (d *Definition) checkSent() {
	check := func(t reflect.Type, where string, args ...any) {
		d.checkNotSent(t, fmt.Sprintf(where, args...), map[reflect.Type]bool{})
		if m := jsonshape.BrokenMap(t); m != nil {
			d.panicf("%s: in a %s, JSON does not call the MarshalJSON or MarshalText that %s or %s has with a pointer receiver; use map[%s]*%s, and keys with value receivers",
				fmt.Sprintf(where, args...), m, m.Key(), m.Elem(), m.Key(), m.Elem())
		}
	}
	for _, i := range d.Fields {
		f := d.Type.Field(i)
		check(f.Type, "field %s", f.Name)
	}
	for _, c := range d.Collections {
		_, item := d.Collection(reflect.New(d.Type.Field(c.Index).Type)).Types()
		check(item, "field %s", c.Field)
	}
	for _, t := range d.Tables {
		_, item := d.Table(reflect.New(d.Type.Field(t.Index).Type)).Types()
		check(item, "field %s", t.Field)
	}
	check(d.ConnType, "the connection state")
	for t, e := range d.Events {
		check(t, "event %s", e.Name)
	}
	for t, h := range d.Handlers.byType {
		check(t, "message %s", h.Name)
	}
	for _, methods := range []map[string]*Method{d.Actions, d.Hooks, {"OnAuth": d.Auth}} {
		for _, m := range methods {
			if m != nil && m.Result != nil {
				check(m.Result, "the result of %s", m.Name)
			}
		}
	}
}

// deterministic reports whether equal values of t always have the same JSON. It is false for
// types with pointers, whose targets may change, for floats (0 equals -0), and for types
// that encode themselves.
func deterministic(t reflect.Type) bool {
	if jsonshape.Marshals(t) {
		return false
	}
	switch t.Kind() {
	case reflect.Array:
		return deterministic(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !deterministic(t.Field(i).Type) {
				return false
			}
		}
		return true
	case reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return false
	}
	return CopySafe(t)
}

// WireName is actor.WireName.
func WireName(name string) string {
	runes := []rune(name)
	wire := make([]rune, len(runes))
	for i, r := range runes {
		startsWord := i > 0 && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if unicode.IsUpper(r) && !startsWord {
			r = unicode.ToLower(r)
		}
		wire[i] = r
	}
	return string(wire)
}
