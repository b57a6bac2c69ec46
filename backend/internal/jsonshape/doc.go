// Package jsonshape relates Go types to JSON: which fields of a struct encoding/json
// reads and writes (field.go), what JSON has to be like to be a value of a type
// (shape.go, decode.go), and how values are encoded for clients and for the store
// (encode.go, flat.go).
//
// The runtime checks what clients send with it, and package typegen writes types for
// TypeScript with it: what one checks is what the other promises. The package knows no
// actors and keeps no state besides caches by type.
package jsonshape
