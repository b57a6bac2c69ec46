package actor

import (
	"errors"
	"fmt"

	"github.com/troupe-dev/troupe/backend/host"
)

// Error is a failure that reaches the client unchanged: Code is for programs (snake_case,
// stable), Message for people, Metadata anything more, or nil. Any other error that an
// action returns reaches the client as internal_error without details, and is logged on
// the server.
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

// authorError converts an error of the runtime for an author: a fault becomes an *Error.
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
