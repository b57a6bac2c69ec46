package definition

import (
	"reflect"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
)

// Bindings are the types of package actor that the methods and fields of an actor
// name, and what is done with them. Package actor imports this one and fills them in.
type Bindings struct {
	NoState        reflect.Type // actor.NoState
	ConnectContext reflect.Type // actor.ConnectContext
	AuthRequest    reflect.Type // *actor.AuthRequest

	// ConnState returns S if t is *actor.Context[S], nil if it is another type.
	ConnState func(t reflect.Type) reflect.Type

	// NewContext returns what makes a value of t, an *actor.Context[S] or
	// *actor.ConnectContext, for a turn, which is a *runtime.Turn.
	NewContext func(t reflect.Type) func(turn any) reflect.Value

	// NewAuthRequest makes an *actor.AuthRequest.
	NewAuthRequest func(ref host.Ref, r host.AuthRequest) reflect.Value

	// Collection returns the collection that a pointer to a field points to, nil if
	// the field is neither an actor.List nor an actor.Map.
	Collection func(field any) Collection

	// ClientError returns what an *actor.Error says to clients. metadata is not
	// encoded yet, nil if there is none. ok is false for other errors.
	ClientError func(err error) (code, message string, metadata any, ok bool)
}

// Collection is what the runtime needs of the List or Map in a field of a state.
// Its text is its JSON without the brackets.
type Collection interface {
	// Keep makes the collection that of an actor's field: from now on its changes
	// are collected, and allowed during a turn only. check looks for items that
	// were changed in place.
	Keep(field string, check bool)
	Allow(changes bool) (before bool)

	Savepoint() int                              // how many changes there are
	Rollback(savepoint int)                      // undoes those after it
	Edits(dst []store.Edit, at int) []store.Edit // appends all of them, for a text in which its own starts at an offset
	Done()                                       // forgets them: the last turn stands
	SizeBefore() int                             // length of its text before the changes
	Encode(dst []byte) ([]byte, error)           // appends its JSON, and measures it
	InPlace() bool                               // an item was changed in place
	Load(raw []byte) (exact bool, _ error)       // fills it; exact: raw is what it would write
	Types() (key, item reflect.Type)             // key is nil if it has none
}
