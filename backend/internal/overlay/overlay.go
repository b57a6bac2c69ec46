// Package overlay has edits of the items of tables, in the order of their keys, to lay over
// what is stored. The runtime and stores share it.
package overlay

import (
	"bytes"
	"maps"
	"slices"

	"github.com/troupe-dev/troupe/backend/internal/rope"
	"github.com/troupe-dev/troupe/backend/store"
)

// Items are items of an actor's tables, or edits of items, in the order of their keys.
// The zero Items has none. It is not safe for use by several goroutines, but several may
// read it.
type Items struct {
	tables map[int]*rope.Rope[Item]
	bytes  int // of keys and values
	n      int
}

// Item is an item, or an edit that deletes one (nil Value).
type Item struct {
	store.Item
	Rev uint64 // of the commit that set or deleted it
}

const partItems = 256

// Len returns the number of items.
func (s *Items) Len() int { return s.n }

// Bytes returns the size of all keys and values.
func (s *Items) Bytes() int { return s.bytes }

// Set sets an item. It shares the key and the value.
func (s *Items) Set(table int, item Item) {
	if s.tables == nil {
		s.tables = map[int]*rope.Rope[Item]{}
	}
	r := s.tables[table]
	if r == nil {
		r = rope.New[Item](partItems, nil)
		s.tables[table] = r
	}
	i, found := search(r, item.Key)
	if found {
		old := r.At(i)
		s.bytes += len(item.Value) - len(old.Value)
		*old = item
		return
	}
	r.Replace(i, 0, item)
	s.n++
	s.bytes += len(item.Key) + len(item.Value)
}

// Delete removes an item, if it is there.
func (s *Items) Delete(table int, key []byte) {
	r := s.tables[table]
	if r == nil {
		return
	}
	i, found := search(r, key)
	if !found {
		return
	}
	s.n--
	s.bytes -= len(key) + len(r.At(i).Value)
	r.Replace(i, 1)
	if r.Len() == 0 {
		delete(s.tables, table)
	}
}

// Get returns an item.
func (s *Items) Get(table int, key []byte) (Item, bool) {
	if r := s.tables[table]; r != nil {
		if i, found := search(r, key); found {
			return *r.At(i), true
		}
	}
	return Item{}, false
}

// Drop removes a table's items.
func (s *Items) Drop(table int) {
	r := s.tables[table]
	if r == nil {
		return
	}
	for _, item := range r.From(0) {
		s.bytes -= len(item.Key) + len(item.Value)
	}
	s.n -= r.Len()
	delete(s.tables, table)
}

// Tables returns the tables that have items, in no order.
func (s *Items) Tables() []int { return slices.Collect(maps.Keys(s.tables)) }

// All calls f with the items of all tables, until f returns false.
func (s *Items) All(f func(table int, item Item) bool) {
	for table, r := range maps.All(s.tables) {
		for _, item := range r.From(0) {
			if !f(table, *item) {
				return
			}
		}
	}
}

// Range calls f with the items of a range, in its direction, until f returns false.
func (s *Items) Range(q store.ItemRange, f func(Item) bool) {
	r := s.tables[q.Table]
	if r == nil {
		return
	}
	from, to := 0, r.Len()
	if q.From != nil {
		from, _ = search(r, q.From)
	}
	if q.To != nil {
		to, _ = search(r, q.To)
	}
	if q.Backward {
		for i := to - 1; i >= from; i-- {
			if !f(*r.At(i)) {
				return
			}
		}
		return
	}
	for i, item := range r.From(from) {
		if i >= to || !f(*item) {
			return
		}
	}
}

func search(r *rope.Rope[Item], key []byte) (int, bool) {
	return r.Search(func(item *Item) int { return bytes.Compare(item.Key, key) })
}

// Until removes the items of commits up to a revision.
func (s *Items) Until(rev uint64) {
	var keep Items
	s.All(func(table int, item Item) bool {
		if item.Rev > rev {
			keep.Set(table, item)
		}
		return true
	})
	*s = keep
}
