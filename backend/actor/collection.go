package actor

import (
	"fmt"
	"iter"
	"reflect"
	"slices"
	"sync/atomic"

	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/internal/rope"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
)

// collectionField is a field that is a collection: *List or *Map.
type collectionField interface{ collection() definition.Collection }

// tableField is a field that is a *Table.
type tableField interface{ table() definition.Table }

// partItems is how many items a change moves at most.
const partItems = 256

// items holds the items of a List or a Map in order, each with the length of its JSON, so
// that the offset of a change in the text is known without writing the text. All copies
// of a List or Map share it.
type items[E any] struct {
	rope *rope.Rope[E]
	kind *itemKind[E]

	field   string      // of an actor; empty if it belongs to none
	open    atomic.Bool // a turn that may change it is running; an author's goroutine may ask
	misused func()      // called for a change from a goroutine of the author
	changes []change[E]
	version uint64 // counts the changes
}

// itemKind has the functions that differ between List and Map.
type itemKind[E any] struct {
	start, end byte
	key, item  reflect.Type
	copier     *definition.Copier // of item
	size       func(*E) int
	encode     func(dst []byte, e *E) ([]byte, error) // appends the JSON of an item, and measures it
	read       func(raw []byte) (all []E, exact bool, err error)
}

// change is one change: put items replaced cut. edit is the same change of the text.
type change[E any] struct {
	at, put int
	cut     []E
	edit    store.Edit
}

func newItems[E any](kind *itemKind[E]) *items[E] {
	return &items[E]{kind: kind, rope: rope.New(partItems, kind.size)}
}

func (c *items[E]) len() int {
	if c == nil {
		return 0
	}
	return c.rope.Len()
}

func (c *items[E]) Size() int { return c.rope.Weight() + max(c.rope.Len()-1, 0) }

// replace replaces cut items at index at with items whose JSON, joined by commas, is text.
func (c *items[E]) replace(at, cut int, put []E, text []byte) {
	if n := c.rope.Len(); at < 0 || cut < 0 || at > n-cut {
		panic(fmt.Sprintf("actor: items %d to %d of %d", at, at+cut, n))
	}
	if cut == 0 && len(put) == 0 {
		return
	}
	if c.field == "" {
		c.version++
		c.rope.Replace(at, cut, put...)
		return
	}
	if !c.open.Load() {
		if !runtime.InTurn() {
			c.misused()
			return
		}
		panic(fmt.Sprintf("actor: field %s was changed by a read-only action (it has a value receiver), by OnRestore or outside a turn", c.field))
	}
	c.version++
	ch := change[E]{at: at, put: len(put), edit: c.edit(at, cut, jsonshape.Fit(text))}
	for _, e := range c.rope.From(at) {
		if len(ch.cut) == cut {
			break
		}
		ch.cut = append(ch.cut, *e)
	}
	c.rope.Replace(at, cut, put...)
	c.changes = append(c.changes, ch)
}

// edit returns the change of the text when items are replaced. Each item is cut or put
// with one comma: the one behind it, or for the last item the one before it.
func (c *items[E]) edit(at, cut int, text []byte) store.Edit {
	e := store.Edit{At: c.rope.Before(at) + at, Cut: c.rope.Before(at+cut) - c.rope.Before(at) + cut}
	behind, before := at+cut < c.rope.Len(), at > 0
	switch {
	case behind && len(text) > 0:
		e.Put = append(text, ',')
	case behind:
	case before:
		e.At--
		if len(text) > 0 {
			e.Put = slices.Insert(text, 0, ',')
		}
	default: // all items
		e.Cut, e.Put = c.Size(), text
	}
	return e
}

func (c *items[E]) Keep(field string, misused func()) {
	c.field, c.misused = field, misused
	c.Done()
}

func (c *items[E]) Allow(changes bool) (before bool) {
	if before = c.open.Load(); before != changes {
		c.open.Store(changes)
	}
	return before
}

func (c *items[E]) Savepoint() int { return len(c.changes) }

func (c *items[E]) Rollback(savepoint int) {
	for len(c.changes) > savepoint {
		ch := c.changes[len(c.changes)-1]
		c.rope.Replace(ch.at, ch.put, ch.cut...)
		c.changes = c.changes[:len(c.changes)-1]
		c.version++
	}
}

func (c *items[E]) Edits(dst []store.Edit, at int) []store.Edit {
	dst = slices.Grow(dst, len(c.changes))
	for i := range c.changes {
		e := c.changes[i].edit
		e.At += at
		dst = append(dst, e)
	}
	return dst
}

func (c *items[E]) SizeBefore() int {
	size := c.Size()
	for i := range c.changes {
		size -= len(c.changes[i].edit.Put) - c.changes[i].edit.Cut
	}
	return size
}

func (c *items[E]) Deeper(limit int) bool {
	if len(c.changes) == 0 || !jsonshape.Nests(c.kind.item) {
		return false
	}
	const ownLevel, stateLevel = 1, 1
	limit -= ownLevel + stateLevel
	deepest := 0
	for i := range c.changes {
		deepest = max(deepest, jsonshape.Depth(c.changes[i].edit.Put))
	}
	return deepest > limit && deepest > c.depthBefore()
}

// depthBefore returns how deep the items before the changes nest. It takes time in
// proportion to their size.
func (c *items[E]) depthBefore() (deepest int) {
	before := rope.New(partItems, c.kind.size)
	before.Replace(0, 0, c.rope.Append(nil)...)
	for _, ch := range slices.Backward(c.changes) {
		before.Replace(ch.at, ch.put, ch.cut...)
	}
	var b []byte
	for _, e := range before.Append(nil) {
		b, _ = c.kind.encode(b[:0], &e) // an item that is kept can be encoded
		deepest = max(deepest, jsonshape.Depth(b))
	}
	return deepest
}

func (c *items[E]) Done() {
	clear(c.changes)
	c.changes = c.changes[:0]
}

func (c *items[E]) Types() (key, item reflect.Type) { return c.kind.key, c.kind.item }

func (c *items[E]) Encode(dst []byte) ([]byte, error) {
	all := c.rope.Append(nil)
	dst, err := c.appendJSON(dst, all)
	if err != nil {
		return nil, err
	}
	c.rope = rope.New(partItems, c.kind.size)
	c.rope.Replace(0, 0, all...)
	return dst, nil
}

func (c *items[E]) appendJSON(dst []byte, all []E) (_ []byte, err error) {
	dst = append(dst, c.kind.start)
	for i := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = c.kind.encode(dst, &all[i]); err != nil {
			return nil, err
		}
	}
	return append(dst, c.kind.end), nil
}

// marshal returns the JSON of the items.
func (c *items[E]) marshal() ([]byte, error) { return c.appendJSON(nil, c.rope.Append(nil)) }

func (c *items[E]) Load(raw []byte) (exact bool, err error) {
	var all []E
	if string(raw) != "null" {
		if all, exact, err = c.kind.read(raw); err != nil {
			return false, err
		}
	}
	var text []byte
	if c.field != "" && len(all) > 0 {
		b, err := c.appendJSON(nil, all)
		if err != nil {
			return false, err
		}
		text = b[1 : len(b)-1]
	}
	c.replace(0, c.rope.Len(), all, text)
	return exact, nil
}

// detached returns a copy of a value that shares no memory with it, so that no change of
// the one reaches the other (G7). A value is detached when it comes into a collection and
// when it is read.
func detached[T any](c *definition.Copier, v T) T {
	if c == nil {
		return v
	}
	return detach(c, v)
}

// detach is the part of detached that moves v to the heap.
func detach[T any](c *definition.Copier, v T) T {
	if err := c.Detach(reflect.ValueOf(&v).Elem()); err != nil {
		panic(fmt.Sprintf("actor: copy an item: %v", err))
	}
	return v
}

// encodeItem appends the JSON of the item that v points to. It takes a pointer because
// encoding/json calls a MarshalJSON with a pointer receiver only for pointers.
func encodeItem(dst []byte, v any) ([]byte, error) {
	item := reflect.ValueOf(v).Elem()
	if flat := jsonshape.FlatOf(item.Type()); flat != nil {
		return flat.Append(dst, item)
	}
	b, err := jsonshape.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append(dst, b...), nil
}

// each ranges over items.
func (c *items[E]) each(all iter.Seq2[int, *E], yield func(int, *E) bool) {
	version := c.version
	for i, e := range all {
		if !yield(i, e) {
			return
		}
		if c.version != version {
			panic("actor: a collection was changed while it was ranged over")
		}
	}
}
