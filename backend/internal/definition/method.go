package definition

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Method is an action or a hook of an actor type.
type Method struct {
	Name     string // in Go
	ReadOnly bool   // it has a value receiver
	Args     []reflect.Type
	Result   reflect.Type // nil if it returns none

	fn         reflect.Value
	context    reflect.Type                 // of its first parameter, without the pointer; nil if there is none
	newContext func(turn any) reflect.Value // makes that parameter
	shapes     []jsonshape.Shape            // of Args
	hasError   bool
}

var (
	stringType  = reflect.TypeFor[string]()
	errorType   = reflect.TypeFor[error]()
	contextType = reflect.TypeFor[context.Context]()
)

// hookSignatures lists the hooks and their signatures for messages.
// kind: 'c' *actor.Context, 'p' *actor.ConnectContext and params, 's' the same
// with a result, 'i' *actor.Context and input, 'e' *actor.Context and an event's
// name, read-only, 'a' *actor.AccessContext, read-only, 'u' *actor.Context and an
// actor.Undelivered, 'n' nothing.
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
	"OnAccess":        {'a', "OnAccess(c *actor.AccessContext) error, with a value receiver: it is read-only"},
	"CanSubscribe":    {'e', "CanSubscribe(c *actor.Context[S], event string) error, with a value receiver: it is read-only"},
	"OnUndelivered":   {'u', "OnUndelivered(c *actor.Context[S], u actor.Undelivered) error"},
	"OnStop":          {'c', "OnStop(c *actor.Context[S]) error"},
}

// HookSignatures returns how each hook is written, by its name.
func HookSignatures() map[string]string {
	all := map[string]string{"OnAuth": authSignature}
	for name, sig := range hookSignatures {
		all[name] = sig.want
	}
	return all
}

// reservedMethods will be hooks. A type that has such a method today would not get the
// behaviour that it expects.
var reservedMethods = []string{"Migrate"}

// findMethods fills d.Actions and d.Hooks.
func (d *Definition) findMethods() {
	ptr := reflect.PointerTo(d.Type)
	lost := "" // a method that was most likely meant to be an action
	for i := range ptr.NumMethod() {
		rm := ptr.Method(i)
		if slices.Contains(reservedMethods, rm.Name) {
			d.panicf("method %s: the name is reserved for a future hook", rm.Name)
		}
		m := d.inspect(rm)
		if rm.Name == "OnAuth" {
			d.setAuth(m)
			continue
		}
		if sig, ok := hookSignatures[rm.Name]; ok {
			if !d.checkHook(m, sig.kind) {
				d.panicf("method %s is a hook with the wrong signature: want %s", rm.Name, sig.want)
			}
			d.useContext(m)
			d.Hooks[rm.Name] = m
			continue
		}
		switch m.context {
		case nil:
			if m.fn.Type().NumIn() > 1 && !m.ReadOnly && lost == "" {
				lost = rm.Name
			}
			continue // an ordinary method
		case d.bindings.ConnectContext:
			d.panicf("method %s: only OnBeforeConnect and CreateConnState take an *actor.ConnectContext", rm.Name)
		case d.bindings.AccessContext:
			d.panicf("method %s: only OnAccess takes an *actor.AccessContext", rm.Name)
		}
		if hasPrefix(rm.Name, "On") {
			d.panicf("method %s looks like a hook, but there is no hook of that name; an action cannot be named On…%s", rm.Name, didYouMean(NearHook(rm.Name)))
		}
		if hook := NearHook(rm.Name); hook != "" {
			d.panicf("method %s is no hook: did you mean %s?", rm.Name, hook)
		}
		d.checkAction(m)
		d.useContext(m)
		wire := WireName(rm.Name)
		if other := d.Actions[wire]; other != nil {
			d.panicf("methods %s and %s have the same action name %q", other.Name, rm.Name, wire)
		}
		d.Actions[wire] = m
	}
	if len(d.Actions) == 0 && len(d.Hooks) == 0 && lost != "" {
		d.panicf("it has no actions: method %s is none, because the first parameter of an action is an *actor.Context[S]", lost)
	}
	if h := d.Hooks["CreateConnState"]; h == nil && d.ConnType != nil && d.ConnType != d.bindings.NoState {
		d.panicf("its connection state is %s, but no hook makes one: want CreateConnState(c *actor.ConnectContext, params P) (%s, error)", d.ConnType, d.ConnType)
	} else if h != nil {
		if d.ConnType == nil {
			d.ConnType = h.Result
		}
		if h.Result != d.ConnType {
			d.panicf("CreateConnState returns %s, but other methods use *actor.Context[%s]", h.Result, d.ConnType)
		}
	}
	before, create := d.Hooks["OnBeforeConnect"], d.Hooks["CreateConnState"]
	if before != nil && create != nil && len(before.Args) > 0 && len(create.Args) > 0 && before.Args[0] != create.Args[0] {
		d.panicf("OnBeforeConnect takes params %s, CreateConnState takes %s: they are the same params", before.Args[0], create.Args[0])
	}
}

func didYouMean(hook string) string {
	if hook == "" {
		return ""
	}
	return "; did you mean " + hook + "?"
}

func (d *Definition) inspect(rm reflect.Method) *Method {
	m := &Method{Name: rm.Name, fn: rm.Func}
	_, m.ReadOnly = d.Type.MethodByName(rm.Name)
	t := rm.Type
	first := 1
	if t.NumIn() > 1 && t.In(1).Kind() == reflect.Struct {
		if p := reflect.PointerTo(t.In(1)); d.bindings.ConnState(p) != nil || d.isHookContext(t.In(1)) {
			d.panicf("method %s takes %s: want a pointer, %s", rm.Name, t.In(1), p)
		}
	}
	if t.NumIn() > 1 && t.In(1).Kind() == reflect.Pointer {
		if p := t.In(1); d.bindings.ConnState(p) != nil || d.isHookContext(p.Elem()) {
			m.context = p.Elem()
			m.newContext = d.bindings.NewContext(p)
			first = 2
		}
	}
	for i := first; i < t.NumIn(); i++ {
		m.Args = append(m.Args, t.In(i))
	}
	n := t.NumOut()
	if n > 0 && t.Out(n-1) == errorType {
		m.hasError = true
		n--
	}
	if n == 1 {
		m.Result = t.Out(0)
	} else if n > 1 && m.context != nil {
		d.panicf("method %s returns %d values: want none, an error, a result, or a result and an error", rm.Name, t.NumOut())
	}
	if t.IsVariadic() && m.context != nil {
		d.panicf("method %s is variadic: want a slice as its last parameter", rm.Name)
	}
	return m
}

// isHookContext reports whether t is the context of a hook that has one of its own.
func (d *Definition) isHookContext(t reflect.Type) bool {
	return t == d.bindings.ConnectContext || t == d.bindings.AccessContext
}

func (d *Definition) checkHook(m *Method, kind byte) bool {
	isContext := m.context != nil && !d.isHookContext(m.context)
	switch kind {
	case 'n':
		return m.context == nil && len(m.Args) == 0 && m.Result == nil && !m.hasError
	case 'c':
		return isContext && len(m.Args) == 0 && m.Result == nil
	case 'i':
		return isContext && len(m.Args) <= 1 && m.Result == nil
	case 'e':
		return isContext && m.ReadOnly && len(m.Args) == 1 && m.Args[0] == stringType && m.Result == nil && m.hasError
	case 'u':
		return isContext && !m.ReadOnly && len(m.Args) == 1 && m.Args[0] == d.bindings.Undelivered && m.Result == nil
	case 'a':
		return m.context == d.bindings.AccessContext && m.ReadOnly && len(m.Args) == 0 && m.Result == nil && m.hasError
	case 'p':
		return m.context == d.bindings.ConnectContext && len(m.Args) <= 1 && m.Result == nil
	default:
		return m.context == d.bindings.ConnectContext && len(m.Args) <= 1 && m.Result != nil
	}
}

func (d *Definition) checkAction(m *Method) {
	if wire := WireName(m.Name); slices.Contains(reservedActions, wire) {
		d.panicf("method %s: the action name %q is reserved", m.Name, wire)
	}
	for i, a := range m.Args {
		if k := a.Kind(); k == reflect.Chan || k == reflect.Func || k == reflect.UnsafePointer {
			d.panicf("method %s: parameter %d is a %s, which cannot be read from JSON", m.Name, i+1, a)
		}
	}
}

// useContext checks that all methods agree on the connection state's type.
func (d *Definition) useContext(m *Method) {
	if m.context == nil || d.isHookContext(m.context) {
		return
	}
	state := d.bindings.ConnState(reflect.PointerTo(m.context))
	if d.contextType == nil {
		d.contextType, d.ConnType = m.context, state
		return
	}
	if d.ConnType != state {
		d.panicf("method %s takes *actor.Context[%s], another method *actor.Context[%s]: all methods of an actor use one connection state type", m.Name, state, d.ConnType)
	}
}

// callFront is how many free slots arguments start with, for the receiver and the context.
const callFront = 2

// Call runs the method on a receiver, a pointer to the state, in a turn: a
// *runtime.Turn, which a method without a context does not need. args is nil, or
// from DecodeArgs, DecodeOptional or Argument.
func (m *Method) Call(receiver reflect.Value, turn any, args []reflect.Value) (result any, err error) {
	in := args
	if in == nil {
		in = make([]reflect.Value, callFront)
	}
	if m.context != nil {
		in[0], in[1] = receiver, m.newContext(turn)
	} else {
		in = in[1:]
		in[0] = receiver
	}
	out := m.fn.Call(in)
	if m.hasError {
		err, _ = out[len(out)-1].Interface().(error)
	}
	if m.Result != nil {
		result = out[0].Interface()
	}
	return result, err
}

// Argument returns v as the one argument of a Call.
func Argument(v reflect.Value) []reflect.Value { return []reflect.Value{callFront: v} }

// DecodeArgs decodes the arguments of an action.
func (m *Method) DecodeArgs(action string, raw []json.RawMessage) ([]reflect.Value, *host.Fault) {
	if len(raw) != len(m.Args) {
		return nil, host.Faultf(wire.CodeInvalidArgs, "%s takes %s, got %d", action, count(len(m.Args), "argument"), len(raw))
	}
	args := make([]reflect.Value, callFront, callFront+len(raw))
	for i, r := range raw {
		if jsonshape.TooDeep(m.Args[i], r) {
			return nil, TooDeepFault(fmt.Sprintf("%s: argument %d", action, i+1))
		}
		v, err := m.shapes[i].Decode(m.Args[i], r)
		if err != nil {
			return nil, host.Faultf(wire.CodeInvalidArgs, "%s: argument %d: %s", action, i+1, err)
		}
		args = append(args, v)
	}
	return args, nil
}

// DecodeOptional decodes params or input for a hook whose parameter is optional.
func (m *Method) DecodeOptional(raw json.RawMessage, code, what string) ([]reflect.Value, *host.Fault) {
	if len(m.Args) == 0 {
		return nil, nil
	}
	if len(raw) == 0 || isNull(raw) {
		if err := m.shapes[0].Absent(); err != nil {
			return nil, host.Faultf(code, "%s: %s", what, err)
		}
		return Argument(reflect.Zero(m.Args[0])), nil
	}
	if jsonshape.TooDeep(m.Args[0], raw) {
		return nil, TooDeepFault(what)
	}
	v, err := m.shapes[0].Decode(m.Args[0], raw)
	if err != nil {
		return nil, host.Faultf(code, "%s: %s", what, err)
	}
	return Argument(v), nil
}

// TooDeepFault returns a fault with code too_deep.
func TooDeepFault(what string) *host.Fault {
	return host.Limit{Limit: jsonshape.MaxDepth, Option: "nesting"}.
		Fault(wire.CodeTooDeep, fmt.Sprintf("%s has more than %d levels of arrays and objects", what, jsonshape.MaxDepth))
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

const authSignature = "OnAuth(ctx context.Context, r *actor.AuthRequest) (A, error)"

// setAuth takes a method as the definition's OnAuth.
func (d *Definition) setAuth(m *Method) {
	if m.context != nil || len(m.Args) != 2 || m.Args[0] != contextType || m.Args[1] != d.bindings.AuthRequest || m.Result == nil || !m.hasError {
		d.panicf("method OnAuth is a hook with the wrong signature: want %s", authSignature)
	}
	if k := m.Result.Kind(); k == reflect.Chan || k == reflect.Func || k == reflect.UnsafePointer || k == reflect.Interface {
		d.panicf("method OnAuth returns a %s: want a type that can be encoded as JSON and decoded again", m.Result)
	}
	d.Auth = m
}

// Authenticate calls OnAuth on a zero value. The definition must have one.
func (d *Definition) Authenticate(ctx context.Context, ref host.Ref, r host.AuthRequest) (result any, err error) {
	out := d.Auth.fn.Call([]reflect.Value{reflect.New(d.Type), reflect.ValueOf(ctx), d.bindings.NewAuthRequest(ref, r)})
	if err, _ := out[1].Interface().(error); err != nil {
		return nil, err
	}
	return out[0].Interface(), nil
}

// Undelivered returns the argument of OnUndelivered for Method.Call.
func (d *Definition) Undelivered(u Undelivered) []reflect.Value {
	return Argument(d.bindings.NewUndelivered(u))
}

// ClientError returns the parts of an *actor.Error. metadata is not encoded yet, nil if
// there is none. ok is false for other errors.
func (d *Definition) ClientError(err error) (code, message string, metadata any, ok bool) {
	return d.bindings.ClientError(err)
}

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
