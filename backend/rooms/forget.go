package rooms

import "github.com/troupe-dev/troupe/backend/actor"

// forgetOldest removes the first items: at most n stay, and no more than maxBytes
// of them as JSON, but at least one.
func forgetOldest[T any](items *actor.List[T], n, maxBytes int) {
	for items.Len() > n || items.Len() > 1 && items.Size() > maxBytes {
		items.Delete(0, 1)
	}
}
