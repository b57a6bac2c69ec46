package actor

import (
	"encoding/json"
	"fmt"
	"iter"
	"reflect"

	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
)

// List is a list in an actor's state that may be long: the cost of a turn hardly depends on
// its length, because only changes are encoded and stored. It is in memory as a whole while
// its actor is awake, and waking the actor decodes all of it, so it is right for up to some
// thousand items, or a megabyte; use a Table for more. In the store and on the wire it is a
// JSON array, like a field of type []T:
//
//	type ChatRoom struct {
//		Messages actor.List[Message] `json:"messages"`
//	}
//
// The zero List is empty. It must be a field of the state struct itself; in an actor only
// turns may change it, and a failed turn undoes its changes. Items that you pass in and
// items that you get are copies, including what they refer to: changing one, say a slice in
// it, changes nothing in the list until you pass it to Set. Items without slices, maps and
// pointers are copied for free; those with interfaces, or with unexported fields that refer
// to something, are encoded and decoded. Copies of a List are the same list; a field must
// not be assigned.
//
// Methods that take an index panic if there is no such item; those that take items panic if
// one cannot be encoded as JSON. A panic fails the turn.
type List[T any] struct{ items *items[item[T]] }

// item is an item of a List.
type item[T any] struct {
	value T
	size  int // of its JSON
}

func listKind[T any]() *itemKind[item[T]] {
	return &itemKind[item[T]]{
		start: '[', end: ']', item: reflect.TypeFor[T](), copier: definition.CopierOf(reflect.TypeFor[T]()),
		size: func(e *item[T]) int { return e.size },
		encode: func(dst []byte, e *item[T]) ([]byte, error) {
			n := len(dst)
			dst, err := encodeItem(dst, &e.value)
			e.size = len(dst) - n
			return dst, err
		},
		read: readList[T],
	}
}

func readList[T any](raw []byte) (all []item[T], exact bool, err error) {
	var texts []json.RawMessage
	if err := json.Unmarshal(raw, &texts); err != nil {
		return nil, false, err
	}
	all = make([]item[T], len(texts))
	size := 1 + max(len(texts), 1) // brackets and commas
	for i, text := range texts {
		if err := jsonshape.Unmarshal(text, &all[i].value); err != nil {
			return nil, false, fmt.Errorf("item %d: %w", i, err)
		}
		all[i].size = len(text)
		size += len(text)
	}
	return all, size == len(raw), nil
}

func (l *List[T]) collection() definition.Collection { return l.init() }

func (l *List[T]) init() *items[item[T]] {
	if l.items == nil {
		l.items = newItems(listKind[T]())
	}
	return l.items
}

// Len returns the number of items.
func (l List[T]) Len() int { return l.items.len() }

// Size returns the length of the list's JSON, in bytes, without encoding anything.
func (l List[T]) Size() int {
	if l.items == nil {
		return len("[]")
	}
	return l.items.Size() + len("[]")
}

// At returns the item i.
func (l List[T]) At(i int) T {
	if i < 0 || i >= l.Len() {
		panic(fmt.Sprintf("actor: item %d of %d", i, l.Len()))
	}
	return detached(l.items.kind.copier, l.items.rope.At(i).value)
}

// All returns the items with their indexes, from the first. The list must not be changed
// during the iteration.
func (l List[T]) All() iter.Seq2[int, T] { return l.from(0) }

func (l List[T]) from(i int) iter.Seq2[int, T] {
	return func(yield func(int, T) bool) {
		if l.items != nil {
			l.items.each(l.items.rope.From(i), func(i int, e *item[T]) bool { return yield(i, detached(l.items.kind.copier, e.value)) })
		}
	}
}

// Backward returns the items with their indexes, from the last. The list must not be
// changed during the iteration.
func (l List[T]) Backward() iter.Seq2[int, T] {
	return func(yield func(int, T) bool) {
		if l.items != nil {
			l.items.each(l.items.rope.Backward(), func(i int, e *item[T]) bool { return yield(i, detached(l.items.kind.copier, e.value)) })
		}
	}
}

// Slice returns a copy of the items [i, j). It is never nil, because a nil slice is null in
// JSON.
func (l List[T]) Slice(i, j int) []T {
	if i < 0 || j < i || j > l.Len() {
		panic(fmt.Sprintf("actor: items %d to %d of %d", i, j, l.Len()))
	}
	values := make([]T, 0, j-i)
	for i, v := range l.from(i) {
		if i == j {
			break
		}
		values = append(values, v)
	}
	return values
}

// Values returns a copy of all items. It is never nil.
func (l List[T]) Values() []T { return l.Slice(0, l.Len()) }

// IndexFunc returns the index of the first item for which f reports true, or -1. It takes
// time in proportion to the length.
func (l List[T]) IndexFunc(f func(T) bool) int {
	for i, v := range l.All() {
		if f(v) {
			return i
		}
	}
	return -1
}

// Append adds items at the end.
func (l *List[T]) Append(values ...T) { l.Insert(l.Len(), values...) }

// Insert adds items before the item i, or at the end if i is the length.
func (l *List[T]) Insert(i int, values ...T) { l.replace(i, 0, values...) }

// Set replaces the item i.
func (l *List[T]) Set(i int, value T) { l.replace(i, 1, value) }

// Delete removes the items [i, j).
func (l *List[T]) Delete(i, j int) { l.replace(i, j-i) }

// DeleteFunc removes the items for which f reports true. It calls f for all items.
func (l *List[T]) DeleteFunc(f func(T) bool) {
	var gone []int
	for i, v := range l.All() {
		if f(v) {
			gone = append(gone, i)
		}
	}
	for len(gone) > 0 { // from the end: earlier indexes stay valid
		j := len(gone) - 1
		i := j
		for i > 0 && gone[i-1] == gone[i]-1 {
			i--
		}
		l.Delete(gone[i], gone[j]+1)
		gone = gone[:i]
	}
}

// Clear removes all items.
func (l *List[T]) Clear() { l.Delete(0, l.Len()) }

func (l *List[T]) replace(at, cut int, values ...T) {
	c := l.init()
	put := make([]item[T], len(values))
	var text []byte
	for i, v := range values {
		if i > 0 {
			text = append(text, ',')
		}
		put[i].value = v
		var err error
		if text, err = c.kind.encode(text, &put[i]); err != nil {
			panic(fmt.Sprintf("actor: encode an item: %v", err))
		}
		put[i].value = detached(c.kind.copier, v)
	}
	c.replace(at, cut, put, text)
}

// MarshalJSON implements json.Marshaler: an array, never null.
func (l List[T]) MarshalJSON() ([]byte, error) {
	if l.items == nil {
		return []byte("[]"), nil
	}
	return l.items.marshal()
}

// UnmarshalJSON implements json.Unmarshaler: it replaces all items.
func (l *List[T]) UnmarshalJSON(raw []byte) error {
	_, err := l.init().Load(raw)
	return err
}
