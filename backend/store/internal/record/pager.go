package record

import (
	"bytes"

	"github.com/troupe-dev/troupe/backend/internal/overlay"
	"github.com/troupe-dev/troupe/backend/store"
)

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

// A Merger makes a page of the items that are stored, which are added to it in the order of
// their range, with the Record's edits over them.
type Merger struct {
	Pager
	Hidden   bool // nothing is stored, or it is of an earlier life or a dropped table
	edits    []overlay.Item
	backward bool
	full     bool
}

// Merge returns a Merger for a range. It does not depend on the Record any more.
func (r *Record) Merge(q store.ItemRange) *Merger {
	table, known := r.Tables[q.Table]
	m := &Merger{
		Pager: *NewPager(q, r.Rev), backward: q.Backward,
		Hidden: r.Wiped != 0 || r.Dropped[q.Table] != 0 || known && table.Field == "",
	}
	// More edits than these cannot be on the page.
	live, size := 0, 0
	r.Items.Range(q, func(e overlay.Item) bool {
		m.edits = append(m.edits, e)
		if e.Value != nil {
			live, size = live+1, size+len(e.Key)+len(e.Value)
		}
		return live <= q.Limit && (live < 2 || size <= q.MaxBytes)
	})
	return m
}

// AddStored adds a stored item, after the edits that come before it. An edit with its key
// takes its place. It reports false if the page is full.
func (m *Merger) AddStored(item store.Item) bool {
	replaced := false
	for len(m.edits) > 0 {
		c := bytes.Compare(m.edits[0].Key, item.Key)
		if m.backward {
			c = -c
		}
		if c > 0 {
			break
		}
		if !m.addEdit() {
			return false
		}
		replaced = replaced || c == 0
	}
	m.full = !replaced && !m.Add(item)
	return !m.full
}

// addEdit adds the next edit.
func (m *Merger) addEdit() bool {
	e := m.edits[0]
	m.edits = m.edits[1:]
	m.full = e.Value != nil && !m.Add(e.Item)
	return !m.full
}

// Finish adds the edits behind the last stored item, and returns the page.
func (m *Merger) Finish() store.ItemPage {
	for len(m.edits) > 0 && !m.full && m.addEdit() {
	}
	return m.Page
}
