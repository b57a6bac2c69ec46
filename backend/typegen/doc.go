// Package typegen generates the TypeScript types of a package of actors from its Go
// source, and the contract that their server checks (actor.Contract). Run its command
// for a package of any module that requires this one:
//
//	go run github.com/troupe-dev/troupe/backend/typegen/cmd/typegen -o web/registry.gen.ts ./rooms
//
// or by go generate, from the file that has the registry:
//
//	//go:generate go run github.com/troupe-dev/troupe/backend/typegen/cmd/typegen -o ../web/registry.gen.ts
//
// # Input
//
// It looks for the one package-level variable that is made by actor.NewRegistry,
// follows actor.Define and actor.Emits in it by type information, and reads from each
// actor
//
//   - its actions, with the names of their parameters in lowerCamel (userID becomes
//     userId) and their results;
//   - its events;
//   - params, the parameter of OnBeforeConnect or CreateConnState, and input, the
//     parameter of OnCreate: undefined if no hook has one, and possibly undefined if
//     none of their fields is required.
//
// Doc comments become TSDoc.
//
// # Go types in TypeScript
//
// They follow the JSON of encoding/json:
//
//	bool, numbers, string         boolean, number, string
//	*T                            T | null
//	[]T, [n]T, actor.List[T]      T[]; nil is sent as []
//	map[K]T, actor.Map[K, T]      Record<string, T>; nil is sent as {}. If K is a union,
//	                              Partial<Record<K, T>>
//	[]byte                        string, in base64
//	time.Time, and types with     string
//	  MarshalText
//	json.Number                   number
//	json.RawMessage, any          unknown
//	struct                        an interface; fields of embedded structs are promoted
//	                              as encoding/json does it
//	a named string type that has  a union of the values of these constants
//	  constants
//	Page[Message]                 an interface PageMessage
//
// A field that is tagged omitempty or omitzero, or is in an embedded pointer, is
// optional: it may be missing, and Go gets its zero value. All others are required,
// in both directions. Tag the optional fields of params accordingly. (An optional
// pointer is missing instead of null: its type has no null, but the server accepts
// null.)
//
// JavaScript has integers up to 2^53 exactly and rounds larger ones. Tag a field that
// may be larger `json:",string"`: its type is string then. typegen warns of uint64, and
// of int64 in fields and types that are named like an id.
//
// # The contract
//
// Both files have a fingerprint of these types, as a whole and of each action, event,
// params and input. A client whose fingerprint differs from the server's learns
// this when it connects. The names of types are a part of the fingerprint; comments
// and the names of parameters are not.
//
// The server's file also has the values of the unions: the server refuses other values
// in arguments, params and input. An optional field may be missing, but "" is a value
// like any other.
//
// If two types have the same name, one gets the name of its package as a prefix.
//
// # Hints
//
// A type with a MarshalJSON of its own needs a directive with its TypeScript type, and
// so does a string type whose constants are not all of its values:
//
//	//troupe:ts `#${string}`
//	type Color struct{ … }
//
//	//troupe:ts string
//	type UserID string
//
// For the types of other packages use a tag: Price *big.Int `ts:"number"`. Its text is
// not checked.
//
// A type that has no JSON (a channel, a complex number, an interface with methods) and
// a definition that typegen cannot follow (a name that is not constant) is an error
// with its position, and nothing is written. So is a mistake that would go unnoticed: a
// change of the receiver in a method with a value receiver, which is read-only; a name
// that is almost that of a hook; an event without exported fields. An exported method
// without a Context is a warning, and so is a handler of messages with a value receiver.
package typegen
