package actor

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

// Definition is a Go type registered as an actor. Make one with Define.
type Definition struct {
	name    string
	typ     reflect.Type // the struct
	fields  []int        // its stored top-level fields that are plain
	options Options

	collections []collectionOf
	plainType   reflect.Type // typ without its collections, laid out in the same way

	contextType reflect.Type // Context[S], nil if no method has one
	connType    reflect.Type // S
	connPlain   bool         // values of S share no memory with their copies

	actions    map[string]*method // by wire name
	hooks      map[string]*method // by method name
	auth       *method            // OnAuth, which is no part of a turn; nil if there is none
	events     map[reflect.Type]eventType
	eventNames map[string]reflect.Type
	sent       map[reflect.Type]jsonshape.Shape // of events and results
}

// eventType is a type of events.
type eventType struct {
	name   string // on the wire
	steady bool   // equal values have the same JSON
}

// DefineOption is an option of Define: Emits or WithOptions.
type DefineOption interface{ applyTo(*Definition) }

type defineOption func(*Definition)

func (f defineOption) applyTo(d *Definition) { f(d) }

// Emits declares that the actor emits events of type E. The event's wire name
// is the type's name in lowerCamel: MessageReceived is "messageReceived".
// Emitting a type that is not declared fails the turn.
func Emits[E any]() DefineOption {
	return defineOption(func(d *Definition) { d.addEvent(reflect.TypeFor[E]()) })
}

// OptionsOption is what WithOptions returns: an option of Define and of
// NewRegistry.
type OptionsOption Options

func (o OptionsOption) applyTo(d *Definition)   { d.options = Options(o) }
func (o OptionsOption) addTo(c *registryConfig) { c.options = Options(o) }
func (d *Definition) addTo(c *registryConfig)   { c.defs = append(c.defs, d) }

// WithOptions sets the options of one definition, or of all those of a registry that do
// not set their own.
func WithOptions(o Options) OptionsOption { return OptionsOption(o) }

// reservedActions cannot be actions: JavaScript or the client's own methods
// use these names on a connection or a handle.
var reservedActions = []string{
	"then", "catch", "finally", "toJSON", "constructor", "$$typeof", "nodeType", "asymmetricMatch",
	"on", "once", "off", "call", "connect", "dispose", "state", "status", "id", "resolve", "withOptions", "refresh",
}

// reservedNames cannot be the names of definitions either: a client has methods of
// these names.
var reservedNames = append([]string{"reconnect", "stale"}, reservedActions...)

// reservedEvents cannot be events: the client uses these names for the life of
// a connection.
var reservedEvents = []string{"connected", "disconnected", "reconnected", "error", "closed", "stale"}

// Define makes a definition of the struct type T under a name that clients use:
//
//	actor.Define[ChatRoom]("chatRoom", actor.Emits[MessageReceived]())
//
// The exported methods of *T whose first parameter is an *actor.Context are its
// actions; methods with the name of a hook are its hooks (see the package
// documentation). It panics if T or one of its methods cannot be used, with the
// type, the method and the signature wanted: that is a programming error, best
// met at start.
func Define[T any](name string, options ...DefineOption) *Definition {
	d := &Definition{
		name: name, typ: reflect.TypeFor[T](),
		actions: map[string]*method{}, hooks: map[string]*method{},
		events: map[reflect.Type]eventType{}, eventNames: map[string]reflect.Type{},
	}
	if name == "" || len(name) > host.MaxNameBytes || strings.ContainsFunc(name, notNameRune) {
		d.panicf("the name %q: want letters, digits, - or _, at most %d bytes", name, host.MaxNameBytes)
	}
	if slices.Contains(reservedNames, name) {
		d.panicf("the name %q is reserved", name)
	}
	d.checkState()
	for _, o := range options {
		o.applyTo(d)
	}
	d.findMethods()
	if d.connType == nil {
		d.connType = reflect.TypeFor[NoState]()
	}
	d.connPlain = plain(d.connType)
	d.setShapes(jsonshape.NewShapes(nil))
	return d
}

func notNameRune(r rune) bool {
	return r > unicode.MaxASCII || !(unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_')
}

func (d *Definition) panicf(format string, args ...any) {
	panic(fmt.Sprintf("actor: Define[%s]: %s", d.typ, fmt.Sprintf(format, args...)))
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
	if other, ok := d.eventNames[name]; ok && other != t {
		d.panicf("Emits[%s]: the event name %q is that of %s", t, name, other)
	}
	d.events[t] = eventType{name, steady(t)}
	d.eventNames[name] = t
}

// checkState finds the stored fields of the state and refuses what cannot be
// stored and undone.
func (d *Definition) checkState() {
	if d.typ.Kind() != reflect.Struct {
		d.panicf("want a struct, %s is a %s", d.typ, d.typ.Kind())
	}
	if jsonshape.Marshals(d.typ) {
		d.panicf("the state cannot have a MarshalJSON of its own: its fields are stored and undone one by one")
	}
	for i := range d.typ.NumField() {
		f := d.typ.Field(i)
		if ephemeral(f) {
			continue
		}
		if f.Anonymous && !f.IsExported() && f.Type.Kind() == reflect.Pointer {
			d.panicf("field %s: an embedded pointer to an unexported type cannot be read back from JSON; embed %s itself", f.Name, f.Type.Elem())
		}
		if isCollection(f.Type) {
			d.addCollection(i, f)
			continue
		}
		d.checkNested(f.Type, f.Name, map[reflect.Type]bool{})
		d.fields = append(d.fields, i)
	}
	d.plainType = d.typ
	if len(d.collections) > 0 {
		d.plainType = d.withoutCollections()
		d.checkNames()
	}
}

// collectionOf is a field of the state that is a List or a Map.
type collectionOf struct {
	index int
	field string
	name  string // as JSON has it
	label []byte // that as JSON, with the colon
}

func (d *Definition) addCollection(i int, f reflect.StructField) {
	name := jsonName(f)
	for _, other := range d.collections {
		if strings.EqualFold(other.name, name) {
			d.panicf("fields %s and %s: both are named %q", other.field, f.Name, name)
		}
	}
	if f.Type.NumField() > 1 { // it embeds a List or Map
		d.panicf("field %s: a %s is more than the List or Map in it, and the rest would not be stored: keep that in %s itself", f.Name, f.Type, d.typ)
	}
	key, item := reflect.New(f.Type).Interface().(collectionField).collection().types()
	if key != nil && (jsonshape.Marshals(key) || reflect.PointerTo(key).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())) {
		d.panicf("field %s: its keys encode themselves, a Map writes the strings and integers that they are: give it a type without MarshalText and UnmarshalText", f.Name)
	}
	d.checkNested(item, f.Name, map[reflect.Type]bool{})
	label, _ := json.Marshal(name) // of a string: it does not fail
	d.collections = append(d.collections, collectionOf{index: i, field: f.Name, name: name, label: append(label, ':')})
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return cmp.Or(name, f.Name)
}

// withoutCollections returns a type like the state's in which the collections, and
// what is ephemeral, are left out of JSON.
func (d *Definition) withoutCollections() (t reflect.Type) {
	defer func() {
		if why := recover(); why != nil {
			d.panicf("a state with a List or Map cannot embed what is not exported or has methods: %v", why)
		}
	}()
	fields := make([]reflect.StructField, d.typ.NumField())
	for i := range fields {
		fields[i] = d.typ.Field(i)
		if !slices.Contains(d.fields, i) {
			fields[i] = reflect.StructField{Name: fmt.Sprint("Left_out_", i), Type: fields[i].Type, Tag: `json:"-"`}
		}
	}
	t = reflect.StructOf(fields)
	for i := range fields {
		if t.Field(i).Offset != d.typ.Field(i).Offset {
			panic("its memory has another layout")
		}
	}
	return t
}

// checkNames refuses a plain field, also one in an embedded struct, that takes the
// JSON of a collection for its own. Letters in another case are the same to
// encoding/json, which is asked.
func (d *Definition) checkNames() {
	for _, c := range d.collections {
		text := json.NewDecoder(strings.NewReader("{" + string(c.label) + "null}"))
		text.DisallowUnknownFields()
		if err := text.Decode(reflect.New(d.plainType).Interface()); err == nil || !strings.Contains(err.Error(), "unknown field") {
			d.panicf("field %s: another field is named %q, too", c.field, c.name)
		}
	}
}

// changes reports whether an action is one that may change something: only such
// calls must not be repeated.
func (d *Definition) changes(action string) bool {
	a := d.actions[action]
	return a != nil && !a.readOnly
}

// ephemeral reports whether a top-level field is kept while the actor is awake
// only.
func ephemeral(f reflect.StructField) bool {
	return f.Tag.Get("json") == "-" || (!f.IsExported() && !f.Anonymous)
}

func (d *Definition) checkNested(t reflect.Type, path string, seen map[reflect.Type]bool) {
	if isCollection(t) {
		d.panicf("field %s: a %s has to be a field of %s itself", path, t, d.typ)
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
			d.panicf("field %s: a %s cannot be read back from JSON; use a type that says what is in it, or any", path, t)
		}
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		d.panicf("field %s: a %s cannot be stored; tag it `json:\"-\"` if it is needed only while the actor is awake", path, t)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if ephemeral(f) {
				d.panicf("field %s.%s is not stored, and would be lost with every undo: keep such fields in %s itself", path, f.Name, d.typ)
			}
			d.checkNested(f.Type, path+"."+f.Name, seen)
		}
	}
}

// plain reports whether a copy of a value of t shares no memory with it.
func plain(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return false
	case reflect.Array:
		return plain(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !plain(t.Field(i).Type) {
				return false
			}
		}
	}
	return true
}

// steady reports whether equal values of t have the same JSON, now and later.
// Those that it leaves out: what points to something that may change, 0 and -0,
// and what encodes itself.
func steady(t reflect.Type) bool {
	if jsonshape.Marshals(t) {
		return false
	}
	switch t.Kind() {
	case reflect.Array:
		return steady(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !steady(t.Field(i).Type) {
				return false
			}
		}
		return true
	case reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return false
	}
	return plain(t)
}

// WireName returns the name that clients use for a Go name, in lowerCamel with
// initialisms as words: SendMessage is sendMessage, UserByID is userById,
// HTTPStatus is httpStatus.
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
