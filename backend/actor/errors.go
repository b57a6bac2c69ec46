package actor

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Error is a failure that reaches the client as it is: Code is for programs
// (snake_case, stable), Message for people, Metadata anything more, or nil. Any
// other error that an action returns reaches the client as internal_error
// without a detail, and is logged whole on the server.
type Error struct {
	Code     string `json:"code"`
	Message  string `json:"message"`
	Metadata any    `json:"metadata,omitempty"` // encoded as JSON when the turn ends
}

// Errorf returns an *Error for the client; format and args make its message.
func Errorf(code, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// MetadataJSON returns the metadata as JSON, nil if there is none or it cannot
// be encoded.
func (e *Error) MetadataJSON() json.RawMessage {
	if e.Metadata == nil {
		return nil
	}
	b, err := json.Marshal(e.Metadata)
	if err != nil {
		return nil
	}
	return b
}

// authorError is an error of the runtime as an actor's code may see it: a fault
// becomes an *Error.
func authorError(err error) error {
	var f *host.Fault
	if !errors.As(err, &f) {
		return err
	}
	e := &Error{Code: f.Code, Message: f.Message}
	if f.Metadata != nil {
		e.Metadata = f.Metadata
	}
	return e
}

// known returns what an error says to clients: that of an *Error, or of a fault of
// the runtime. ok is false for all other errors. metadata is not encoded yet, unless
// it is a json.RawMessage; it is nil if there is none.
func known(err error) (code, message string, metadata any, ok bool) {
	var e *Error
	if errors.As(err, &e) && e != nil {
		return e.Code, e.Message, e.Metadata, true
	}
	var f *host.Fault
	if !errors.As(err, &f) || f == nil {
		return "", "", nil, false
	}
	if f.Metadata != nil {
		metadata = f.Metadata
	}
	return f.Code, f.Message, metadata, true
}

// overLimit is an overloaded.
func overLimit(message string, limit any, option string) *host.Fault {
	return host.Limit{Limit: limit, Option: option}.Fault(wire.CodeOverloaded, message)
}

// overTime is a timeout.
func overTime(what string, limit time.Duration, option string) *host.Fault {
	return host.Limit{Limit: limit.Milliseconds(), Option: option}.Fault(wire.CodeTimeout, fmt.Sprintf("%s took longer than %s", what, limit))
}

// tooLarge is a too_large: what has size bytes.
func tooLarge(what string, size, limit int) *host.Fault {
	return host.Limit{Size: size, Limit: limit, Option: "actor.Options.MaxMessage"}.
		Fault(wire.CodeTooLarge, fmt.Sprintf("%s has %d bytes, the limit is %d", what, size, limit))
}
