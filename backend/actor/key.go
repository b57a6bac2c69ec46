package actor

import "github.com/troupe-dev/troupe/backend/host"

// Key is the second half of an actor's address: chatRoom ["general"]. It has at least
// one component.
type Key []string

// String returns the canonical form of the key, a JSON array.
func (k Key) String() string { return host.Key(k).String() }
