package actor

import "github.com/troupe-dev/troupe/backend/host"

// Key is the second half of an actor's address: chatRoom ["general"]. It is
// empty if it was written without one, as for an actor of which there is one: lobby [].
type Key []string

// String returns the canonical form of the key, a JSON array.
func (k Key) String() string { return host.Key(k).String() }
