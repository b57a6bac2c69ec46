package runtime

import (
	"bytes"
	"container/list"
	"slices"
	"sync"

	"github.com/troupe-dev/troupe/backend/internal/rope"
	"github.com/troupe-dev/troupe/backend/store"
)

// tableCache keeps what turns have read of tables, of all actors of a node: the pages that
// were used last, up to a limit.
type tableCache struct {
	limit int64

	mu     sync.Mutex // guards the fields below, the pages and their indexes
	bytes  int64
	recent list.List // of *page, the one that was used last first
}

// page is what the store has in a range of keys of a table, edits that are in the overlay
// aside. Only the goroutine of its instance uses the items.
type page struct {
	index  *pageIndex
	use    *list.Element // in recent; nil: it was evicted
	lo, hi []byte        // lo <= key < hi; nil is open
	items  []store.Item
	bytes  int64
}

// pageIndex has the pages of one table in memory, in the order of their keys. None overlap,
// and none is a range without keys.
type pageIndex struct {
	cache  *tableCache
	pages  *rope.Rope[*page]
	closed bool // the instance was discarded
}

const (
	pageItems    = 256 // beyond, a page that has grown is cut in half
	pageBytes    = 256 << 10
	pageOverhead = 256 // bytes of an empty page in memory, about
	itemOverhead = 64
	pagesPerPart = 64
)

func newPageIndex(c *tableCache) *pageIndex {
	return &pageIndex{cache: c, pages: rope.New[*page](pagesPerPart, nil)}
}

// afterKey returns the first key after another one.
func afterKey(key []byte) []byte { return append(slices.Clip(key), 0) }

func itemBytes(item store.Item) int64 { return int64(len(item.Key)+len(item.Value)) + itemOverhead }

// search returns the number of pages that begin before a key, and with it if including.
func (x *pageIndex) searchLocked(key []byte, including bool) int {
	i, _ := x.pages.Search(func(p **page) int {
		if c := bytes.Compare((*p).lo, key); c != 0 || !including {
			return c
		}
		return -1
	})
	return i
}

// find returns the page that has the start of a range, in its direction; nil if none has.
func (x *pageIndex) find(r store.ItemRange) *page {
	c := x.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	i := x.pages.Len()
	if !r.Backward {
		i = x.searchLocked(r.From, true)
	} else if r.To != nil {
		i = x.searchLocked(r.To, false)
	}
	if i == 0 {
		return nil
	}
	p := *x.pages.At(i - 1)
	if p.hi != nil {
		if !r.Backward && bytes.Compare(r.From, p.hi) >= 0 || r.Backward && (r.To == nil || bytes.Compare(r.To, p.hi) > 0) {
			return nil
		}
	}
	c.recent.MoveToFront(p.use)
	return p
}

// add adds what was read of a range: all of its items, or its first ones if more. It keeps the
// slice. The page takes the place of those within it; what other pages also have is cut off.
func (x *pageIndex) add(r store.ItemRange, items []store.Item, more bool) *page {
	p := &page{index: x, lo: r.From, hi: r.To}
	if more {
		last := items[len(items)-1].Key
		if r.Backward {
			p.lo = last
		} else {
			p.hi = afterKey(last)
		}
	}
	p.items = items
	if r.Backward {
		slices.Reverse(p.items)
	}
	c := x.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if x.closed {
		return p
	}
	// No page has the start of the range, so that something is left of p after each cut.
	from := x.searchLocked(p.lo, false)
	if from > 0 {
		if before := *x.pages.At(from - 1); bytes.Compare(before.hi, p.lo) > 0 {
			p.cut(before.hi, p.hi)
		}
	}
	to := x.pages.Len()
	if p.hi != nil {
		to = x.searchLocked(p.hi, false)
	}
	for ; to > from; to-- {
		within := *x.pages.At(to - 1)
		if p.hi != nil && (within.hi == nil || bytes.Compare(within.hi, p.hi) > 0) {
			p.cut(p.lo, within.lo)
			continue
		}
		c.dropLocked(within, to-1)
	}
	x.pages.Replace(from, 0, p)
	p.use = c.recent.PushFront(p)
	c.resizeLocked(p, pageOverhead)
	for i := range p.items {
		c.resizeLocked(p, itemBytes(p.items[i]))
	}
	for c.bytes > c.limit && c.recent.Len() > 1 {
		c.evictLocked(c.recent.Back().Value.(*page))
	}
	return p
}

// cut leaves a page the keys from lo to hi.
func (p *page) cut(lo, hi []byte) {
	p.lo, p.hi = lo, hi
	p.items = p.within(lo, hi)
}

// within returns the items from lo to hi.
func (p *page) within(lo, hi []byte) []store.Item {
	from, to := 0, len(p.items)
	if lo != nil {
		from, _ = p.search(lo)
	}
	if hi != nil {
		to, _ = p.search(hi)
	}
	return p.items[from:max(from, to)]
}

func (p *page) search(key []byte) (int, bool) {
	return slices.BinarySearchFunc(p.items, key, func(item store.Item, key []byte) int { return bytes.Compare(item.Key, key) })
}

// set brings an edit that leaves the overlay into the page that covers its key, if there is
// one. A nil Value deletes the item.
func (x *pageIndex) set(item store.Item) {
	c := x.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	i := x.searchLocked(item.Key, true)
	if i == 0 {
		return
	}
	p := *x.pages.At(i - 1)
	if p.hi != nil && bytes.Compare(item.Key, p.hi) >= 0 {
		return
	}
	at, found := p.search(item.Key)
	if found {
		c.resizeLocked(p, -itemBytes(p.items[at]))
	}
	switch {
	case item.Value == nil && found:
		p.items = slices.Delete(p.items, at, at+1)
	case item.Value == nil:
	case found:
		p.items[at] = item
	default:
		p.items = slices.Insert(p.items, at, item)
	}
	if item.Value != nil {
		c.resizeLocked(p, itemBytes(item))
	}
	if len(p.items) > 1 && (len(p.items) > pageItems || p.bytes > 2*pageBytes) {
		p.halveLocked(at)
	}
}

// halveLocked leaves a page the half that has item i.
func (p *page) halveLocked(i int) {
	middle := len(p.items) / 2
	key, gone := p.items[middle].Key, p.items[middle:]
	lo, hi := p.lo, key
	if i >= middle {
		gone = p.items[:middle]
		lo, hi = key, p.hi
	}
	for i := range gone {
		p.index.cache.resizeLocked(p, -itemBytes(gone[i]))
	}
	p.cut(lo, hi)
	p.items = slices.Clone(p.items) // the others leave memory
}

// resizeLocked counts bytes of a page.
func (c *tableCache) resizeLocked(p *page, change int64) {
	p.bytes += change
	c.bytes += change
}

func (c *tableCache) evictLocked(p *page) {
	i := p.index.searchLocked(p.lo, true)
	c.dropLocked(p, i-1)
}

// dropLocked removes a page, which has a place in its index.
func (c *tableCache) dropLocked(p *page, at int) {
	p.index.pages.Replace(at, 1)
	c.recent.Remove(p.use)
	c.bytes -= p.bytes
}

// drop removes all pages, and keeps none from now on.
func (x *pageIndex) drop() {
	c := x.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	x.closed = true
	for i := x.pages.Len() - 1; i >= 0; i-- {
		c.dropLocked(*x.pages.At(i), i)
	}
}
