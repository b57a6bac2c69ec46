// Package jsonshape relates Go types to JSON: the fields of a struct that encoding/json
// reads and writes (field.go), the JSON that fits a type (shape.go, decode.go), and the
// encoding of values for clients and for the store (encode.go, flat.go).
//
// The runtime checks client data with it, and package typegen generates TypeScript types
// from it, so that both agree. The package does not depend on actors. Its only state is
// caches by type.
package jsonshape
