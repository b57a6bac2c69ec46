package definition

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/troupe-dev/troupe/backend/store"
)

// MigrateTables returns the headers of tables that a version has stored as the current
// version stores them. It may return tables itself, and does not change it.
func (d *Definition) MigrateTables(from int, tables []store.Table) []store.Table {
	own := slices.Clone(tables)
	_ = d.migrate(from, (*Step).ofState, func(s *Step) error { // fails for newer versions only, which are not loaded
		from := slices.IndexFunc(own, func(h store.Table) bool { return s.From != "" && h.Field == s.From })
		if from < 0 || s.Move != nil {
			return nil
		}
		for i := range own {
			if i == from && s.To != "" {
				own[i].Field = s.To
			} else if i == from || own[i].Field == s.To { // dropped, or in the place of the renamed one
				own[i] = store.Table{ID: own[i].ID}
			}
		}
		return nil
	})
	return own
}

// MigrateItem returns the value of an item that a version has stored as the current version
// stores it. table is the name of the Table's field.
func (d *Definition) MigrateItem(table string, from int, raw []byte) ([]byte, error) {
	err := d.migrate(from, func(s *Step) bool { return s.table == table }, func(s *Step) (err error) {
		raw, err = s.Convert(raw)
		return err
	})
	return raw, err
}

// Moved are items of a Table that a step of a version has made from a part of the state.
type Moved struct {
	Table string // the name of its field
	Items []store.Item
	Next  uint64 // the next key to give
}

// move returns the items that the step makes from a List.
func (s *Step) move(list []byte) (items []store.Item, next uint64, err error) {
	if items, next, err = s.Move(list); err != nil {
		return nil, 0, err
	}
	for i := range items {
		if n := len(items[i].Key); n > MaxItemKeyBytes {
			return nil, 0, fmt.Errorf("the key of item %d has %d bytes, the limit is %d", i, n, MaxItemKeyBytes)
		}
		if n := len(items[i].Value); n > MaxItemBytes {
			return nil, 0, fmt.Errorf("item %d has %d bytes, the limit is %d", i, n, MaxItemBytes)
		}
		items[i].Version = s.version
	}
	return items, next, nil
}

// versionedTables are the Tables at one step, by the names of their fields there.
type versionedTables map[string]versionedTable

// versionedTable has the name of its field in the current version, the type of its keys, and
// that of its items at one step. In a table that a later step drops only item may be set.
type versionedTable struct {
	name string
	key  reflect.Type
	item reflect.Type
}

// rename notes the name that a table has before a step.
func (ts versionedTables) rename(s *Step) {
	if t, ok := ts[s.To]; ok {
		delete(ts, s.To)
		ts[s.From] = t
	}
}

// before notes the type that the items have before a MigrateItem, or returns why the step is
// wrong.
func (ts versionedTables) before(d *Definition, s *Step, state storedFields) (why string) {
	t, why := ts.find(d, s, s.Items, state)
	if why != "" {
		return why
	}
	t.item = s.Old
	s.table, ts[s.Items] = t.name, t
	return ""
}

// beforeMove returns the fields that are stored before a ToTable, or why it is wrong.
func (ts versionedTables) beforeMove(d *Definition, s *Step, state storedFields) (storedFields, string) {
	t, why := ts.find(d, s, s.From, state)
	if why != "" {
		return nil, why
	}
	if t.key != nil && t.key != s.Key {
		return nil, fmt.Sprintf("its function returns keys of type %s, those of the Table are of type %s", s.Key, t.key)
	}
	s.table = t.name
	delete(ts, s.From)
	return append(state.without(s.From), storedField{s.From, "an array"}), ""
}

// find returns the Table that a step makes items of, or why there is none. A field that a
// later step drops may have been one.
func (ts versionedTables) find(d *Definition, s *Step, name string, state storedFields) (t versionedTable, why string) {
	t, ok := ts[name]
	if at := state.find(name); !ok && (at < 0 || state[at].kind != "") {
		return t, fmt.Sprintf("after it the state has no Table %q: write its name in JSON", name)
	}
	if t.item == nil {
		return t, ""
	}
	return t, d.fits(s.New, t.item, "items")
}
