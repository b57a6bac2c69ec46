package record

import "github.com/troupe-dev/troupe/backend/store"

// A Pager makes a page of the items that are added to it, in the order of their range.
type Pager struct {
	Page  store.ItemPage
	limit int
	bytes int
}

// NewPager returns a Pager for a range.
func NewPager(q store.ItemRange, rev uint64) *Pager {
	p := &Pager{limit: q.Limit, bytes: q.MaxBytes}
	p.Page.Rev = rev
	return p
}

// Add adds an item. It reports false if the page is full, without the item.
func (p *Pager) Add(item store.Item) bool {
	p.bytes -= len(item.Key) + len(item.Value)
	if n := len(p.Page.Items); n >= p.limit || n > 0 && p.bytes < 0 {
		p.Page.More = true
		return false
	}
	if p.Page.Items == nil {
		p.Page.Items = make([]store.Item, 0, min(p.limit, 64))
	}
	p.Page.Items = append(p.Page.Items, item)
	return true
}
