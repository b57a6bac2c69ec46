package runtime

import "sync"

// unknownFields are the stored fields that were found without a field in the state's type.
// All its methods may be called at the same time.
type unknownFields struct{ warned sync.Map } // by unknownField

type unknownField struct{ definition, name string }

// warn logs that an actor's state has an unknown field, once for a definition and a name.
func (u *unknownFields) warn(a *Actor, name string) {
	if _, known := u.warned.LoadOrStore(unknownField{a.ref().Name, name}, true); !known {
		a.logger().Warn("stored states have a field that their type does not have; it is kept. Declare it again, or say by actor.Version what becomes of it: actor.Rename, Migrate or Drop",
			"field", name)
	}
}

// newerVersions are the versions of definitions that were found in the store and that this
// binary does not have. All its methods may be called at the same time.
type newerVersions struct{ warned sync.Map } // by newerVersion

type newerVersion struct {
	definition string
	version    int
}

// warn logs that a newer version has stored an actor, once for a definition and a version.
func (n *newerVersions) warn(a *Actor, stored, own int) {
	if _, known := n.warned.LoadOrStore(newerVersion{a.ref().Name, stored}, true); !known {
		a.logger().Warn("actors were stored by a newer version of their definition: they are left alone and unavailable until a binary with that version runs; other actors work",
			"stored", stored, "version", own)
	}
}
