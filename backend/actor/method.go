package actor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/wire"
)

// method is an action or a hook of an actor type.
type method struct {
	name     string // in Go
	fn       reflect.Value
	readOnly bool         // it has a value receiver
	context  reflect.Type // of its first parameter, without the pointer; nil if there is none
	args     []reflect.Type
	shapes   []jsonshape.Shape // of args
	result   reflect.Type      // nil if it returns none
	hasError bool
}

var (
	stringType         = reflect.TypeFor[string]()
	errorType          = reflect.TypeFor[error]()
	connectContextType = reflect.TypeFor[ConnectContext]()
	binderType         = reflect.TypeFor[binder]()
)

// hookSignatures lists the hooks, and for messages how they are written.
// kind: 'c' *actor.Context, 'p' *actor.ConnectContext and params, 's' the same
// with a result, 'i' *actor.Context and input, 'e' *actor.Context and an event's
// name, read-only, 'n' nothing.
var hookSignatures = map[string]struct {
	kind byte
	want string
}{
	"OnCreate":        {'i', "OnCreate(c *actor.Context[S], input I) error, or without the input"},
	"OnStart":         {'c', "OnStart(c *actor.Context[S]) error"},
	"OnRestore":       {'n', "OnRestore()"},
	"OnBeforeConnect": {'p', "OnBeforeConnect(c *actor.ConnectContext, params P) error"},
	"CreateConnState": {'s', "CreateConnState(c *actor.ConnectContext, params P) (S, error)"},
	"OnConnect":       {'c', "OnConnect(c *actor.Context[S]) error"},
	"OnDrop":          {'c', "OnDrop(c *actor.Context[S]) error"},
	"OnResume":        {'c', "OnResume(c *actor.Context[S]) error"},
	"OnRefresh":       {'c', "OnRefresh(c *actor.Context[S]) error"},
	"OnDisconnect":    {'c', "OnDisconnect(c *actor.Context[S]) error"},
	"CanSubscribe":    {'e', "CanSubscribe(c *actor.Context[S], event string) error, with a value receiver: it is read-only"},
	"OnStop":          {'c', "OnStop(c *actor.Context[S]) error"},
}

// reservedMethods will be hooks: a type that has one today would not get what it
// wants.
var reservedMethods = []string{"Migrate"}

// findMethods fills d.actions and d.hooks.
func (d *Definition) findMethods() {
	ptr := reflect.PointerTo(d.typ)
	for i := range ptr.NumMethod() {
		rm := ptr.Method(i)
		if slices.Contains(reservedMethods, rm.Name) {
			d.panicf("method %s: there is no hook of this name yet, and the name is reserved for one", rm.Name)
		}
		m := d.inspect(rm)
		if rm.Name == "OnAuth" {
			d.setAuth(m)
			continue
		}
		if sig, ok := hookSignatures[rm.Name]; ok {
			if !d.checkHook(m, sig.kind) {
				d.panicf("method %s is a hook, but its signature is not that of one: want %s", rm.Name, sig.want)
			}
			d.useContext(m)
			d.hooks[rm.Name] = m
			continue
		}
		if m.context == nil || m.context == connectContextType {
			if m.context == connectContextType {
				d.panicf("method %s: only OnBeforeConnect and CreateConnState take an *actor.ConnectContext", rm.Name)
			}
			continue // not an action: the type's own business
		}
		if rest, ok := strings.CutPrefix(rm.Name, "On"); ok && rest != "" && rest[0] >= 'A' && rest[0] <= 'Z' {
			d.panicf("method %s looks like a hook, and there is none of that name; an action cannot be named On…", rm.Name)
		}
		d.checkAction(m)
		d.useContext(m)
		wire := WireName(rm.Name)
		if other := d.actions[wire]; other != nil {
			d.panicf("methods %s and %s have the same action name %q", other.name, rm.Name, wire)
		}
		d.actions[wire] = m
	}
	if h := d.hooks["CreateConnState"]; h == nil && d.connType != nil && d.connType != reflect.TypeFor[NoState]() {
		d.panicf("its connection state is %s, but it has no hook to make one: want CreateConnState(c *actor.ConnectContext, params P) (%s, error)", d.connType, d.connType)
	} else if h != nil {
		if d.connType == nil {
			d.connType = h.result
		}
		if h.result != d.connType {
			d.panicf("CreateConnState returns %s, but other methods use *actor.Context[%s]", h.result, d.connType)
		}
	}
	before, create := d.hooks["OnBeforeConnect"], d.hooks["CreateConnState"]
	if before != nil && create != nil && len(before.args) > 0 && len(create.args) > 0 && before.args[0] != create.args[0] {
		d.panicf("OnBeforeConnect takes params %s, CreateConnState takes %s: they are the same params", before.args[0], create.args[0])
	}
}

func (d *Definition) inspect(rm reflect.Method) *method {
	m := &method{name: rm.Name, fn: rm.Func}
	_, m.readOnly = d.typ.MethodByName(rm.Name)
	t := rm.Type
	first := 1
	if t.NumIn() > 1 && t.In(1).Kind() == reflect.Struct {
		if p := reflect.PointerTo(t.In(1)); p.Implements(binderType) || t.In(1) == connectContextType {
			d.panicf("method %s takes %s: want a pointer, %s", rm.Name, t.In(1), p)
		}
	}
	if t.NumIn() > 1 && t.In(1).Kind() == reflect.Pointer {
		if p := t.In(1); p.Implements(binderType) || p.Elem() == connectContextType {
			m.context = p.Elem()
			first = 2
		}
	}
	for i := first; i < t.NumIn(); i++ {
		m.args = append(m.args, t.In(i))
	}
	n := t.NumOut()
	if n > 0 && t.Out(n-1) == errorType {
		m.hasError = true
		n--
	}
	if n == 1 {
		m.result = t.Out(0)
	} else if n > 1 && m.context != nil {
		d.panicf("method %s returns %d values: want none, an error, a result, or a result and an error", rm.Name, t.NumOut())
	}
	if t.IsVariadic() && m.context != nil {
		d.panicf("method %s is variadic: want a slice as its last parameter", rm.Name)
	}
	return m
}

func (d *Definition) checkHook(m *method, kind byte) bool {
	isContext := m.context != nil && m.context != connectContextType
	switch kind {
	case 'n':
		return m.context == nil && len(m.args) == 0 && m.result == nil && !m.hasError
	case 'c':
		return isContext && len(m.args) == 0 && m.result == nil
	case 'i':
		return isContext && len(m.args) <= 1 && m.result == nil
	case 'e':
		return isContext && m.readOnly && len(m.args) == 1 && m.args[0] == stringType && m.result == nil && m.hasError
	case 'p':
		return m.context == connectContextType && len(m.args) <= 1 && m.result == nil
	default:
		return m.context == connectContextType && len(m.args) <= 1 && m.result != nil
	}
}

func (d *Definition) checkAction(m *method) {
	if wire := WireName(m.name); slices.Contains(reservedActions, wire) {
		d.panicf("method %s: the action name %q is reserved", m.name, wire)
	}
	for i, a := range m.args {
		if k := a.Kind(); k == reflect.Chan || k == reflect.Func || k == reflect.UnsafePointer {
			d.panicf("method %s: parameter %d is a %s, which cannot be read from JSON", m.name, i+1, a)
		}
	}
}

// useContext checks that all methods agree on the connection state's type.
func (d *Definition) useContext(m *method) {
	if m.context == nil || m.context == connectContextType {
		return
	}
	state := reflect.New(m.context).Interface().(binder).connState()
	if d.contextType == nil {
		d.contextType, d.connType = m.context, state
		return
	}
	if d.connType != state {
		d.panicf("method %s takes *actor.Context[%s], another one *actor.Context[%s]: all methods of an actor use one connection state type", m.name, state, d.connType)
	}
}

// callFront is how many places are free at the start of arguments, for what comes
// before them.
const callFront = 2

// call runs the method on a receiver (a pointer to the state). context is what
// its first parameter points to, if it has one. args is nil, or from decodeArgs
// or decodeOptional.
func (m *method) call(receiver, context reflect.Value, args []reflect.Value) (result any, err error) {
	in := args
	if in == nil {
		in = make([]reflect.Value, callFront)
	}
	if m.context != nil {
		in[0], in[1] = receiver, context
	} else {
		in = in[1:]
		in[0] = receiver
	}
	out := m.fn.Call(in)
	if m.hasError {
		err, _ = out[len(out)-1].Interface().(error)
	}
	if m.result != nil {
		result = out[0].Interface()
	}
	return result, err
}

// decodeArgs reads the arguments of an action from JSON.
func (m *method) decodeArgs(action string, raw []json.RawMessage) ([]reflect.Value, *host.Fault) {
	if len(raw) != len(m.args) {
		return nil, host.Faultf(wire.CodeInvalidArgs, "%s takes %s, got %d", action, count(len(m.args), "argument"), len(raw))
	}
	args := make([]reflect.Value, callFront, callFront+len(raw))
	for i, r := range raw {
		v, err := m.shapes[i].Decode(m.args[i], r)
		if err != nil {
			return nil, host.Faultf(wire.CodeInvalidArgs, "%s: argument %d: %s", action, i+1, err)
		}
		args = append(args, v)
	}
	return args, nil
}

// decodeOptional reads params or input for a hook that may take them.
func (m *method) decodeOptional(raw json.RawMessage, code, what string) ([]reflect.Value, *host.Fault) {
	if len(m.args) == 0 {
		return nil, nil
	}
	if len(raw) == 0 || isNull(raw) {
		if err := m.shapes[0].Absent(); err != nil {
			return nil, host.Faultf(code, "%s: %s", what, err)
		}
		return []reflect.Value{callFront: reflect.Zero(m.args[0])}, nil
	}
	v, err := m.shapes[0].Decode(m.args[0], raw)
	if err != nil {
		return nil, host.Faultf(code, "%s: %s", what, err)
	}
	return []reflect.Value{callFront: v}, nil
}

func isNull(raw json.RawMessage) bool { return bytes.Equal(bytes.TrimSpace(raw), []byte("null")) }

func count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
