// Package definition describes a Go type as an actor: its state, methods, hooks, events
// and what JSON has to fit them. Package actor makes definitions, package runtime
// runs actors by them, and package typegen shares their names.
package definition
