package definition

import (
	"fmt"
	"iter"
	"reflect"
	"slices"

	"github.com/troupe-dev/troupe/backend/store"
)

// Limits of an item of a table.
const (
	MaxItemBytes    = 1 << 20
	MaxItemKeyBytes = 1 << 10
)

// TableField is a field of the state with a Table.
type TableField struct {
	Index int
	Field string
	Name  string // in JSON, and in store.Table
	Keys  string // the kind of its keys, as in store.Table
}

// Table is the actor.Table in a field of a state, as the runtime sees it.
type Table interface {
	Bind(Rows)              // makes it a field of an actor that has these items
	Check(store.Item) error // nil if an item can be decoded
	Types() (key, item reflect.Type)
}

// Rows are the items of a table, as actor.Table sees them. All methods are for the goroutine of
// the turn that runs. In a turn they panic if they cannot do what they should, which ends the
// turn; outside a turn they do nothing.
type Rows interface {
	Header() (length int64, next uint64) // next is the next key to give
	Get(key []byte) (store.Item, bool)

	// Scan returns the items of a range. Limit is how many are wanted, 0 if that is not
	// known. It panics if the table is changed meanwhile.
	Scan(r store.ItemRange) iter.Seq[store.Item]

	Set(item store.Item, next uint64, fresh bool) // fresh: there is no such key
	Delete(key []byte)

	Fail(item store.Item, err error)     // ends the turn: the item cannot be decoded
	LeaveOut(item store.Item, err error) // notes that an item cannot be decoded and was left out
	Checks() bool                        // values have to be checked

	// Current returns the value of an item as the current version of the definition stores it.
	Current(item store.Item) ([]byte, error)
}

func (d *Definition) isTable(t reflect.Type) bool {
	return t.Kind() != reflect.Pointer && d.Table(reflect.New(t)) != nil
}

// Table returns the table to which field points, nil if it is not one.
func (d *Definition) Table(field reflect.Value) Table { return d.bindings.Table(field.Interface()) }

// HasTable reports whether a stored table is one of the type's. A dropped one is.
func (d *Definition) HasTable(h store.Table) bool {
	return h.Field == "" || slices.ContainsFunc(d.Tables, func(f TableField) bool { return f.Name == h.Field })
}

func (d *Definition) addTable(i int, f reflect.StructField) {
	name := jsonName(f)
	if f.Type.NumField() > 1 { // it embeds a Table
		d.panicf("field %s: the other fields of %s would not be stored; move them to %s", f.Name, f.Type, d.Type)
	}
	key, item := d.Table(reflect.New(f.Type)).Types()
	d.checkKey(key, f.Name)
	d.checkNested(item, f.Name, map[reflect.Type]bool{})
	d.checkNameOnce(f, name)
	d.Tables = append(d.Tables, TableField{Index: i, Field: f.Name, Name: name, Keys: kindOfKeys(key)})
}

// Kinds of keys in store.Table: one byte each, because it is in every commit that changes the
// number of items.
var keyKinds = map[string]string{"s": "strings", "i": "signed integers", "u": "unsigned integers"}

// kindOfKeys returns how keys of a type are stored. Two types of one kind can read each
// other's keys, except for integers that are too large.
func kindOfKeys(key reflect.Type) string {
	switch {
	case key.Kind() == reflect.String:
		return "s"
	case reflect.Zero(key).CanInt():
		return "i"
	}
	return "u"
}

// CheckTableKeys returns an error if a stored table with items has keys of another kind than
// the type's Table. They would be read as other keys: as integers, half of the range away.
func (d *Definition) CheckTableKeys(tables []store.Table) error {
	for _, h := range tables {
		for _, f := range d.Tables {
			if h.Field == f.Name && h.Len > 0 && h.Keys != "" && h.Keys != f.Keys {
				return fmt.Errorf("the keys of table %s are stored as %s, and its type has %s now: a table with other keys needs another name", f.Name, keyKinds[h.Keys], keyKinds[f.Keys])
			}
		}
	}
	return nil
}

// checkNotSent panics if a type that is sent, or stored otherwise, has a Table in it.
func (d *Definition) checkNotSent(t reflect.Type, where string, seen map[reflect.Type]bool) {
	if d.isTable(t) {
		d.panicf("%s: a %s cannot be sent, because it may be larger than memory; use an actor.Page of it", where, t)
	}
	if seen[t] {
		return
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Map, reflect.Pointer, reflect.Slice, reflect.Array:
		d.checkNotSent(t.Elem(), where, seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); !ephemeral(f) {
				d.checkNotSent(f.Type, where, seen)
			}
		}
	}
}
