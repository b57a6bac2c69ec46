package definition

import (
	"reflect"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
)

// Bindings give this package access to the types of package actor, which imports it.
type Bindings struct {
	NoState        reflect.Type // actor.NoState
	ConnectContext reflect.Type // actor.ConnectContext
	AccessContext  reflect.Type // actor.AccessContext
	AuthRequest    reflect.Type // *actor.AuthRequest

	// ConnState returns S if t is *actor.Context[S], nil if it is another type.
	ConnState func(t reflect.Type) reflect.Type

	// NewContext returns a function that makes a value of t, an *actor.Context[S],
	// *actor.ConnectContext or *actor.AccessContext, for a turn (a *runtime.Turn).
	NewContext func(t reflect.Type) func(turn any) reflect.Value

	// NewAuthRequest makes an *actor.AuthRequest.
	NewAuthRequest func(ref host.Ref, r host.AuthRequest) reflect.Value

	// Undelivered is actor.Undelivered, and NewUndelivered makes one.
	Undelivered    reflect.Type
	NewUndelivered func(u Undelivered) reflect.Value

	// Collection returns the collection that a pointer to a field points to, nil if
	// the field is neither an actor.List nor an actor.Map.
	Collection func(field any) Collection

	// Table returns the table that a pointer to a field points to, nil if the field is not
	// an actor.Table.
	Table func(field any) Table

	// ClientError returns the parts of an *actor.Error. metadata is not encoded yet, nil
	// if there is none. ok is false for other errors.
	ClientError func(err error) (code, message string, metadata any, ok bool)
}

// Undelivered is a message to another actor that had no effect, as OnUndelivered gets it.
type Undelivered struct {
	ID   string
	To   host.Ref
	Type string
	Data []byte
	Err  *host.Fault
}

// Collection is the List or Map in a field of a state, as the runtime sees it. Its text is
// its JSON without the brackets.
type Collection interface {
	// Keep makes the collection a field of an actor: from now on it records changes, and
	// permits them only during a turn. misused is called for a change from a goroutine
	// that runs no turn, where a panic would end the process.
	Keep(field string, misused func())
	Allow(changes bool) (before bool)

	Savepoint() int                              // the number of changes
	Rollback(savepoint int)                      // undoes later changes
	Edits(dst []store.Edit, at int) []store.Edit // appends all changes, for a text in which its own text starts at an offset
	Done()                                       // forgets the changes: the turn has succeeded
	Deeper(limit int) bool                       // nests deeper than limit, and than before the changes
	Size() int                                   // length of its text
	SizeBefore() int                             // length of its text before the changes
	Encode(dst []byte) ([]byte, error)           // appends its JSON, and measures it
	Load(raw []byte) (exact bool, _ error)       // fills it; exact: raw is what it would write
	Types() (key, item reflect.Type)             // key is nil if it has none
}
