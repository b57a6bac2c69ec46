package runtime

import (
	"errors"
	"fmt"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/wire"
)

// known returns the code, message and metadata that clients get for an *actor.Error or a
// fault of the runtime. ok is false for all other errors. metadata is nil, a
// json.RawMessage, or a value to encode.
func known(d *definition.Definition, err error) (code, message string, metadata any, ok bool) {
	if code, message, metadata, ok = d.ClientError(err); ok {
		return code, message, metadata, true
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

// overloadFault returns a fault with code overloaded.
func overloadFault(message string, limit any, option string) *host.Fault {
	return host.Limit{Limit: limit, Option: option}.Fault(wire.CodeOverloaded, message)
}

// timeLimitFault returns a fault with code timeout.
func timeLimitFault(what string, limit time.Duration, option string) *host.Fault {
	return host.Limit{Limit: limit.Milliseconds(), Option: option}.Fault(wire.CodeTimeout, fmt.Sprintf("%s took longer than %s", what, limit))
}

// tooLargeFault returns a fault with code too_large: what has size bytes.
func tooLargeFault(what string, size, limit int) *host.Fault {
	return host.Limit{Size: size, Limit: limit, Option: "actor.Options.MaxMessage"}.
		Fault(wire.CodeTooLarge, fmt.Sprintf("%s has %d bytes, the limit is %d", what, size, limit))
}
