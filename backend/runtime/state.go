package runtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/delta"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// state is the state of a loaded actor. It has scalar fields, which are encoded and
// compared as a whole after each turn, collections, which record their changes, and tables,
// whose items are apart (see the type tables). As JSON it is one object: first the scalar
// fields, then stored fields that its type does not have, then the collections in their
// order. It belongs to the goroutine of its instance.
type state struct {
	actor *Actor // for its log
	def   *definition.Definition

	value  reflect.Value      // *T
	base   []byte             // its scalar fields as JSON, after the last turn that succeeded
	saved  []byte             // the same as the store has it; nil if the next commit has to have the whole state
	moved  []definition.Moved // from the stored state into tables, by a step of a version; for newTables
	extra  []byte             // stored fields that the type does not have, as members of the object joined by commas
	broken *host.Fault        // not nil: the state cannot be used; every request gets this

	warned bool // that the state is large

	collections []definition.Collection // in its fields, as listed in the definition
	tables      []definition.Table      // likewise
	fields      []reflect.Value         // what the fields of collections, then those of tables, have to hold
}

// newState returns the state of an actor that was never stored. Call keep once it is
// filled.
func newState(a *Actor, def *definition.Definition) state {
	s := state{actor: a, def: def, value: reflect.New(def.Type)}
	keep := func(field reflect.Value) {
		kept := reflect.New(field.Type()).Elem()
		kept.Set(field)
		s.fields = append(s.fields, kept)
	}
	for _, f := range def.Collections {
		field := s.value.Elem().Field(f.Index)
		s.collections = append(s.collections, def.Collection(field.Addr()))
		keep(field)
	}
	for _, f := range def.Tables {
		field := s.value.Elem().Field(f.Index)
		s.tables = append(s.tables, def.Table(field.Addr()))
		keep(field)
	}
	return s
}

// keep takes charge of the collections.
func (s *state) keep() {
	for i, c := range s.collections {
		field := s.def.Collections[i].Field
		c.Keep(field, func() {
			s.actor.logger().Error("a List or Map was changed outside a turn, and the change was dropped; from other goroutines use c.Self().Do(ctx, func(c) error)",
				"field", field, "stack", string(debug.Stack()))
		})
	}
}

// encode returns the scalar fields as JSON. It fails if the state cannot be stored.
func (s *state) encode() (b []byte, err error) {
	if err := s.checkMisuse(); err != nil {
		return nil, err
	}
	fields := s.scalarFields()
	if flat := jsonshape.FlatOf(s.def.ScalarType); flat != nil {
		b, err = flat.Append(nil, fields.Elem())
	} else {
		_, err = protect(func() (any, error) {
			b, err = jsonshape.Marshal(fields.Interface())
			return nil, err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("encode the state of %s: %w", s.def.Name, err)
	}
	return b, nil
}

// checkRoundTrip finds values of the scalar fields that change when the actor is loaded
// again.
func (s *state) checkRoundTrip(scalars []byte) error {
	loaded := reflect.New(s.def.ScalarType)
	if err := json.Unmarshal(scalars, loaded.Interface()); err != nil {
		return fmt.Errorf("the state of %s cannot be decoded from its own JSON: %w", s.def.Name, err)
	}
	if c := jsonshape.Changed(s.scalarFields().Elem(), loaded.Elem()); c != "" {
		return fmt.Errorf("field %s%s", s.def.Type.Name(), c)
	}
	return nil
}

// size returns the length of the state as JSON.
func (s *state) size(scalars []byte, of func(definition.Collection) int) int {
	const brackets = 2
	size := headSize(scalars)
	if len(s.extra) > 0 {
		size += len(s.extra) + 1
	}
	for i, c := range s.collections {
		size += len(s.def.Collections[i].Label) + brackets + of(c) + 1
	}
	return size
}

// checkSize warns once if the state is large. If bounded, it returns an error if the state is
// larger than it may be, and larger than after the last turn: what is stored beyond a limit
// may stay. scalars is the JSON of the scalar fields.
func (s *state) checkSize(scalars []byte, bounded bool) error {
	size, limit := s.size(scalars, definition.Collection.Size), s.def.Options.MaxState
	if bounded && size > limit && size > s.size(s.base, definition.Collection.SizeBefore) {
		return host.Limit{Size: size, Limit: limit, Option: "actor.Options.MaxState"}.
			Fault(wire.CodeTooLarge, fmt.Sprintf("the state of %s would have %d bytes, the limit is %d; keep what grows in an actor.Table", s.def.Name, size, limit))
	}
	if size > limit/2 && !s.warned {
		s.warned = true
		s.actor.logger().Warn("the state of an actor has reached half of its limit; keep what grows in an actor.Table", "bytes", size, "limit", limit, "option", "actor.Options.MaxState")
	}
	return nil
}

// checkDepth returns an error if the state nests deeper than it may, and deeper than after
// the last turn.
func (s *state) checkDepth(scalars []byte) error {
	deeper := jsonshape.TooDeep(s.def.ScalarType, scalars) && jsonshape.Depth(scalars) > jsonshape.Depth(s.base)
	for _, c := range s.collections {
		deeper = deeper || c.Deeper(jsonshape.MaxDepth)
	}
	if deeper {
		return definition.TooDeepFault("the state of " + s.def.Name)
	}
	return nil
}

// scalarFields returns a pointer to the state seen as a type that has no
// collections.
func (s *state) scalarFields() reflect.Value {
	if s.def.ScalarType == s.def.Type {
		return s.value
	}
	return reflect.NewAt(s.def.ScalarType, s.value.UnsafePointer())
}

// load fills the state from its JSON. exact reports whether this
// binary would write the collections in the same way, so that they can be edited there;
// scalars is the JSON of the scalar fields in it.
func (s *state) load(text []byte) (scalars []byte, exact bool, err error) {
	if err := json.Unmarshal(text, s.scalarFields().Interface()); err != nil {
		return nil, false, err
	}
	if len(s.collections) == 0 {
		return text, true, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, false, err
	}
	exact = true
	rest, _ := bytes.CutSuffix(text, []byte{'}'})
	for i := len(s.collections) - 1; i >= 0; i-- {
		name := s.def.Collections[i].Name
		raw := fields[name]
		for key := range fields {
			if raw == nil && strings.EqualFold(key, name) { // encoding/json ignores case, too
				raw = fields[key]
			}
		}
		if raw == nil {
			exact = false
			continue
		}
		ok, err := s.collections[i].Load(raw)
		if err != nil {
			return nil, false, fmt.Errorf("field %s: %w", name, err)
		}
		var last bool
		if rest, last = bytes.CutSuffix(rest, raw); last {
			rest, last = bytes.CutSuffix(rest, s.def.Collections[i].Label)
		}
		if last && len(rest) > 1 { // it is not the first field
			rest, last = bytes.CutSuffix(rest, []byte{','})
		}
		exact = exact && ok && last
	}
	return append(bytes.Clone(rest), '}'), exact, nil
}

// loadVersion is load of a state that a version of the definition has stored. It replaces
// text by what the current version would have stored.
func (s *state) loadVersion(version int, text *[]byte) (scalars []byte, exact bool, err error) {
	if version != s.def.Version() {
		if !json.Valid(*text) {
			return nil, false, errors.New("it is not JSON")
		}
		if *text, s.moved, err = s.def.MigrateState(version, *text); err != nil {
			return nil, false, err
		}
	}
	_, err = protect(func() (_ any, err error) { // an author's UnmarshalJSON may panic
		if scalars, exact, err = s.load(*text); err != nil {
			if located := s.def.LocateState(*text); located != nil {
				err = located
			}
		}
		return nil, err
	})
	return scalars, exact, err
}

// checkTables returns an error if the stored tables do not fit the type: if they have keys of
// another kind, or if a step of a version moves items into a table that has some. tables are
// the headers of the current version.
func (s *state) checkTables(tables []store.Table) error {
	if err := s.def.CheckTableKeys(tables); err != nil {
		return err
	}
	for _, m := range s.moved {
		for _, h := range tables {
			if h.Field == m.Table && h.Len > 0 {
				return fmt.Errorf("the List in field %s cannot become a Table: that already has %d items", m.Table, h.Len)
			}
		}
	}
	return nil
}

// loadConnState returns a connection's state that a version of the definition has stored, and
// its JSON in the current version.
func loadConnState(def *definition.Definition, version int, text []byte) (value any, raw []byte, err error) {
	_, err = protect(func() (_ any, err error) {
		if raw, err = def.MigrateConn(version, text); err == nil {
			value, err = def.DecodeConnState(raw)
		}
		return nil, err
	})
	return value, raw, err
}

// settle ends loading. text, scalars and exact are of load, and base is set. stored reports
// whether text is what the store has. It finds the stored fields that the type does not
// have; most states are as this binary writes them, and are not searched.
func (s *state) settle(text, scalars []byte, exact, stored bool) {
	if !bytes.Equal(scalars, s.base) {
		if exact {
			text = scalars
		}
		scalars = s.keepUnknown(text)
	}
	if exact && stored {
		s.saved = scalars
	}
}

// keepUnknown keeps the fields in a text that the type does not have. It returns the text
// without them, nil if they are not at its end, where this binary writes them.
func (s *state) keepUnknown(text []byte) (known []byte) {
	members := jsonshape.Members(text)
	unknown := slices.DeleteFunc(slices.Clone(members), func(m jsonshape.Member) bool { return s.def.HasField(m.Name) })
	if len(unknown) == 0 {
		return text
	}
	for _, m := range unknown {
		s.actor.node.unknownFields.warn(s.actor, m.Name)
	}
	s.extra = jsonshape.AppendMembers(nil, unknown)
	known, atEnd := bytes.CutSuffix(text, append(bytes.Clone(s.extra), '}'))
	if !atEnd {
		return nil
	}
	known, _ = bytes.CutSuffix(known, []byte{','}) // it is not there if all fields are unknown
	return append(bytes.Clone(known), '}')
}

// allow sets whether the running code may change the collections, and returns the
// previous setting.
func (s *state) allow(changes bool) (before bool) {
	for _, c := range s.collections {
		before = c.Allow(changes)
	}
	return before
}

// changes returns how many changes each collection has had since the last turn.
func (s *state) changes() []int {
	if len(s.collections) == 0 {
		return nil
	}
	savepoints := make([]int, len(s.collections))
	for i, c := range s.collections {
		savepoints[i] = c.Savepoint()
	}
	return savepoints
}

// changed reports whether the state differs from that after the last turn; scalars is
// the JSON of its scalar fields.
func (s *state) changed(scalars []byte) bool {
	for _, c := range s.collections {
		if c.Savepoint() > 0 {
			return true
		}
	}
	return !bytes.Equal(scalars, s.base)
}

// checkMisuse returns an error if a collection or a table was assigned.
func (s *state) checkMisuse() error {
	for i, c := range s.collections {
		f := s.def.Collections[i]
		if s.def.Collection(s.value.Elem().Field(f.Index).Addr()) != c {
			return fmt.Errorf("field %s was assigned; change it with its methods", f.Field)
		}
	}
	for i, t := range s.tables {
		f := s.def.Tables[i]
		if s.def.Table(s.value.Elem().Field(f.Index).Addr()) != t {
			return fmt.Errorf("field %s was assigned; change it with its methods", f.Field)
		}
	}
	return nil
}

// same reports whether the state is the one after the last turn.
func (s *state) same() bool {
	scalars, err := s.encode()
	return err == nil && !s.changed(scalars)
}

// undo restores the stored fields to their values after the last turn that succeeded. It
// does not change ephemeral fields.
func (s *state) undo() { s.undoTo(s.base, nil) }

// undoTo is undo to a savepoint in the turn: these scalar fields, and so many changes of
// each collection (nil: none).
func (s *state) undoTo(scalars []byte, changes []int) {
	undone := false
	for i, c := range s.collections {
		field := s.value.Elem().Field(s.def.Collections[i].Index)
		field.Set(s.fields[i]) // it may have been assigned
		savepoint := 0
		if changes != nil {
			savepoint = changes[i]
		}
		undone = undone || c.Savepoint() > savepoint
		c.Rollback(savepoint)
	}
	for i := range s.tables {
		s.value.Elem().Field(s.def.Tables[i].Index).Set(s.fields[len(s.collections)+i]) // likewise
	}
	if now, err := s.encode(); err != nil || !bytes.Equal(now, scalars) {
		s.decode(scalars)
		undone = true
	}
	if !undone {
		return
	}
	if err := s.restored(); err != nil {
		s.actor.logger().Error("OnRestore failed", "error", err)
	}
}

// decode sets the scalar fields from JSON. It decodes into a fresh value: decoding over
// the struct would keep new map keys, omitted fields and elements of reused arrays.
func (s *state) decode(scalars []byte) {
	fresh := reflect.New(s.def.ScalarType)
	if err := json.Unmarshal(scalars, fresh.Interface()); err != nil {
		s.setUnrestorable(fmt.Errorf("MarshalJSON and UnmarshalJSON of its types do not match: %w", err))
		return
	}
	for _, i := range s.def.Fields {
		to, from := s.value.Elem().Field(i), fresh.Elem().Field(i)
		// An embedded struct of an unexported type cannot be set otherwise.
		reflect.NewAt(to.Type(), to.Addr().UnsafePointer()).Elem().Set(reflect.NewAt(from.Type(), from.Addr().UnsafePointer()).Elem())
	}
}

// setUnrestorable makes the actor discard the instance and load its stored state.
func (s *state) setUnrestorable(err error) {
	s.actor.logger().Error("restore the last state of an actor failed", "error", err)
	s.broken = host.Faultf(wire.CodeStateIncompatible, "the state of this %s cannot be restored", s.def.Name)
}

// restored runs the hook OnRestore, after loading and after an undo. It may not change
// collections, because the change would belong to no turn.
func (s *state) restored() error {
	h := s.def.Hooks["OnRestore"]
	if h == nil {
		return nil
	}
	defer s.allow(s.allow(false))
	_, err := protect(func() (any, error) { return h.Call(s.value, nil, nil) })
	return err
}

// save puts the state, or its changes, into a commit. scalars is the JSON of its scalar
// fields.
func (s *state) save(commit *store.Commit, scalars []byte) {
	switch {
	case len(s.collections) == 0 && len(s.extra) == 0:
		commit.State, commit.Base = scalars, s.saved
	case s.saved == nil:
		commit.State = s.text(scalars)
	default:
		commit.Edits = s.edits(scalars)
	}
	s.saved = scalars
}

// text returns the whole state as JSON.
func (s *state) text(scalars []byte) []byte {
	text := append(head(scalars), s.extra...)
	for i, c := range s.collections {
		if i > 0 || len(s.extra) > 0 {
			text = append(text, ',')
		}
		var err error
		if text, err = c.Encode(append(text, s.def.Collections[i].Label...)); err != nil {
			panic(fmt.Sprintf("an item of %s can no longer be encoded: %v", s.def.Collections[i].Field, err))
		}
	}
	return append(text, '}')
}

// edits returns the edits that turn the stored text into the new one. They go from the
// end of the text to its start, so that none moves the place of a later one.
func (s *state) edits(scalars []byte) []store.Edit {
	const brackets, comma = 2, 1
	end := headSize(s.saved) - comma
	if len(s.extra) > 0 {
		end += comma + len(s.extra)
	}
	for i, c := range s.collections {
		end += comma + len(s.def.Collections[i].Label) + brackets + c.SizeBefore()
	}
	var edits []store.Edit
	for i := len(s.collections) - 1; i >= 0; i-- {
		c := s.collections[i]
		start := end - 1 - c.SizeBefore()
		edits = c.Edits(edits, start)
		end = start - 1 - len(s.def.Collections[i].Label) - comma
	}
	if !bytes.Equal(scalars, s.saved) {
		for _, e := range delta.Find(head(s.saved), head(scalars)) {
			edits = append(edits, store.Edit(e))
		}
	}
	return edits
}

// head returns the part of a state's text before the unknown fields and the collections.
func head(scalars []byte) []byte {
	h := append(make([]byte, 0, len(scalars)+64), scalars[:len(scalars)-1]...)
	if len(h) > 1 {
		h = append(h, ',')
	}
	return h
}

// headSize returns the length of head(scalars).
func headSize(scalars []byte) int {
	if string(scalars) == "{}" {
		return len("{")
	}
	return len(scalars) // a comma replaces the brace
}

// accept makes the current state the one to which undo returns.
func (s *state) accept(scalars []byte) {
	s.base = scalars
	for _, c := range s.collections {
		c.Done()
	}
}
