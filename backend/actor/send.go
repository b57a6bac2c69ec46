package actor

import (
	"encoding/json"
	"reflect"
	"slices"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
)

// Ref names an actor. It is a value, which states and messages may have in them.
type Ref struct {
	Name string `json:"name"` // of its definition
	Key  Key    `json:"key"`
}

// Of returns the reference of the actor with a name and key, which need not exist.
func Of(name string, key ...string) Ref { return Ref{Name: name, Key: append(Key{}, key...)} }

func refOf(r host.Ref) Ref { return Ref{Name: r.Name, Key: Key(slices.Clone(r.Key))} }

func (r Ref) host() host.Ref { return host.Ref{Name: r.Name, Key: host.Key(slices.Clone(r.Key))} }

// Send sends a message to another actor, whose definition declares a handler of its type
// with Handles. If the actor does not exist, the message makes it, without input. The message is
// encoded at once.
//
// The message is a change of the turn: it leaves when the turn's changes are durable, never
// if the turn fails. It takes effect exactly once, and after those that the actor has sent
// to the same actor before (G12), also if either actor is restarted or the server ends meanwhile.
// There is no order among the messages to different actors.
//
// An [Error] that the handler returns refuses the message: its changes are undone, and the
// sender's OnUndelivered runs. So it does if the receiver is destroyed after the message was
// sent. If the handler fails in another way it is tried again, as with Handles, and the
// message is parked at the sender after 10 tries; those behind it wait for the tries and pass it
// then. While the receiver cannot be loaded or is overloaded, its messages wait, for as long
// as it takes.
//
// To answer, the handler sends a message to Sender. A message of more than 64 KiB fails the
// turn with too_large, one too many with overloaded, see Options.MaxMessages.
func (c *Context[S]) Send(to Ref, message any) MessageID {
	return MessageID(c.turn.Messages().Send(to.host(), message))
}

// Sender returns the actor that has sent the message which the turn handles. ok is false if
// the turn handles none of another actor.
func (c *Context[S]) Sender() (from Ref, ok bool) {
	r, ok := c.turn.Messages().Sender()
	if !ok {
		return Ref{}, false
	}
	return refOf(r), true
}

// Undelivered is a message to another actor that had no effect and will have none: the
// parameter of OnUndelivered.
type Undelivered struct {
	ID   MessageID
	To   Ref
	Type string // of the message, as it is stored
	Err  *Error // of the receiver's handler; the code is destroyed if the receiver was destroyed

	data json.RawMessage
}

// As decodes the message into the value that into points to. It reports false if the message
// is of another type, or does not fit.
func (u Undelivered) As(into any) bool {
	t := reflect.TypeOf(into)
	return t != nil && t.Kind() == reflect.Pointer && definition.WireName(t.Elem().Name()) == u.Type && decodes(u.data, into)
}
