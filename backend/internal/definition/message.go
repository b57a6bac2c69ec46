package definition

import (
	"encoding/json"
	"fmt"
	"go/token"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
)

// Handler handles the messages of a type.
type Handler struct {
	Name    string       // of the type, as messages are stored
	Message reflect.Type // of the messages

	call func(state, turn, message any) error
}

// Handlers are the handlers of messages of a definition.
type Handlers struct {
	d      *Definition
	byName map[string]*Handler
	byType map[reflect.Type]*Handler
}

// HandlerSpec has the arguments of actor.Handles.
type HandlerSpec struct {
	Func    any          // as the author wrote it
	State   reflect.Type // of its first parameter, without the pointer
	Context reflect.Type // of its second one, likewise
	Message reflect.Type // of its third one

	// Call calls it with a pointer to the state, a *runtime.Turn, and a Message.
	Call func(state, turn, message any) error
}

// add adds a handler. It panics if it cannot be used.
func (hs *Handlers) add(s HandlerSpec) {
	d := hs.d
	method := methodName(s.Func)
	what := fmt.Sprintf("Handles((*%s).%s)", d.Type.Name(), method)
	if method == "" {
		what = fmt.Sprintf("Handles(func(*%s, *actor.Context[S], %s) error)", s.State, s.Message)
	}
	t := s.Message
	base, _, generic := strings.Cut(t.Name(), "[")
	switch {
	case reflect.ValueOf(s.Func).IsNil():
		d.panicf("Handles(nil): want a method, as in actor.Handles((*%s).closeVote)", d.Type.Name())
	case s.State != d.Type:
		d.panicf("%s: it handles messages of %s, not of %s", what, s.State, d.Type)
	case token.IsExported(method):
		d.panicf("%s: an exported method is an action, which clients can call; rename it to %s", what, WireName(method))
	case t.PkgPath() == "" || t.Kind() == reflect.Interface:
		d.panicf("%s: it takes a %s, but a message is a value of a named type that is not an interface", what, t)
	case generic:
		d.panicf("%s: a message type cannot be generic; declare type X %s", what, base)
	}
	d.useContext(&Method{Name: methodOr(method, what), context: s.Context})
	h := &Handler{Name: WireName(t.Name()), Message: t, call: s.Call}
	if other := hs.byName[h.Name]; other != nil {
		if other.Message == t {
			d.panicf("%s: another handler handles %s already", what, t)
		}
		d.panicf("%s: %s and %s would both be stored as %q; rename one", what, other.Message, t, h.Name)
	}
	hs.byName[h.Name], hs.byType[t] = h, h
}

func methodOr(method, what string) string {
	if method == "" {
		return what
	}
	return method
}

// methodName returns the name of the method that a method expression is of, empty for
// another function.
func methodName(f any) string {
	info := runtime.FuncForPC(reflect.ValueOf(f).Pointer())
	if info == nil {
		return ""
	}
	name := info.Name() // such as example.com/rooms.(*Room).closeVote
	i := strings.LastIndex(name, ").")
	if i < 0 || strings.Contains(name[i+2:], ".") { // a function in a method
		return ""
	}
	return name[i+2:]
}

// UnhandledError is why a stored message cannot be handled by this version of the program.
type UnhandledError struct{ Reason string }

// Error implements error.
func (e *UnhandledError) Error() string { return e.Reason }

// Of returns the handler of messages of a type, nil if there is none.
func (hs *Handlers) Of(t reflect.Type) *Handler { return hs.byType[t] }

// Names returns the names of the types of messages, in no order.
func (hs *Handlers) Names() []string { return slices.Collect(maps.Keys(hs.byName)) }

// Find returns the handler of a stored message: its type's name and the version of the
// definition that made it. The error is an *UnhandledError.
func (hs *Handlers) Find(name string, version int) (*Handler, error) {
	d := hs.d
	if version > d.Version() {
		return nil, &UnhandledError{fmt.Sprintf("the message was made by version %d of %q, this is version %d", version, d.Name, d.Version())}
	}
	current, _, _ := hs.migrate(name, version, nil)
	h := hs.byName[current]
	if h == nil {
		return nil, &UnhandledError{fmt.Sprintf("%q has no handler of messages of type %q: add actor.Handles with one", d.Name, current)}
	}
	return h, nil
}

// Migrate returns the data of a stored message as the current version stores it, and its
// handler, see Find.
func (hs *Handlers) Migrate(name string, version int, data []byte) (h *Handler, _ []byte, err error) {
	if h, err = hs.Find(name, version); err != nil {
		return nil, nil, err
	}
	if _, data, err = hs.migrate(name, version, data); err != nil {
		return nil, nil, fmt.Errorf("migrate the message %s: %w", name, err)
	}
	return h, data, nil
}

// Decode decodes a stored message, see Find.
func (hs *Handlers) Decode(name string, version int, data []byte) (h *Handler, message any, err error) {
	if h, data, err = hs.Migrate(name, version, data); err != nil {
		return nil, nil, err
	}
	value := reflect.New(h.Message)
	if json.Unmarshal(data, value.Interface()) != nil {
		return nil, nil, fmt.Errorf("decode the message %s: %w", name, jsonshape.Locate(h.Message, data, ""))
	}
	return h, value.Elem().Interface(), nil
}

// Handle decodes a stored message and runs its handler on a receiver, a pointer to the
// state, in a turn, which is a *runtime.Turn. The error of a message without a handler is
// an *UnhandledError.
func (hs *Handlers) Handle(receiver reflect.Value, turn any, name string, version int, data []byte) error {
	h, message, err := hs.Decode(name, version, data)
	if err != nil {
		return err
	}
	return h.call(receiver.Interface(), turn, message)
}

// migrate returns the name and, unless it is nil, the data of a message that a version has
// stored as the current version stores them. name is that of its type.
func (hs *Handlers) migrate(name string, version int, data []byte) (_ string, _ []byte, err error) {
	meant := func(s *Step) bool { return s.Message != "" && s.Message == name }
	err = hs.d.migrate(version, meant, func(s *Step) (err error) {
		if s.To != "" {
			name = s.To
		} else if data != nil {
			data, err = s.Convert(data)
		}
		return err
	})
	return name, data, err
}

// versionedMessages are the types of messages at one step, by name.
type versionedMessages map[string]reflect.Type

func (hs *Handlers) versioned() versionedMessages {
	ms := versionedMessages{}
	for name, h := range hs.byName {
		ms[name] = h.Message
	}
	return ms
}

// before makes ms the messages before a step, or returns why the step is wrong.
func (ms versionedMessages) before(d *Definition, s *Step) string {
	after := s.Message
	if s.To != "" {
		after = s.To
	}
	t := ms[after]
	switch {
	case s.To == s.Message:
		return "the names are the same"
	case t == nil:
		return fmt.Sprintf("after it there is no handler of messages %q, but of %s: write names as they are stored, as closeVote for CloseVote", after, ms)
	case s.To == "":
		if why := d.fits(s.New, t, "messages"); why != "" {
			return why
		}
		ms[s.Message] = s.Old
	case ms[s.Message] != nil:
		return fmt.Sprintf("after it there still is a handler of messages %q", s.Message)
	default:
		delete(ms, s.To)
		ms[s.Message] = t
	}
	return ""
}

func (ms versionedMessages) String() string {
	if len(ms) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(ms)), ", ")
}
