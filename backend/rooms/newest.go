package rooms

import "slices"

// newest returns the last items: at most n, and no more than about maxBytes of
// them as size counts, but at least one.
func newest[T any](items []T, n, maxBytes int, size func(T) int) []T {
	from := len(items)
	for bytes := 0; from > 0 && len(items)-from < n; from-- {
		bytes += size(items[from-1])
		if bytes > maxBytes && from < len(items) {
			break
		}
	}
	return slices.Delete(items, 0, from)
}
