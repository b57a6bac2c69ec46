package actor

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/store"
)

// Step is a change of what is stored: Rename, Drop, Migrate, MigrateConn, MigrateItem,
// ToTable, RenameMessage or MigrateMessage. It is a part of a Version.
type Step struct{ step definition.Step }

// Version declares version n of a definition, and the steps by which what version n-1 has
// stored becomes what version n stores:
//
//	actor.Define[ChatRoom]("chatRoom",
//		actor.Version(1, actor.Rename("title", "name")),
//		actor.Version(2, actor.Drop("topic"), actor.Migrate(func(old chatRoomV1) chatRoomV2 { … })),
//	)
//
// What was stored before a definition had versions has version 0. Declare each version
// from 1 on, in their order, and keep old ones: an actor may sleep for years. A version
// without steps is right if only what is inside of fields has changed.
//
// The steps of all versions since the stored one run in their order when an actor is
// loaded, on its JSON. Its first change stores the new form. Until then, an older binary
// can still use the actor. After that an older binary leaves it alone and fails requests
// with unavailable, which clients repeat; other actors work. If a step fails, the actor
// fails with state_incompatible, and nothing is overwritten.
//
// New fields need no version: they begin with their zero value, and a binary that does not
// know them keeps them.
func Version(n int, steps ...Step) DefineOption {
	v := definition.Version{Number: n}
	for _, s := range steps {
		v.Steps = append(v.Steps, s.step)
	}
	return defineOption(func(s *definition.Spec) { s.Versions = append(s.Versions, v) })
}

// Rename renames a field of the state. The names are those in JSON. It costs the same
// however large the field is.
func Rename(old, new string) Step {
	s := definition.Step{Text: fmt.Sprintf("Rename(%q, %q)", old, new), From: old, To: new}
	if new == "" {
		panic(fmt.Sprintf("actor: %s: the new name is empty; write actor.Drop(%q) to remove the field", s.Text, old))
	}
	return Step{s}
}

// Drop removes a field of the state and what is stored in it. name is that in JSON.
func Drop(name string) Step {
	return Step{definition.Step{Text: fmt.Sprintf("Drop(%q)", name), From: name}}
}

// Migrate replaces the fields of the state that the struct Old has by those of the struct
// New; other fields stay as they are. So neither need have more than the fields that
// change:
//
//	actor.Migrate(func(old struct{ Age string `json:"age"` }) struct{ Age int `json:"age"` } { … })
//
// f may run any number of times for the same actor, and at any time. It must not have
// effects. If it panics, the actor fails with state_incompatible.
func Migrate[Old, New any](f func(old Old) New) Step { return convert("Migrate", f) }

// MigrateConn makes the state of a connection from one that an earlier version has stored,
// see Migrate. If it panics, the connection ends.
func MigrateConn[Old, New any](f func(old Old) New) Step {
	s := convert("MigrateConn", f)
	s.step.OfConn = true
	return s
}

// MigrateItem makes the value of an item of a Table from one that an earlier version has
// stored, see Migrate. table is the name of the field in JSON. It runs whenever an old item
// is read, and Set stores the new form. If it panics, the item is one that does not decode.
func MigrateItem[Old, New any](table string, f func(old Old) New) Step {
	s := convert("MigrateItem", f)
	s.step.Items = table
	s.step.Text = fmt.Sprintf("MigrateItem(%q, func(%s) %s)", table, s.step.Old, s.step.New)
	if table == "" {
		panic(fmt.Sprintf("actor: %s: the name of the Table is empty: want that of its field in JSON", s.step.Text))
	}
	return s
}

// RenameMessage gives stored messages of a type another type, because the Go type that a
// handler takes has another name now. The names are those under which messages are stored:
// closeVote for CloseVote.
func RenameMessage(old, new string) Step {
	s := definition.Step{Text: fmt.Sprintf("RenameMessage(%q, %q)", old, new), Message: old, To: new}
	if old == "" || new == "" {
		panic(fmt.Sprintf("actor: %s: want the names of two types of messages, as closeVote for CloseVote", s.Text))
	}
	return Step{s}
}

// MigrateMessage makes a message from one that an earlier version has stored, see Migrate.
// name is that of its type, as for RenameMessage: the one that it has at this step. It runs
// when the message is handled. If it panics, the handler fails.
func MigrateMessage[Old, New any](name string, f func(old Old) New) Step {
	s := convert("MigrateMessage", f)
	s.step.Message = name
	s.step.Text = fmt.Sprintf("MigrateMessage(%q, func(%s) %s)", name, s.step.Old, s.step.New)
	if name == "" {
		panic(fmt.Sprintf("actor: %s: the name is empty: want that of a type of messages, as closeVote for CloseVote", s.step.Text))
	}
	return s
}

// ToTable moves the items of a List into a Table, which has its place in the state now. field
// is the name in JSON, which stays the same; a Rename before or after it changes the name. f
// gets each item of the List with its index, and returns the key and the value that it has in
// the Table:
//
//	actor.ToTable("messages", func(i int, m Message) (uint64, Message) { return uint64(i) + 1, m })
//
// If the keys are integers, Append continues behind the highest one. The first change of the
// actor stores all items in one commit. If f panics, or returns a key twice, or if the Table
// already has items, the actor fails with state_incompatible, and nothing is overwritten.
func ToTable[K MapKey, Old, New any](field string, f func(i int, old Old) (K, New)) Step {
	key, old, new := reflect.TypeFor[K](), reflect.TypeFor[Old](), reflect.TypeFor[New]()
	text := fmt.Sprintf("ToTable(%q, func(int, %s) (%s, %s))", field, old, key, new)
	if f == nil || field == "" {
		panic(fmt.Sprintf("actor: %s: want the name of the field in JSON, and a function", text))
	}
	return Step{definition.Step{
		Text: text, From: field, Key: key, Old: old, New: new,
		Move: func(list []byte) (items []store.Item, next uint64, err error) {
			defer func() {
				if why := recover(); why != nil {
					err = fmt.Errorf("panic: %v", why)
				}
			}()
			var olds []Old
			if json.Unmarshal(list, &olds) != nil {
				return nil, 0, jsonshape.Locate(reflect.SliceOf(old), list, field)
			}
			seen := make(map[K]bool, len(olds))
			for i, o := range olds {
				key, value := f(i, o)
				if seen[key] {
					return nil, 0, fmt.Errorf("two items have the key %v", key)
				}
				seen[key] = true
				raw, err := encodeItem(nil, &value)
				if err != nil {
					return nil, 0, fmt.Errorf("encode item %v: %w", key, err)
				}
				items = append(items, store.Item{Key: encodeTableKey(key), Value: raw})
				next, _ = nextKey(key, next)
			}
			return items, next, nil
		},
	}}
}

func convert[Old, New any](name string, f func(Old) New) Step {
	old, new := reflect.TypeFor[Old](), reflect.TypeFor[New]()
	if f == nil {
		panic(fmt.Sprintf("actor: %s(nil): want a func(old %s) %s", name, old, new))
	}
	return Step{definition.Step{
		Text: fmt.Sprintf("%s(func(%s) %s)", name, old, new), Old: old, New: new,
		Convert: func(raw []byte) (text []byte, err error) {
			defer func() {
				if why := recover(); why != nil {
					err = fmt.Errorf("panic: %v", why)
				}
			}()
			var value Old
			if len(raw) > 0 {
				if json.Unmarshal(raw, &value) != nil {
					return nil, jsonshape.Locate(old, raw, "")
				}
			}
			return jsonshape.Marshal(f(value))
		},
	}}
}
