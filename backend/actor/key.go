package actor

import "github.com/troupe-dev/troupe/backend/host"

// Key is the second half of an actor's address: chatRoom ["general"]. A client may write
// any number of components, none for an actor of which there is one: lobby []. So compare
// whole keys, with slices.Equal, or check the length before you index.
type Key []string

// String returns the canonical form of the key, a JSON array.
func (k Key) String() string { return host.Key(k).String() }
