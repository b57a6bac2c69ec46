package runtime

import "sync"

// unknownFields are the stored fields that were found without a field in the state's type.
// All its methods may be called at the same time.
type unknownFields struct{ warned sync.Map } // by unknownField

type unknownField struct{ definition, name string }

// warn logs that an actor's state has an unknown field, once for a definition and a name.
func (u *unknownFields) warn(a *Actor, name string) {
	if _, known := u.warned.LoadOrStore(unknownField{a.name, name}, true); !known {
		a.logger().Warn("stored states have a field that their type does not have; it is kept", "field", name)
	}
}
