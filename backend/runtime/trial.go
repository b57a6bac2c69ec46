package runtime

import (
	"errors"
	"fmt"
	"slices"

	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/store"
)

// Trial loads stored actors as a Node would, without running them: of their hooks only
// OnRestore runs. All its methods may be called at the same time.
type Trial struct{ defs definition.Set }

// NewTrial makes a Trial of the definitions of a registry.
func NewTrial(r Registry) *Trial { return &Trial{r.Definitions()} }

// Tried is what became of a stored actor.
type Tried struct {
	Undefined bool    // there is no definition of its name
	Newer     bool    // a newer version of its definition has stored it
	Err       error   // it cannot be loaded; the place in the state, and why
	Conns     []error // why states of its connections do not decode
	Messages  []error // why messages that it has scheduled or sent, and that are not finished, do not decode
	Unknown   []string
	Tables    []TriedTable
}

// TriedTable is a table of a stored actor. Check returns why an item does not decode, nil
// if it does.
type TriedTable struct {
	ID    int
	Field string
	Check func(store.Item) error
}

// Load tries an actor.
func (tr *Trial) Load(snap *store.Snapshot) (t Tried) {
	def := tr.defs[snap.Name]
	if def == nil {
		return Tried{Undefined: true}
	}
	if snap.Tombstone {
		if snap.Version > def.Version() {
			return Tried{Newer: true, Err: definition.ErrNewer}
		}
		return Tried{}
	}
	s, text := newState(nil, def), jsonshape.ValidUTF8(snap.State)
	_, _, err := s.loadVersion(snap.Version, &text)
	if errors.Is(err, definition.ErrNewer) {
		return Tried{Newer: true, Err: err}
	}
	tables := def.MigrateTables(snap.Version, snap.Tables)
	if err == nil {
		err = s.checkTables(tables)
	}
	if err == nil {
		err = s.tryRestore()
	}
	if err == nil {
		err = s.tryMoved()
	}
	if err != nil {
		t.Err = err
		return t
	}
	for _, m := range jsonshape.Members(text) {
		if !def.HasField(m.Name) {
			t.Unknown = append(t.Unknown, m.Name)
		}
	}
	for _, h := range tables {
		if !def.HasTable(h) {
			t.Unknown = append(t.Unknown, h.Field)
		}
		for i, f := range def.Tables {
			if f.Name == h.Field {
				t.Tables = append(t.Tables, TriedTable{h.ID, f.Name, func(item store.Item) error { return s.tryItem(i, item) }})
			}
		}
	}
	for _, c := range snap.Conns {
		_, err := protect(func() (any, error) {
			raw, err := def.MigrateConn(c.Version, jsonshape.ValidUTF8(c.State))
			if err == nil && len(raw) > 0 {
				err = jsonshape.Locate(def.ConnType, raw, "")
			}
			return nil, err
		})
		if err != nil {
			t.Conns = append(t.Conns, fmt.Errorf("the state of connection %s: %w", c.ID, err))
		}
	}
	for _, m := range snap.Messages {
		handles := def
		if m.To != "" {
			handles = tr.defs[m.Name]
		}
		_, err := protect(func() (any, error) {
			if handles == nil {
				return nil, fmt.Errorf("it is for an actor of %q, which has no definition", m.Name)
			}
			_, _, err := handles.Handlers.Decode(m.Type, m.Version, m.Data)
			return nil, err
		})
		if err != nil {
			t.Messages = append(t.Messages, fmt.Errorf("message %d: %w", m.ID, err))
		}
	}
	return t
}

// tryItem returns why an item of the table at an index does not decode.
func (s *state) tryItem(i int, item store.Item) error {
	_, err := protect(func() (_ any, err error) {
		if item.Value, err = s.def.MigrateItem(s.def.Tables[i].Name, item.Version, item.Value); err == nil {
			err = s.tables[i].Check(item)
		}
		return nil, err
	})
	return err
}

// tryMoved returns why an item that a step moves into a table does not decode.
func (s *state) tryMoved() error {
	for _, m := range s.moved {
		at := slices.IndexFunc(s.def.Tables, func(f definition.TableField) bool { return f.Name == m.Table })
		for _, item := range m.Items {
			if err := s.tryItem(at, item); err != nil {
				return fmt.Errorf("table %s: %w", m.Table, err)
			}
		}
	}
	return nil
}

// tryRestore runs OnRestore, and encodes the state.
func (s *state) tryRestore() error {
	for i, c := range s.collections {
		field := s.def.Collections[i].Field
		c.Keep(field, func() { panic(fmt.Sprintf("field %s was changed by OnRestore", field)) })
	}
	if err := s.restored(); err != nil {
		return fmt.Errorf("OnRestore: %w", err)
	}
	_, err := s.encode()
	return err
}
