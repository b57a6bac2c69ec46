package actor

import (
	"errors"
	"reflect"
	"slices"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/runtime"
)

// Definition is a Go type registered as an actor. Make one with Define.
type Definition struct{ def *definition.Definition }

// DefineOption is an option of Define: Emits, Handles, Version or WithOptions.
type DefineOption interface{ applyTo(*definition.Spec) }

type defineOption func(*definition.Spec)

func (f defineOption) applyTo(s *definition.Spec) { f(s) }

// Emits declares that the actor emits events of type E. The event's wire name
// is the type's name in lowerCamel: MessageReceived is "messageReceived".
// Emitting a type that is not declared fails the turn.
func Emits[E any]() DefineOption {
	return defineOption(func(s *definition.Spec) { s.Events = append(s.Events, reflect.TypeFor[E]()) })
}

// Option is an option of Define and of NewRegistry: WithOptions.
type Option interface {
	DefineOption
	RegistryOption
}

// WithOptions sets options, for one definition or for all of a registry that do not
// set their own.
func WithOptions(o Options) Option { return withOptions(o) }

type withOptions Options

func (o withOptions) applyTo(s *definition.Spec) { s.Options = definition.Options(o) }
func (o withOptions) addTo(c *registryConfig)    { c.options = definition.Options(o) }

func (d *Definition) addTo(c *registryConfig) { c.defs = append(c.defs, d.def) }

// Define makes a definition of the struct type T under a name that clients use:
//
//	actor.Define[ChatRoom]("chatRoom", actor.Emits[MessageReceived]())
//
// The exported methods of *T whose first parameter is an *actor.Context are its
// actions; methods with the name of a hook are its hooks (see the package
// documentation). It panics if T or one of its methods cannot be used, with the
// type, the method and the signature wanted: call it when the program starts.
func Define[T any](name string, options ...DefineOption) *Definition {
	s := definition.Spec{Name: name, Type: reflect.TypeFor[T](), Bindings: bindings}
	for _, o := range options {
		o.applyTo(&s)
	}
	return &Definition{definition.New(s)}
}

// bindings give the packages below access to the types of this one.
var bindings = &definition.Bindings{
	NoState:        reflect.TypeFor[NoState](),
	ConnectContext: reflect.TypeFor[ConnectContext](),
	AccessContext:  reflect.TypeFor[AccessContext](),
	AuthRequest:    reflect.TypeFor[*AuthRequest](),
	ConnState: func(t reflect.Type) reflect.Type {
		if t.Kind() != reflect.Pointer || !t.Implements(stateContextType) {
			return nil
		}
		return reflect.New(t.Elem()).Interface().(stateContext).connState()
	},
	NewContext: func(t reflect.Type) func(turn any) reflect.Value {
		return func(on any) reflect.Value {
			c := reflect.New(t.Elem())
			c.Interface().(turnContext).bind(on.(*runtime.Turn))
			return c
		}
	},
	NewAuthRequest: func(ref host.Ref, r host.AuthRequest) reflect.Value {
		return reflect.ValueOf(&AuthRequest{
			Actor: ref.Name, Key: Key(slices.Clone(ref.Key)), Action: r.Action,
			Header: cloneHeader(r.Header), RemoteAddr: r.RemoteAddr, RawParams: slices.Clone(r.Params),
		})
	},
	Undelivered: reflect.TypeFor[Undelivered](),
	NewUndelivered: func(u definition.Undelivered) reflect.Value {
		return reflect.ValueOf(Undelivered{
			ID: MessageID(u.ID), To: refOf(u.To), Type: u.Type, Err: authorError(u.Err).(*Error), data: u.Data,
		})
	},
	Collection: func(field any) definition.Collection {
		if f, ok := field.(collectionField); ok {
			return f.collection()
		}
		return nil
	},
	Table: func(field any) definition.Table {
		if f, ok := field.(tableField); ok {
			return f.table()
		}
		return nil
	},
	ClientError: func(err error) (code, message string, metadata any, ok bool) {
		var e *Error
		if !errors.As(err, &e) || e == nil {
			return "", "", nil, false
		}
		return e.Code, e.Message, e.Metadata, true
	},
}

// turnContext is the parameter of a method for its turn: a *Context[S], a
// *ConnectContext or an *AccessContext.
type turnContext interface{ bind(*runtime.Turn) }

// stateContext is a *Context[S], for every S.
type stateContext interface {
	turnContext
	connState() reflect.Type
}

var stateContextType = reflect.TypeFor[stateContext]()

// WireName returns the name that clients use for a Go name, in lowerCamel with
// initialisms as words: SendMessage is sendMessage, UserByID is userById,
// HTTPStatus is httpStatus.
func WireName(name string) string { return definition.WireName(name) }
