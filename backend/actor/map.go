package actor

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/troupe-dev/troupe/backend/internal/definition"
)

// MapKey is the constraint of a Map's keys: strings and integers, which are directly the
// names in a JSON object. They cannot have a MarshalText method.
type MapKey interface {
	~string | ~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// Map is a map in an actor's state that may be large: the cost of a turn hardly depends on
// its size, because only changes are encoded and stored. Like a List it is in memory as a
// whole: right for up to some thousand keys, or a megabyte; use a Table for more. In the store
// and on the wire it is a JSON object, like a field of type map[K]V:
//
//	type GameRoom struct {
//		Players actor.Map[string, Player] `json:"players"`
//	}
//
// Iterations follow the order of the keys. Otherwise it is like a List: the zero Map is
// empty, it must be a field of the state struct itself, only turns may change it, and
// values that you pass in and get are copies.
type Map[K MapKey, V any] struct{ items *items[pair[K, V]] }

// pair is an item of a Map.
type pair[K MapKey, V any] struct {
	key   K
	value V
	size  int // of both as JSON, with the colon
}

func mapKind[K MapKey, V any]() *itemKind[pair[K, V]] {
	return &itemKind[pair[K, V]]{
		start: '{', end: '}', key: reflect.TypeFor[K](), item: reflect.TypeFor[V](),
		copier: definition.CopierOf(reflect.TypeFor[V]()),
		size:   func(e *pair[K, V]) int { return e.size },
		encode: func(dst []byte, e *pair[K, V]) ([]byte, error) {
			n := len(dst)
			dst, err := encodeItem(append(appendKey(dst, e.key), ':'), &e.value)
			e.size = len(dst) - n
			return dst, err
		},
		read: readMap[K, V],
	}
}

// appendKey appends the JSON of a key.
func appendKey[K MapKey](dst []byte, key K) []byte {
	switch v := reflect.ValueOf(key); {
	case v.Kind() == reflect.String:
		b, _ := json.Marshal(v.String()) // of a string: it does not fail
		return append(dst, b...)
	case v.CanInt():
		return append(strconv.AppendInt(append(dst, '"'), v.Int(), 10), '"')
	default:
		return append(strconv.AppendUint(append(dst, '"'), v.Uint(), 10), '"')
	}
}

// readMap reads the pairs of a JSON object.
func readMap[K MapKey, V any](raw []byte) (all []pair[K, V], exact bool, err error) {
	var texts map[K]json.RawMessage
	if err := json.Unmarshal(raw, &texts); err != nil {
		return nil, false, err
	}
	all = make([]pair[K, V], 0, len(texts))
	for key := range texts {
		all = append(all, pair[K, V]{key: key})
	}
	slices.SortFunc(all, func(a, b pair[K, V]) int { return cmp.Compare(a.key, b.key) })
	text := []byte{'{'}
	for i := range all {
		e := &all[i]
		if err := json.Unmarshal(texts[e.key], &e.value); err != nil {
			return nil, false, fmt.Errorf("the value of %v: %w", e.key, err)
		}
		if i > 0 {
			text = append(text, ',')
		}
		n := len(text)
		text = append(append(appendKey(text, e.key), ':'), texts[e.key]...)
		e.size = len(text) - n
	}
	return all, bytes.Equal(append(text, '}'), raw), nil
}

func (m *Map[K, V]) collection() definition.Collection { return m.init() }

func (m *Map[K, V]) init() *items[pair[K, V]] {
	if m.items == nil {
		m.items = newItems(mapKind[K, V]())
	}
	return m.items
}

// search returns the index of the key, or the index at which to insert it.
func (m Map[K, V]) search(key K) (i int, found bool) {
	if m.items == nil {
		return 0, false
	}
	return m.items.rope.Search(func(e *pair[K, V]) int { return cmp.Compare(e.key, key) })
}

// Len returns the number of keys.
func (m Map[K, V]) Len() int { return m.items.len() }

// Size returns the length of the map's JSON, in bytes, without encoding anything.
func (m Map[K, V]) Size() int {
	if m.items == nil {
		return len("{}")
	}
	return m.items.Size() + len("{}")
}

// Get returns the value of a key, and whether there is one.
func (m Map[K, V]) Get(key K) (value V, ok bool) {
	i, found := m.search(key)
	if !found {
		return value, false
	}
	return detached(m.items.kind.copier, m.items.rope.At(i).value), true
}

// All returns the keys and values in the order of the keys. The map must not be changed
// during the iteration.
func (m Map[K, V]) All() iter.Seq2[K, V] { return m.from(0) }

// From returns the keys that are not less than key, with their values, in order. The map
// must not be changed during the iteration.
func (m Map[K, V]) From(key K) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		i, _ := m.search(key)
		m.from(i)(yield)
	}
}

func (m Map[K, V]) from(i int) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if m.items != nil {
			m.items.each(m.items.rope.From(i), func(_ int, e *pair[K, V]) bool { return yield(e.key, detached(m.items.kind.copier, e.value)) })
		}
	}
}

// Set sets the value of a key. It panics if the value cannot be encoded as JSON, or if
// the key is not valid UTF-8; that fails the turn.
func (m *Map[K, V]) Set(key K, value V) {
	c := m.init()
	if v := reflect.ValueOf(key); v.Kind() == reflect.String && !utf8.ValidString(v.String()) {
		panic(fmt.Sprintf("actor: the key %q is not valid UTF-8", v.String()))
	}
	put := []pair[K, V]{{key: key, value: value}}
	text, err := c.kind.encode(nil, &put[0])
	if err != nil {
		panic(fmt.Sprintf("actor: encode the value of %v: %v", key, err))
	}
	put[0].value = detached(c.kind.copier, value)
	cut := 0
	i, found := m.search(key)
	if found {
		cut = 1
	}
	c.replace(i, cut, put, text)
}

// Delete removes a key. It does nothing if the key is absent.
func (m *Map[K, V]) Delete(key K) {
	if i, found := m.search(key); found {
		m.items.replace(i, 1, nil, nil)
	}
}

// DeleteFunc removes the keys for which f reports true. It calls f for all keys.
func (m *Map[K, V]) DeleteFunc(f func(K, V) bool) {
	var gone []K
	for key, value := range m.All() {
		if f(key, value) {
			gone = append(gone, key)
		}
	}
	for _, key := range gone {
		m.Delete(key)
	}
}

// Clear removes all keys.
func (m *Map[K, V]) Clear() { m.init().replace(0, m.Len(), nil, nil) }

// MarshalJSON implements json.Marshaler: an object, never null.
func (m Map[K, V]) MarshalJSON() ([]byte, error) {
	if m.items == nil {
		return []byte("{}"), nil
	}
	return m.items.marshal()
}

// UnmarshalJSON implements json.Unmarshaler: it replaces all keys and values.
func (m *Map[K, V]) UnmarshalJSON(raw []byte) error {
	_, err := m.init().Load(raw)
	return err
}
