package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"slices"
	"sync/atomic"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/overlay"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// tables are the tables of a loaded actor: their headers, and an overlay of the edits that the
// store may not have yet. It belongs to the goroutine of its instance. All its methods
// do nothing on nil: the actor has no tables.
type tables struct {
	in     *instance
	fields []*table
	turn   atomic.Pointer[Turn] // that runs; an author's goroutine may ask

	nextID int

	// edits has the newest edit of each key that the store may not have. Those that no commit
	// has yet have the revision of the next one.
	edits     overlay.Items
	undo      []tableEdit   // of the edits that no commit has
	turnStart int           // in undo
	sent      []overlayEdit // the edits in commits, in their order
}

// table is one of the tables. It implements definition.Rows.
type table struct {
	all    *tables
	name   string      // of the field in JSON
	keys   string      // their kind
	header store.Table // ID 0: it was never written
	saved  store.Table // as the newest commit has it

	changes uint64 // counts the edits, and those that were undone
	pages   *pageIndex
	leftOut map[string]bool // keys of items that cannot be decoded
}

// tableEdit has what an edit of a table replaced.
type tableEdit struct {
	table  *table
	key    []byte
	old    overlay.Item // in the overlay
	had    bool         // there was one
	again  bool         // the next commit already had an edit of the key
	header store.Table
}

// overlayEdit is an edit of the overlay that is in a commit.
type overlayEdit struct {
	table *table
	key   []byte
	rev   uint64
}

// maxLeftOut is of how many items the log says that they cannot be decoded.
const maxLeftOut = 1000

// newTables returns the tables of an instance, nil if its definition has none. stored are
// the headers in the store, and migrated those of the current version.
func newTables(in *instance, stored, migrated []store.Table) *tables {
	if len(in.def.Tables) == 0 {
		return nil
	}
	ts := &tables{in: in, nextID: 1}
	for _, h := range stored {
		ts.nextID = max(ts.nextID, h.ID+1)
	}
	for i, f := range in.def.Tables {
		t := &table{all: ts, name: f.Name, keys: f.Keys, pages: newPageIndex(&in.actor.node.tableCache)}
		for j, h := range migrated {
			if h.Field == f.Name {
				t.header, t.saved = h, stored[j]
			}
		}
		in.state.tables[i].Bind(t)
		ts.fields = append(ts.fields, t)
	}
	return ts
}

// move puts items into the tables that a step of a version has made. They are in the next
// commit, with the state that does not have them any more.
func (ts *tables) move(moved []definition.Moved) {
	for _, m := range moved {
		t := ts.fields[slices.IndexFunc(ts.fields, func(t *table) bool { return t.name == m.Table })]
		for _, item := range m.Items {
			header := t.header
			header.Len++
			header.Bytes += int64(len(item.Key) + len(item.Value))
			header.Next = max(header.Next, m.Next)
			t.edit(item, header)
		}
	}
	ts.accept()
}

// begin lets a turn use the tables.
func (ts *tables) begin(t *Turn) {
	if ts != nil {
		ts.settle()
		ts.turn.Store(t)
	}
}

// apart runs f, a part of the turn in which the tables cannot be used.
func (ts *tables) apart(f func()) {
	if ts != nil {
		defer ts.turn.Store(ts.turn.Swap(nil))
	}
	f()
}

// discard drops what is in memory.
func (ts *tables) discard() {
	if ts == nil {
		return
	}
	for _, t := range ts.fields {
		t.pages.drop()
	}
}

// end ends what begin began.
func (ts *tables) end() {
	if ts != nil {
		ts.turn.Store(nil)
	}
}

// changed reports whether the running turn has edits.
func (ts *tables) changed() bool { return ts != nil && len(ts.undo) > ts.turnStart }

// savepoint marks the edits of the running turn so far.
func (ts *tables) savepoint() int {
	if ts == nil {
		return 0
	}
	return len(ts.undo) - ts.turnStart
}

// rollback undoes the turn's edits after a savepoint.
func (ts *tables) rollback(savepoint int) {
	for ts != nil && len(ts.undo) > ts.turnStart+savepoint {
		e := &ts.undo[len(ts.undo)-1]
		if e.had {
			ts.edits.Set(e.table.header.ID, e.old)
		} else {
			ts.edits.Delete(e.table.header.ID, e.key)
		}
		e.table.header = e.header
		e.table.changes++
		ts.undo = ts.undo[:len(ts.undo)-1]
	}
}

// accept makes the turn's edits a part of the next commit.
func (ts *tables) accept() {
	if ts != nil {
		ts.turnStart = len(ts.undo)
	}
}

// save puts all edits that no commit has into one.
func (ts *tables) save(c *store.Commit) {
	if ts == nil {
		return
	}
	for i := range ts.undo {
		e := &ts.undo[i]
		if e.again {
			continue
		}
		id := e.table.header.ID
		item, _ := ts.edits.Get(id, e.key)
		c.Items = append(c.Items, store.ItemEdit{Table: id, Key: item.Key, Value: item.Value, Version: item.Version})
		ts.sent = append(ts.sent, overlayEdit{e.table, item.Key, c.Rev})
	}
	clear(ts.undo)
	ts.undo, ts.turnStart = ts.undo[:0], 0
	for _, t := range ts.fields {
		if t.header != t.saved {
			c.Tables = append(c.Tables, t.header)
			t.saved = t.header
		}
	}
}

// settle moves the edits that are durable from the overlay into the pages in memory.
func (ts *tables) settle() {
	if len(ts.sent) == 0 {
		return
	}
	durable := ts.in.actor.gate.durable(ts.in.rev)
	n := 0
	for ; n < len(ts.sent) && ts.sent[n].rev <= durable; n++ {
		e := ts.sent[n]
		if item, ok := ts.edits.Get(e.table.header.ID, e.key); ok && item.Rev == e.rev {
			ts.edits.Delete(e.table.header.ID, e.key)
			e.table.pages.set(item.Item)
		}
	}
	ts.sent = slices.Delete(ts.sent, 0, n)
}

// use returns the running turn, nil if none runs and the caller's goroutine must not panic.
func (t *table) use() *Turn {
	if turn := t.all.turn.Load(); turn != nil && turn.Use() {
		return turn
	}
	const remedy = "a Table was used outside a turn; from other goroutines use c.Self().Do(ctx, func(c) error), and in place of OnRestore OnStart"
	if InTurn() {
		panic("actor: field " + t.name + ": " + remedy)
	}
	t.all.in.actor.logger().Error(remedy, "field", t.name, "stack", string(debug.Stack()))
	return nil
}

func (t *table) Header() (length int64, next uint64) {
	if t.use() == nil {
		return 0, 0
	}
	return t.header.Len, t.header.Next
}

func (t *table) Get(key []byte) (store.Item, bool) {
	turn := t.use()
	if turn == nil {
		return store.Item{}, false
	}
	return t.get(turn, key)
}

func (t *table) get(turn *Turn, key []byte) (store.Item, bool) {
	if e, ok := t.all.edits.Get(t.header.ID, key); ok {
		return e.Item, e.Value != nil
	}
	if t.saved.Len == 0 {
		return store.Item{}, false
	}
	page := t.read(turn, store.ItemRange{From: key, To: afterKey(key), Limit: 1})
	i, found := page.search(key)
	if !found {
		return store.Item{}, false
	}
	return page.items[i], true
}

// read returns a page that has the start of a range, in its direction, from memory or from the
// store. If the store fails, the turn ends.
func (t *table) read(turn *Turn, r store.ItemRange) *page {
	if r.To != nil && bytes.Compare(r.From, r.To) >= 0 {
		return &page{lo: r.From, hi: r.To} // it has no keys, and no place in the index
	}
	if p := t.pages.find(r); p != nil {
		return p
	}
	in := t.all.in
	r.Table, r.MaxBytes = t.saved.ID, pageBytes
	got, err := in.actor.node.store.Items(turn, in.actor.id, r)
	if err == nil {
		return t.pages.add(r, got.Items, got.More)
	}
	if turn.Err() != nil {
		turn.Fail(turn.Err())
		panic(turnError{turn.timeoutFault(turn.what)})
	}
	in.actor.logger().Error("read the items of a table failed", "field", t.name, "error", err)
	fault := host.Faultf(wire.CodeUnavailable, "the items of %s cannot be read", t.name)
	if errors.Is(err, store.ErrConflict) {
		in.state.broken = fault // another process has the actor
	}
	turn.Fail(fault)
	panic(turnError{fault})
}

// scanItems is how many items are read of a range whose length is not known.
const scanItems = 64

func (t *table) Scan(r store.ItemRange) iter.Seq[store.Item] {
	return func(yield func(store.Item) bool) {
		turn := t.use()
		if turn == nil {
			return
		}
		if r.Limit <= 0 {
			r.Limit = scanItems
		}
		r.Table = t.header.ID
		changes := t.changes
		checked := func(item store.Item) bool {
			if !yield(item) || !turn.Use() {
				return false
			}
			if t.changes != changes {
				panic("actor: a Table was changed while it was ranged over")
			}
			return true
		}
		for more := true; more; {
			var items []store.Item
			part := r
			if more = t.saved.Len > 0; more {
				p := t.read(turn, r)
				items = p.within(r.From, r.To)
				if r.Backward && bytes.Compare(p.lo, r.From) > 0 {
					part.From, r.To = p.lo, p.lo
				} else if !r.Backward && p.hi != nil && (r.To == nil || bytes.Compare(p.hi, r.To) < 0) {
					part.To, r.From = p.hi, p.hi
				} else {
					more = false
				}
			}
			if !t.merge(items, part, checked) {
				return
			}
		}
	}
}

// merge calls yield with the stored items of a range, with the edits over them, until yield
// returns false.
func (t *table) merge(items []store.Item, r store.ItemRange, yield func(store.Item) bool) bool {
	next := func() (item store.Item) {
		if r.Backward {
			item, items = items[len(items)-1], items[:len(items)-1]
		} else {
			item, items = items[0], items[1:]
		}
		return item
	}
	ok := true
	t.all.edits.Range(r, func(e overlay.Item) bool {
		for ok && len(items) > 0 {
			c := bytes.Compare(items[0].Key, e.Key)
			if r.Backward {
				c = bytes.Compare(e.Key, items[len(items)-1].Key)
			}
			if c > 0 {
				break
			}
			if item := next(); c < 0 {
				ok = yield(item)
			}
		}
		ok = ok && (e.Value == nil || yield(e.Item))
		return ok
	})
	for ok && len(items) > 0 {
		ok = yield(next())
	}
	return ok
}

func (t *table) Set(item store.Item, next uint64, fresh bool) {
	turn := t.change()
	if turn == nil {
		return
	}
	item.Version = t.all.in.def.Version()
	t.checkItem(item)
	old, found := store.Item{}, false
	if !fresh {
		old, found = t.get(turn, item.Key)
	}
	header := t.header
	if !found {
		header.Len++
		header.Bytes += int64(len(item.Key))
	}
	header.Bytes += int64(len(item.Value) - len(old.Value))
	header.Next = next
	t.edit(item, header)
}

func (t *table) Delete(key []byte) {
	turn := t.change()
	if turn == nil {
		return
	}
	old, found := t.get(turn, key)
	if !found {
		return
	}
	header := t.header
	header.Len--
	header.Bytes -= int64(len(key) + len(old.Value))
	t.edit(store.Item{Key: key}, header)
}

// change is use for an edit.
func (t *table) change() *Turn {
	turn := t.use()
	if turn != nil && turn.readOnly {
		panic(fmt.Sprintf("actor: field %s was changed by a read-only action (it has a value receiver)", t.name))
	}
	return turn
}

// checkItem ends the turn if an item is larger than it may be.
func (t *table) checkItem(item store.Item) {
	check := func(what string, size, limit int, option string) {
		if size > limit {
			panic(turnError{host.Limit{Size: size, Limit: limit, Option: option}.
				Fault(wire.CodeTooLarge, fmt.Sprintf("%s of %s has %d bytes, the limit is %d", what, t.name, size, limit))})
		}
	}
	check("a key", len(item.Key), definition.MaxItemKeyBytes, "actor.MaxItemKeyBytes")
	check("an item", len(item.Value), definition.MaxItemBytes, "actor.MaxItemBytes")
}

func (t *table) edit(item store.Item, header store.Table) {
	ts := t.all
	if t.header.ID == 0 {
		t.header.ID = ts.nextID
		t.header.Field = t.name
		ts.nextID++
	}
	header.ID, header.Field, header.Keys = t.header.ID, t.name, t.keys
	rev := ts.in.rev + 1
	old, had := ts.edits.Get(t.header.ID, item.Key)
	ts.undo = append(ts.undo, tableEdit{table: t, key: item.Key, old: old, had: had, again: had && old.Rev == rev, header: t.header})
	ts.edits.Set(t.header.ID, overlay.Item{Item: item, Rev: rev})
	t.header = header
	t.changes++
}

func (t *table) Checks() bool { return t.all.in.actor.node.check }

func (t *table) Current(item store.Item) ([]byte, error) {
	return t.all.in.def.MigrateItem(t.name, item.Version, item.Value)
}

func (t *table) Fail(item store.Item, err error) {
	t.LeaveOut(item, err)
	panic(turnError{host.Faultf(wire.CodeStateIncompatible, "an item of %s does not fit this version of the actor", t.name)})
}

func (t *table) LeaveOut(item store.Item, err error) {
	if len(t.leftOut) >= maxLeftOut || t.leftOut[string(item.Key)] {
		return
	}
	if t.leftOut == nil {
		t.leftOut = map[string]bool{}
	}
	t.leftOut[string(item.Key)] = true
	t.all.in.actor.node.stats.undecodable.Add(1)
	t.all.in.actor.logger().Error("an item of a table cannot be decoded; pages and ranges leave it out", "field", t.name, "key", string(item.Key), "error", err)
}
