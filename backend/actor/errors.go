package actor

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/troupe-dev/troupe/backend/wire"
)

// Error is a failure that reaches the client as it is: Code is for programs
// (snake_case, stable), Message for people, Metadata anything more, or nil. Any
// other error that an action returns reaches the client as internal_error
// without a detail, and is logged whole on the server.
type Error struct {
	Code     string `json:"code"`
	Message  string `json:"message"`
	Metadata any    `json:"metadata,omitempty"`
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

func newError(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// limitMetadata says which limit was met, by what if it is a size, and by which
// option it is set.
type limitMetadata struct {
	Size   int    `json:"size,omitempty"` // bytes
	Limit  any    `json:"limit"`
	Option string `json:"option"`
}

// overLimit is an overloaded.
func overLimit(message string, limit any, option string) *Error {
	return &Error{Code: wire.CodeOverloaded, Message: message, Metadata: limitMetadata{Limit: limit, Option: option}}
}

// overTime is a timeout.
func overTime(what string, limit time.Duration, option string) *Error {
	e := newError(wire.CodeTimeout, "%s took longer than %s", what, limit)
	e.Metadata = limitMetadata{Limit: limit.Milliseconds(), Option: option}
	return e
}
