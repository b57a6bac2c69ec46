package pages

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/troupe-dev/troupe/backend/store"
)

// Folded is what a Fold has done.
type Folded struct {
	Root     Root
	Written  []Name // new pages: orphans if the root does not get into the head
	Replaced []Name // pages that are not in the new tree, to be deleted when the root is in the head. Written may have some of them
}

// Fold applies edits to the table of a root: items to set, and with a nil Value to delete,
// in the order of their keys, each key once. It writes the leaves before the directories
// that name them. Names of new pages come from name. Fold holds about 2 MiB of pages at a
// time. If it fails, Folded has the old root, and in Written the pages that may be there.
//
// To apply edits a second time, or in parts, gives the same items.
func Fold(ctx context.Context, pages Pages, root Root, edits []store.Item, name func() Name) (Folded, error) {
	if len(edits) == 0 {
		return Folded{Root: root}, nil
	}
	f := &folder{ctx: ctx, pages: pages, name: name, directories: map[Name][]Ref{}}
	level, refs, err := f.root(root, edits)
	if err == nil {
		err = f.flush()
	}
	if err != nil {
		return Folded{Root: root, Written: f.written}, fmt.Errorf("fold items into pages: %w", err)
	}
	if len(refs) == 0 {
		return Folded{Root{}, f.written, f.replaced}, nil
	}
	refs[0].Key = nil
	for i := range refs {
		refs[i].Key = append([]byte(nil), refs[i].Key...) // do not keep the page in memory
	}
	return Folded{Root{level, refs}, f.written, f.replaced}, nil
}

// folder is a Fold that is under way.
type folder struct {
	ctx      context.Context
	pages    Pages
	name     func() Name
	queue    []Page // to be written
	queued   int    // bytes
	written  []Name
	replaced []Name

	directories map[Name][]Ref // that were written
}

// root returns what the new root names, and its level.
func (f *folder) root(root Root, edits []store.Item) (int, []Ref, error) {
	level, refs := root.Level, root.Refs
	var err error
	if len(refs) == 0 {
		level = 0
		refs, err = build(f, 0, nil, apply(nil, edits), true)
	} else {
		refs, err = f.level(level, refs, edits, true)
	}
	for err == nil && !fits(refs, 1) {
		level++
		refs, err = build(f, level, nil, refs, true)
	}
	for err == nil && level > 0 && len(refs) == 1 {
		under := f.directories[refs[0].Page]
		if under == nil {
			if under, err = f.read(level, refs[0].Page); err != nil {
				break
			}
		}
		if !fits(under, 2) { // half of it, so that the level does not come and go with each Fold
			break
		}
		f.replaced = append(f.replaced, refs[0].Page)
		level, refs = level-1, under
	}
	return level, refs, err
}

// read reads a directory.
func (f *folder) read(level int, name Name) ([]Ref, error) {
	data, err := f.pages.Get(f.ctx, []Name{name})
	if err != nil {
		return nil, err
	}
	return decodeDirectory(name, level, data[0])
}

// level applies edits to pages of a level, which are side by side under one parent, and
// returns the pages in their place. Last says that they are the last ones of their level.
func (f *folder) level(level int, refs []Ref, edits []store.Item, last bool) ([]Ref, error) {
	if level == 0 {
		return merge(f, 0, refs, edits, last, f.leaf)
	}
	return merge(f, level, refs, edits, last, f.directory)
}

func (f *folder) leaf(_ int, ref Ref, page []byte, edits []store.Item, _ bool) ([]item, error) {
	items, err := decodeLeaf(ref.Page, page)
	if err != nil {
		return nil, err
	}
	return apply(items, edits), nil
}

func (f *folder) directory(level int, ref Ref, page []byte, edits []store.Item, last bool) ([]Ref, error) {
	refs, err := decodeDirectory(ref.Page, level, page)
	if err != nil {
		return nil, err
	}
	// A new key below that of the first page, which others before it have left, goes there.
	refs[0].Key = ref.Key
	if len(edits) == 0 {
		return refs, nil
	}
	return f.level(level-1, refs, edits, last)
}

// apply returns items with edits applied.
func apply(items []item, edits []store.Item) []item {
	out := make([]item, 0, len(items)+len(edits))
	for _, e := range edits {
		for len(items) > 0 {
			c := bytes.Compare(items[0].Key, e.Key)
			if c < 0 {
				out = append(out, items[0])
			}
			if c > 0 {
				break
			}
			items = items[1:]
		}
		if e.Value != nil {
			out = append(out, item(e))
		}
	}
	return append(out, items...)
}

// merge is level for pages whose entries are of one type. A page that gets small takes in
// the next one.
func merge[E entry](f *folder, level int, refs []Ref, edits []store.Item, last bool,
	read func(level int, ref Ref, page []byte, edits []store.Item, last bool) ([]E, error),
) (out []Ref, err error) {
	parts := split(refs, edits)
	l := loader{folder: f}
	for i, ref := range refs {
		if len(parts[i]) > 0 {
			l.names = append(l.names, ref.Page)
		}
	}
	var pending []E // of pages that are replaced
	var key []byte  // of the first of them
	for i, ref := range refs {
		if len(parts[i]) == 0 && len(pending) == 0 {
			out = append(out, ref)
			continue
		}
		page, err := l.page(ref.Page)
		if err != nil {
			return nil, err
		}
		isLast := last && i == len(refs)-1
		entries, err := read(level, ref, page, parts[i], isLast)
		if err != nil {
			return nil, err
		}
		f.replaced = append(f.replaced, ref.Page)
		if len(pending) == 0 {
			key = ref.Key
		}
		pending = append(pending, entries...)
		if isSmall(level, pending) && i < len(refs)-1 {
			continue
		}
		built, err := build(f, level, key, pending, isLast)
		if err != nil {
			return nil, err
		}
		out, pending = append(out, built...), nil
	}
	return out, nil
}

// split returns the edits of each page.
func split(refs []Ref, edits []store.Item) [][]store.Item {
	parts := make([][]store.Item, len(refs))
	for i := range refs {
		n := len(edits)
		if i < len(refs)-1 {
			n, _ = slices.BinarySearchFunc(edits, refs[i+1].Key, func(e store.Item, key []byte) int { return bytes.Compare(e.Key, key) })
		}
		parts[i], edits = edits[:n], edits[n:]
	}
	return parts
}

// isSmall reports whether entries of a page take less than a quarter of it.
func isSmall[E entry](level int, entries []E) bool {
	return sizeOf(entries) < limit.pageBytes/4 && (level == 0 || len(entries) < limit.refs/4)
}

func sizeOf[E entry](entries []E) (size int) {
	for _, e := range entries {
		size += e.size()
	}
	return size
}

func divUp(a, b int) int { return (a + b - 1) / b }

// build writes pages of a level with entries, of which the first has the lower bound key,
// and returns what names them. The pages are about the same size, so that each has room
// for more; the last ones of a level are full, because a table often grows at its end.
func build[E entry](f *folder, level int, key []byte, entries []E, last bool) (refs []Ref, err error) {
	least, count, room := 1, max(len(entries), 1), limit.pageBytes-headerSize
	if level > 0 { // with two refs in each directory page, a level has half as many as that below
		least, count = 2, limit.refs
	}
	target := room
	if total := sizeOf(entries); !last && total > 0 {
		n := max(divUp(total, room), divUp(len(entries), count))
		target = divUp(total, n)
	}
	for len(entries) > 0 {
		size, i := 0, 0
		for i < min(len(entries), count) && (i < least || size < target && size+entries[i].size() <= room) {
			size += entries[i].size()
			i++
		}
		name := f.name()
		if err := f.put(Page{name, encode(name, level, entries[:i], size)}); err != nil {
			return nil, err
		}
		if part, ok := any(entries[:i]).([]Ref); ok {
			f.directories[name] = part
		}
		refs = append(refs, Ref{bytes.Clone(key), name})
		if i < len(entries) {
			key = entries[i].lower()
			if level == 0 {
				key = separator(entries[i-1].lower(), key)
			}
		}
		entries = entries[i:]
	}
	return refs, nil
}

// separator returns the shortest beginning of b that is above a.
func separator(a, b []byte) []byte {
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	return b[:i+1]
}

// put queues a page to be written.
func (f *folder) put(p Page) error {
	f.queue, f.queued = append(f.queue, p), f.queued+len(p.Data)
	f.written = append(f.written, p.Name)
	if len(f.queue) >= batchPages || f.queued >= batchBytes {
		return f.flush()
	}
	return nil
}

func (f *folder) flush() error {
	if len(f.queue) == 0 {
		return nil
	}
	err := f.pages.Put(f.ctx, f.queue)
	f.queue, f.queued = nil, 0
	return err
}

// loader reads the pages of a level that have edits, several at once.
type loader struct {
	*folder
	names []Name // those that are still to be read
	got   map[Name][]byte
}

func (l *loader) page(name Name) ([]byte, error) {
	if page, ok := l.got[name]; ok {
		delete(l.got, name)
		return page, nil
	}
	names := []Name{name}
	if len(l.names) > 0 && l.names[0] == name {
		n := min(len(l.names), batchPages)
		names, l.names = l.names[:n], l.names[n:]
	}
	pages, err := l.pages.Get(l.ctx, names)
	if err != nil {
		return nil, err
	}
	if l.got == nil {
		l.got = map[Name][]byte{}
	}
	for i, name := range names[1:] {
		l.got[name] = pages[i+1]
	}
	return pages[0], nil
}
