package pages

import (
	"bytes"
	"context"
	"slices"

	"github.com/troupe-dev/troupe/backend/store"
)

// maxAhead is how many leaves Range reads at once, at most.
const maxAhead = 8

// Range calls f with the items of a range, in its direction, until f returns false. It
// ignores the range's Table, Limit and MaxBytes. The items share the bytes of their page.
// With the zero ItemRange it reads the whole table.
func Range(ctx context.Context, pages Pages, root Root, q store.ItemRange, f func(store.Item) bool) error {
	r := &ranger{ctx: ctx, pages: pages, q: q, f: f, ahead: 1}
	_, err := r.refs(root.Level, root.Refs)
	return err
}

type ranger struct {
	ctx   context.Context
	pages Pages
	q     store.ItemRange
	f     func(store.Item) bool
	ahead int // how many leaves to read at once: a short range does not read more than it needs
}

// refs reads pages of a level. It reports whether to read more.
func (r *ranger) refs(level int, refs []Ref) (bool, error) {
	refs = inRange(refs, r.q)
	if r.q.Backward {
		refs = slices.Clone(refs)
		slices.Reverse(refs)
	}
	for len(refs) > 0 {
		n := 1
		if level == 0 {
			n = min(r.ahead, len(refs))
			r.ahead = min(2*r.ahead, maxAhead)
		}
		data, err := get(r.ctx, r.pages, refs[:n])
		if err != nil {
			return false, err
		}
		for i, page := range data {
			more, err := r.page(level, refs[i].Page, page)
			if !more || err != nil {
				return false, err
			}
		}
		refs = refs[n:]
	}
	return true, nil
}

func (r *ranger) page(level int, name Name, page []byte) (bool, error) {
	if level > 0 {
		refs, err := decodeDirectory(name, level, page)
		if err != nil {
			return false, err
		}
		return r.refs(level-1, refs)
	}
	items, err := decodeLeaf(name, page)
	if err != nil {
		return false, err
	}
	if r.q.From != nil {
		items = items[search(items, r.q.From):]
	}
	if r.q.To != nil {
		items = items[:search(items, r.q.To)]
	}
	if r.q.Backward {
		slices.Reverse(items)
	}
	for _, i := range items {
		if !r.f(store.Item(i)) {
			return false, nil
		}
	}
	return true, nil
}

// inRange returns the pages that can have keys of a range.
func inRange(refs []Ref, q store.ItemRange) []Ref {
	if len(refs) == 0 {
		return nil
	}
	from, to := 0, len(refs)
	if q.From != nil {
		// The first page above From, after the one that has it.
		i, found := slices.BinarySearchFunc(refs, q.From, func(r Ref, key []byte) int { return bytes.Compare(r.Key, key) })
		if from = i; !found {
			from = max(i-1, 0)
		}
	}
	if q.To != nil {
		to, _ = slices.BinarySearchFunc(refs, q.To, func(r Ref, key []byte) int { return bytes.Compare(r.Key, key) })
	}
	return refs[from:max(from, to)]
}

func search(items []item, key []byte) int {
	i, _ := slices.BinarySearchFunc(items, key, func(i item, key []byte) int { return bytes.Compare(i.Key, key) })
	return i
}

// Names calls f with the names of the pages of a tree, until f returns false. It does not
// read the leaves.
func Names(ctx context.Context, pages Pages, root Root, f func(Name) bool) error {
	_, err := names(ctx, pages, root.Level, root.Refs, f)
	return err
}

func names(ctx context.Context, pages Pages, level int, refs []Ref, f func(Name) bool) (bool, error) {
	for _, r := range refs {
		if !f(r.Page) {
			return false, nil
		}
	}
	if level == 0 {
		return true, nil
	}
	for part := range slices.Chunk(refs, batchPages) {
		data, err := get(ctx, pages, part)
		if err != nil {
			return false, err
		}
		for i, page := range data {
			under, err := decodeDirectory(part[i].Page, level, page)
			if err != nil {
				return false, err
			}
			if more, err := names(ctx, pages, level-1, under, f); !more || err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

func get(ctx context.Context, pages Pages, refs []Ref) ([][]byte, error) {
	names := make([]Name, len(refs))
	for i, r := range refs {
		names[i] = r.Page
	}
	return pages.Get(ctx, names)
}

// Orphans returns the names of the actor's pages that the trees of its tables do not have.
// The roots must be those of the newest head, and no Fold may be under way.
func Orphans(ctx context.Context, pages Pages, roots []Root) ([]Name, error) {
	all, err := pages.List(ctx)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	live := make(map[Name]bool)
	for _, root := range roots {
		err := Names(ctx, pages, root, func(n Name) bool {
			live[n] = true
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(all, func(n Name) bool { return live[n] }), nil
}
