package host

import (
	"encoding/json"
	"fmt"

	"github.com/troupe-dev/troupe/backend/wire"
)

// Fault is a failure that a client may see. Every error of a request is a *Fault, or that of
// the request's context. Do not change a Fault after you have passed it on.
type Fault struct {
	Code     wire.Code       // for programs: one of package wire, or the actor's own
	Message  string          // for people
	Metadata json.RawMessage // anything more, as JSON; nil if there is nothing
	Final    bool            // as the reason of a close: opening again is of no use, whatever the code

	// Highest is, as the reason of a close with the code destroyed, the highest call id of the
	// connection's producer that was executed; nil if that is not known.
	Highest *uint64
}

// Faultf returns a fault without metadata; format and args make its message.
func Faultf(code wire.Code, format string, args ...any) *Fault {
	return &Fault{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Error implements error.
func (f *Fault) Error() string { return f.Code + ": " + f.Message }

// Limit is the metadata of a fault about a limit.
type Limit struct {
	Size         int    `json:"size,omitempty"`         // the size that exceeds it, in bytes; 0 for other limits
	Limit        any    `json:"limit"`                  // a number, in the unit of the option
	Option       string `json:"option"`                 // the option that sets it
	RetryAfterMs int64  `json:"retryAfterMs,omitempty"` // when to try again, in milliseconds; 0 if unknown
}

// JSON returns the limit as metadata.
func (l Limit) JSON() json.RawMessage {
	b, err := json.Marshal(l)
	if err != nil {
		panic("host: encode a limit: " + err.Error()) // numbers and strings always encode
	}
	return b
}

// Fault returns a fault with the limit as its metadata.
func (l Limit) Fault(code wire.Code, message string) *Fault {
	return &Fault{Code: code, Message: message, Metadata: l.JSON()}
}
