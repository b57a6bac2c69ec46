package actor

import (
	"fmt"
	"iter"
	"reflect"
	"slices"

	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/store"
)

// Limits of an item of a Table. A turn that exceeds one fails with too_large.
const (
	MaxItemBytes    = definition.MaxItemBytes    // of the JSON of a value: 1 MiB
	MaxItemKeyBytes = definition.MaxItemKeyBytes // of a key that is a string: 1 KiB
)

// Table is a map in an actor's state that may be larger than memory: its items stay in the
// store, in the order of their keys, and a turn reads the ones that it needs. Use it for what
// grows without bound, such as the messages of a chat:
//
//	type ChatRoom struct {
//		Messages actor.Table[uint64, Message] `json:"messages"`
//	}
//
//	func (r *ChatRoom) SendMessage(c *actor.Context[Member], text string) uint64 {
//		return r.Messages.Append(Message{Text: text})
//	}
//
//	func (r ChatRoom) GetMessages(c *actor.Context[Member], before *uint64, n int) actor.Page[uint64, Message] {
//		return r.Messages.Page(actor.Before(before), min(n, 100))
//	}
//
// Waking an actor reads none of its items, and the cost of a turn depends on the items that it
// uses, not on how many there are. Changes are a part of the turn: a failed turn undoes them,
// and reads see the changes that the turn has made. Keys are strings, in the order of their
// bytes, or integers. They cannot have a MarshalJSON or a MarshalText.
//
// The zero Table is empty. It must be a field of the state struct itself, which must not be
// assigned, and a second index is a second Table. All methods are for turns; they do not work
// in OnRestore. Values that you pass in and get are copies. A value has at most MaxItemBytes as
// JSON, a key at most MaxItemKeyBytes; Options.MaxState does not count the items. A Table is
// not part of the state's JSON and cannot be sent: return a Page of it.
//
// A read of items that are not in memory takes the time of a store's read, and counts towards
// the turn's. If the store fails, the turn fails with unavailable. An item that cannot be
// decoded as a V fails the turn that asks for it by its key; all others leave it out, and the
// log has its key.
type Table[K MapKey, V any] struct{ core *tableCore[K, V] }

// tableCore is what all copies of a Table share.
type tableCore[K MapKey, V any] struct {
	rows definition.Rows // nil: it belongs to no actor
}

func (t *Table[K, V]) table() definition.Table { return t.init() }

func (t *Table[K, V]) init() *tableCore[K, V] {
	if t.core == nil {
		t.core = &tableCore[K, V]{}
	}
	return t.core
}

func (c *tableCore[K, V]) Bind(rows definition.Rows) { c.rows = rows }

func (c *tableCore[K, V]) Types() (key, item reflect.Type) {
	return reflect.TypeFor[K](), reflect.TypeFor[V]()
}

func (c *tableCore[K, V]) Check(item store.Item) error {
	_, err := c.decode(item)
	return err
}

// decoded is an item of a table.
type decoded[K MapKey, V any] struct {
	key   K
	value V
}

func (c *tableCore[K, V]) decode(item store.Item) (d decoded[K, V], err error) {
	if d.key, err = decodeTableKey[K](item.Key); err != nil {
		return d, err
	}
	value := item.Value
	if c.rows != nil {
		value, err = c.rows.Current(item)
	}
	if err == nil {
		err = jsonshape.Unmarshal(value, &d.value)
	}
	if err != nil {
		return d, fmt.Errorf("item %v: %w", d.key, err)
	}
	return d, nil
}

// stored returns the table's items. It panics if the Table belongs to no actor.
func (t Table[K, V]) stored() definition.Rows {
	if t.core == nil || t.core.rows == nil {
		panic("actor: a Table works only as a field of an actor's state, in a turn; in tests run the actor with actortest")
	}
	return t.core.rows
}

// Len returns the number of items.
func (t Table[K, V]) Len() int {
	n, _ := t.stored().Header()
	return int(n)
}

// Get returns the value of a key, and whether there is one.
func (t Table[K, V]) Get(key K) (value V, ok bool) {
	rows := t.stored()
	item, ok := rows.Get(encodeTableKey(key))
	if !ok {
		return value, false
	}
	d, err := t.core.decode(item)
	if err != nil {
		rows.Fail(item, err)
	}
	return d.value, true
}

// First returns the item with the lowest key, and whether there is one.
func (t Table[K, V]) First() (key K, value V, ok bool) { return t.end(store.ItemRange{Limit: 1}) }

// Last returns the item with the highest key, and whether there is one.
func (t Table[K, V]) Last() (key K, value V, ok bool) {
	return t.end(store.ItemRange{Limit: 1, Backward: true})
}

func (t Table[K, V]) end(r store.ItemRange) (key K, value V, ok bool) {
	for key, value := range t.scan(r) {
		return key, value, true
	}
	return key, value, false
}

// All returns the items in the order of their keys. Do not change the table during the
// iteration; it may read from the store many times.
func (t Table[K, V]) All() iter.Seq2[K, V] { return t.scan(store.ItemRange{}) }

// From returns the items whose keys are not less than from, in order. Do not change the table
// during the iteration.
func (t Table[K, V]) From(from K) iter.Seq2[K, V] {
	return t.scan(store.ItemRange{From: encodeTableKey(from)})
}

// Range returns the items whose keys are not less than from and less than to, in order. Do not
// change the table during the iteration.
func (t Table[K, V]) Range(from, to K) iter.Seq2[K, V] {
	return t.scan(store.ItemRange{From: encodeTableKey(from), To: encodeTableKey(to)})
}

// Backward returns the items whose keys are less than before, from the last to the first;
// without an argument, all. Do not change the table during the iteration.
func (t Table[K, V]) Backward(before ...K) iter.Seq2[K, V] {
	r := store.ItemRange{Backward: true}
	switch len(before) {
	case 0:
	case 1:
		r.To = encodeTableKey(before[0])
	default:
		panic("actor: Backward takes one key at most")
	}
	return t.scan(r)
}

func (t Table[K, V]) scan(r store.ItemRange) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		rows := t.stored()
		for item := range rows.Scan(r) {
			d, err := t.core.decode(item)
			if err != nil {
				rows.LeaveOut(item, err)
				continue
			}
			if !yield(d.key, d.value) {
				return
			}
		}
	}
}

// Append adds an item behind all others and returns its key: 1 for the first one, then one more
// than the highest that was ever in the table, so that no key is used twice. It panics if K is
// a string type, or if all its keys are used.
func (t *Table[K, V]) Append(value V) K {
	rows := t.stored()
	_, next := rows.Header()
	key, ok := numberedKey[K](max(next, 1))
	if !ok {
		panic(fmt.Sprintf("actor: Append: a Table has no next key of type %T; use Set", key))
	}
	t.set(rows, key, value, next)
	return key
}

// Set sets the value of a key. It panics if the value cannot be encoded as JSON, or if the key
// is not valid UTF-8; that fails the turn.
func (t *Table[K, V]) Set(key K, value V) {
	rows := t.stored()
	_, next := rows.Header()
	t.set(rows, key, value, next)
}

func (t *Table[K, V]) set(rows definition.Rows, key K, value V, next uint64) {
	raw, err := encodeItem(nil, &value)
	if err != nil {
		panic(fmt.Sprintf("actor: encode the value of %v: %v", key, err))
	}
	item := store.Item{Key: encodeTableKey(key), Value: raw}
	if rows.Checks() {
		t.checkRoundTrip(item, value)
	}
	after, fresh := nextKey(key, next)
	rows.Set(item, after, fresh)
}

// checkRoundTrip panics if a value changes when it is read again.
func (t *Table[K, V]) checkRoundTrip(item store.Item, value V) {
	d, err := new(tableCore[K, V]).decode(item) // as of the current version
	if err != nil {
		panic(fmt.Sprintf("actor: an item cannot be decoded from its own JSON: %v", err))
	}
	if c := jsonshape.Changed(reflect.ValueOf(&value).Elem(), reflect.ValueOf(&d.value).Elem()); c != "" {
		panic(fmt.Sprintf("actor: the item %v: %T%s", d.key, value, c))
	}
}

// Delete removes a key. It does nothing if the key is absent.
func (t *Table[K, V]) Delete(key K) { t.stored().Delete(encodeTableKey(key)) }

// Page returns at most n items in the order of their keys: those next to a position. It ends
// earlier at about 256 KiB, but not before it has one item. Return it from an action, and the
// client can show the items, and ask for those before and after them.
func (t Table[K, V]) Page(at Position[K], n int) Page[K, V] {
	const maxBytes = 256 << 10
	rows := t.stored()
	r, rest := store.ItemRange{Limit: n + 1, Backward: !at.after}, store.ItemRange{Limit: 1}
	var key []byte
	if at.key != nil {
		// With the item itself, which mostly exists: then there is something behind the page.
		key = encodeTableKey(*at.key)
		r.Limit++
		if at.after {
			r.From, rest.To = key, key
		} else {
			r.To, rest.From = append(key, 0), append(key, 0)
		}
	}
	page := Page[K, V]{Items: make([]PageItem[K, V], 0, max(0, min(n, 100)))}
	size, more, behind := 0, false, false
	for item := range rows.Scan(r) {
		if at.key != nil && string(item.Key) == string(key) {
			behind = true
			continue
		}
		size += len(item.Key) + len(item.Value)
		if len(page.Items) >= n || len(page.Items) > 0 && size > maxBytes {
			more = true
			break
		}
		d, err := t.core.decode(item)
		if err != nil {
			rows.LeaveOut(item, err)
			continue
		}
		page.Items = append(page.Items, PageItem[K, V]{Key: d.key, Value: d.value})
	}
	if at.key != nil && !behind {
		for range rows.Scan(rest) {
			behind = true
			break
		}
	}
	page.HasBefore, page.HasAfter = behind, more
	if !at.after {
		slices.Reverse(page.Items)
		page.HasBefore, page.HasAfter = more, behind
	}
	return page
}

// MarshalJSON panics: a Table is never sent or stored as a whole.
func (t Table[K, V]) MarshalJSON() ([]byte, error) {
	panic(fmt.Sprintf("actor: a %T cannot be sent, because it may be larger than memory; return a Page of it: t.Page(actor.Before(before), 50)", t))
}

// Page is a part of a Table, as clients get it: useActorPages shows pages that an action returns.
type Page[K MapKey, V any] struct {
	Items     []PageItem[K, V] `json:"items"`     // in the order of their keys
	HasBefore bool             `json:"hasBefore"` // the table has items before them
	HasAfter  bool             `json:"hasAfter"`  // the table has items after them
}

// PageItem is an item of a Page.
type PageItem[K MapKey, V any] struct {
	Key   K `json:"key"`
	Value V `json:"value"`
}

// Position is a position in a Table, for Page: Before or After a key.
type Position[K MapKey] struct {
	key   *K
	after bool
}

// Before is the position before a key: its page has the last items that are less. nil is the
// end of the table. A pointer is null in TypeScript, so that a client can ask for the end.
func Before[K MapKey](key *K) Position[K] { return Position[K]{key, false} }

// After is the position after a key: its page has the first items that are greater. nil is the
// start of the table.
func After[K MapKey](key *K) Position[K] { return Position[K]{key, true} }
