// Command typegen writes the TypeScript types of the actors of the Go package in
// the current directory:
//
//	//go:generate go run github.com/troupe-dev/troupe/backend/typegen/cmd -o ../../web/src/registry.gen.ts
//
// A file that is up to date is not touched.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"

	"github.com/troupe-dev/troupe/backend/typegen"
)

func main() {
	out := flag.String("o", "registry.gen.ts", "the file to write")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "typegen:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	source, err := typegen.Generate(".")
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(out); err == nil && bytes.Equal(old, source) {
		return nil
	}
	return os.WriteFile(out, source, 0o644)
}
