// Package typegen writes the TypeScript types of a package of actors from its Go
// source, and the contract that their server checks (actor.Contract). Run it by its
// command, for a package of any module that requires this one:
//
//	go run github.com/troupe-dev/troupe/backend/typegen/cmd/typegen -o web/registry.gen.ts ./rooms
//
// or by go generate, from the file that has the registry:
//
//	//go:generate go run github.com/troupe-dev/troupe/backend/typegen/cmd/typegen -o ../web/registry.gen.ts
//
// # What it finds
//
// It looks for the one package-level variable that is made by actor.NewRegistry,
// follows actor.Define and actor.Emits in it by type information, and takes from
// each actor
//
//   - its actions, with the names of their parameters in lowerCamel (userID is
//     userId) and what they return;
//   - its events;
//   - params, which OnBeforeConnect or CreateConnState takes, and input, which
//     OnCreate takes: undefined if no hook takes any, and possibly undefined if
//     none of their fields is required.
//
// Doc comments become TSDoc.
//
// # How Go types are written
//
// As encoding/json writes and reads their values:
//
//	bool, numbers, string         boolean, number, string
//	*T                            T | null
//	[]T, [n]T, actor.List[T]      T[]; nil is sent as []
//	map[K]T, actor.Map[K, T]      Record<string, T>; nil is sent as {}. If K is a union,
//	                              Partial<Record<K, T>>
//	[]byte                        string, in base64
//	time.Time, and what has       string
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
// optional: it may be missing, and Go sees its zero value. All others are
// required, in both directions. Tag the optional fields of params accordingly.
// (A pointer that is optional is missing instead of null: its type has no null,
// but the server takes null.)
//
// # The contract
//
// Both files carry a fingerprint of all that is said above, as a whole and of each
// action, event, params and input: a client that was built with another one than
// its server's finds out when it connects. Comments and names of parameters are not
// part of it, names of types are.
//
// The server's file has the values of the unions, too: what a client sends in
// arguments, params and input has to be one of them. A field that is optional may be
// missing, but "" is a value like others.
//
// Two types of the same name are told apart by the name of the package of one.
//
// # Hints
//
// A type with a MarshalJSON of its own says what it writes in a directive, and so
// does a string type whose constants are not all of its values:
//
//	//troupe:ts `#${string}`
//	type Color struct{ … }
//
//	//troupe:ts string
//	type UserID string
//
// For the types of others there is a tag: Price *big.Int `ts:"number"`. What such
// a field has is not checked further.
//
// What cannot be expressed (a channel, a complex number, an interface with methods)
// or followed (a name that is no constant) is an error with its place, and nothing
// is written.
package typegen
