package rooms

import "github.com/troupe-dev/troupe/backend/actor"

// forgetOldest removes the first items until at most n remain, with at most maxBytes of
// JSON; the last one always stays.
func forgetOldest[T any](items *actor.List[T], n, maxBytes int) {
	for items.Len() > n || items.Len() > 1 && items.Size() > maxBytes {
		items.Delete(0, 1)
	}
}
