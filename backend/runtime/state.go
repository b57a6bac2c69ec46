package runtime

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/delta"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// A state has plain fields, which are encoded and compared as a whole after each
// turn, and collections, which know what was changed. As JSON it is one object:
// first the plain fields, then the collections in their order.

// encode returns the plain fields as JSON. It fails if the state cannot be stored.
func (in *instance) encode() (b []byte, err error) {
	if err := in.misused(); err != nil {
		return nil, err
	}
	fields := in.plainFields()
	if flat := jsonshape.FlatOf(in.def.PlainType); flat != nil {
		b, err = flat.Append(nil, fields.Elem())
	} else {
		_, err = protect(func() (any, error) {
			b, err = json.Marshal(fields.Interface())
			return nil, err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("encode the state of %s: %w", in.def.Name, err)
	}
	return b, nil
}

// plainFields returns a pointer to the state seen as a type that has no
// collections.
func (in *instance) plainFields() reflect.Value {
	if in.def.PlainType == in.def.Type {
		return in.state
	}
	return reflect.NewAt(in.def.PlainType, in.state.UnsafePointer())
}

// load fills the state from its JSON. exact reports whether that is how this
// binary would write the collections, in which case they can be edited there;
// plain is the JSON of the plain fields in it.
func (in *instance) load(text []byte) (plain []byte, exact bool, err error) {
	if err := json.Unmarshal(text, in.plainFields().Interface()); err != nil {
		return nil, false, err
	}
	if len(in.collections) == 0 {
		return text, true, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, false, err
	}
	exact = true
	rest, _ := bytes.CutSuffix(text, []byte{'}'})
	for i := len(in.collections) - 1; i >= 0; i-- {
		name := in.def.Collections[i].Name
		raw := fields[name]
		for key := range fields {
			if raw == nil && strings.EqualFold(key, name) { // encoding/json takes it for a plain field, too
				raw = fields[key]
			}
		}
		if raw == nil {
			exact = false
			continue
		}
		ok, err := in.collections[i].Load(raw)
		if err != nil {
			return nil, false, fmt.Errorf("field %s: %w", name, err)
		}
		var last bool
		if rest, last = bytes.CutSuffix(rest, raw); last {
			rest, last = bytes.CutSuffix(rest, in.def.Collections[i].Label)
		}
		if last && len(rest) > 1 { // it is not the first field
			rest, last = bytes.CutSuffix(rest, []byte{','})
		}
		exact = exact && ok && last
	}
	return append(bytes.Clone(rest), '}'), exact, nil
}

// findCollections makes the collections in the state's fields the instance's.
func (in *instance) findCollections() {
	for _, f := range in.def.Collections {
		field := in.state.Elem().Field(f.Index)
		in.collections = append(in.collections, in.def.Collection(field.Addr()))
		kept := reflect.New(field.Type()).Elem()
		kept.Set(field)
		in.fields = append(in.fields, kept)
	}
}

// keepCollections takes charge of the collections, once they are loaded.
func (in *instance) keepCollections() {
	for i, c := range in.collections {
		c.Keep(in.def.Collections[i].Field, in.actor.node.check)
	}
}

// allow says whether what runs may change the collections, and returns whether
// what ran before might.
func (in *instance) allow(changes bool) (before bool) {
	for _, c := range in.collections {
		before = c.Allow(changes)
	}
	return before
}

// changes returns how many changes each collection has had since the last turn.
func (in *instance) changes() []int {
	if len(in.collections) == 0 {
		return nil
	}
	savepoints := make([]int, len(in.collections))
	for i, c := range in.collections {
		savepoints[i] = c.Savepoint()
	}
	return savepoints
}

// changed reports whether the state differs from that after the last turn; plain
// is the JSON of its plain fields.
func (in *instance) changed(plain []byte) bool {
	for _, c := range in.collections {
		if c.Savepoint() > 0 {
			return true
		}
	}
	return !bytes.Equal(plain, in.base)
}

// misused returns an error if a collection was changed other than by its methods.
func (in *instance) misused() error {
	for i, c := range in.collections {
		f := in.def.Collections[i]
		if in.def.Collection(in.state.Elem().Field(f.Index).Addr()) != c {
			return fmt.Errorf("field %s was assigned: change it by its methods", f.Field)
		}
		if c.InPlace() {
			return fmt.Errorf("an item of field %s was changed in place: change a copy, and put that in its place", f.Field)
		}
	}
	return nil
}

// same reports whether the state is that after the last turn.
func (in *instance) same() bool {
	plain, err := in.encode()
	return err == nil && !in.changed(plain)
}

// undo puts the stored fields back to what they were after the last turn that
// succeeded. Ephemeral fields are left alone.
func (in *instance) undo() { in.undoTo(in.base, nil) }

// undoTo is undo to another moment of the turn: with these plain fields, and so
// many changes of each collection (nil: none).
func (in *instance) undoTo(plain []byte, changes []int) {
	undone := false
	for i, c := range in.collections {
		field := in.state.Elem().Field(in.def.Collections[i].Index)
		field.Set(in.fields[i]) // it may have been assigned
		savepoint := 0
		if changes != nil {
			savepoint = changes[i]
		}
		undone = undone || c.Savepoint() > savepoint
		c.Rollback(savepoint)
		if c.InPlace() {
			in.cannotRestore(in.misused())
		}
	}
	if now, err := in.encode(); err != nil || !bytes.Equal(now, plain) {
		in.decode(plain)
		undone = true
	}
	if !undone {
		return
	}
	if err := in.restored(); err != nil {
		in.actor.logger().Error("OnRestore failed", "error", err)
	}
}

// decode decodes plain fields into a fresh value and takes them. Decoding over the
// struct would keep new map keys, omitted fields and the elements of reused arrays.
func (in *instance) decode(plain []byte) {
	fresh := reflect.New(in.def.PlainType)
	if err := json.Unmarshal(plain, fresh.Interface()); err != nil {
		in.cannotRestore(fmt.Errorf("its types' MarshalJSON and UnmarshalJSON do not fit: %w", err))
		return
	}
	for _, i := range in.def.Fields {
		to, from := in.state.Elem().Field(i), fresh.Elem().Field(i)
		// An embedded struct of an unexported type cannot be set otherwise.
		reflect.NewAt(to.Type(), to.Addr().UnsafePointer()).Elem().Set(reflect.NewAt(from.Type(), from.Addr().UnsafePointer()).Elem())
	}
}

// cannotRestore makes the actor discard the instance: the store has its state.
func (in *instance) cannotRestore(err error) {
	in.actor.logger().Error("the last state of an actor cannot be restored", "error", err)
	in.broken = host.Faultf(wire.CodeStateIncompatible, "the state of this %s cannot be restored", in.def.Name)
}

// restored runs the hook OnRestore, after loading and after an undo. What it changed
// of a collection would belong to no turn.
func (in *instance) restored() error {
	h := in.def.Hooks["OnRestore"]
	if h == nil {
		return nil
	}
	defer in.allow(in.allow(false))
	_, err := protect(func() (any, error) { return h.Call(in.state, nil, nil) })
	return err
}

// save puts the state into a commit: whole, or what has changed of it. plain is
// the JSON of its plain fields.
func (in *instance) save(commit *store.Commit, plain []byte) {
	switch {
	case len(in.collections) == 0:
		commit.State, commit.Base = plain, in.saved
	case in.saved == nil:
		commit.State = in.text(plain)
	default:
		commit.Edits = in.edits(plain)
	}
	in.saved = plain
}

// text returns the whole state as JSON.
func (in *instance) text(plain []byte) []byte {
	text := head(plain)
	for i, c := range in.collections {
		if i > 0 {
			text = append(text, ',')
		}
		var err error
		if text, err = c.Encode(append(text, in.def.Collections[i].Label...)); err != nil {
			panic(fmt.Sprintf("an item of %s could be encoded and cannot any more: %v", in.def.Collections[i].Field, err))
		}
	}
	return append(text, '}')
}

// edits returns what makes that text out of the one that the store has. What comes
// last in it is first: so nothing moves the rest.
func (in *instance) edits(plain []byte) []store.Edit {
	const brackets, comma = 2, 1
	end := headSize(in.saved) - comma
	for i, c := range in.collections {
		end += comma + len(in.def.Collections[i].Label) + brackets + c.SizeBefore()
	}
	var edits []store.Edit
	for i := len(in.collections) - 1; i >= 0; i-- {
		c := in.collections[i]
		start := end - 1 - c.SizeBefore()
		edits = c.Edits(edits, start)
		end = start - 1 - len(in.def.Collections[i].Label) - comma
	}
	if !bytes.Equal(plain, in.saved) {
		for _, e := range delta.Find(head(in.saved), head(plain)) {
			edits = append(edits, store.Edit(e))
		}
	}
	return edits
}

// head returns what the text of a state has before the collections.
func head(plain []byte) []byte {
	h := append(make([]byte, 0, len(plain)+64), plain[:len(plain)-1]...)
	if len(h) > 1 {
		h = append(h, ',')
	}
	return h
}

// headSize returns the length of head(plain).
func headSize(plain []byte) int {
	if string(plain) == "{}" {
		return len("{")
	}
	return len(plain) // a comma comes in place of the brace
}

// accept makes the state that of the last turn that succeeded.
func (in *instance) accept(plain []byte) {
	in.base = plain
	for _, c := range in.collections {
		c.Done()
	}
}
