// Command typegen writes the TypeScript types of the actors of the Go package in
// the current directory, and for their server what it has in common with its clients:
//
//	//go:generate go run github.com/troupe-dev/troupe/backend/typegen/cmd/typegen -o ../../web/src/registry.gen.ts
//
// A file that is up to date is not touched.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/troupe-dev/troupe/backend/typegen"
)

func main() {
	o := typegen.Options{Dir: "."}
	flag.StringVar(&o.TS, "o", "registry.gen.ts", "the `file` for clients")
	flag.StringVar(&o.Go, "go", "contract_gen.go", "the `file` for the server, in this directory")
	flag.Parse()
	if err := typegen.Generate(o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
