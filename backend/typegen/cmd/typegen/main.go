// Command typegen generates the TypeScript types of the actors of a Go package, and
// the contract for their server:
//
//	typegen [-o FILE] [-go FILE] [PACKAGE]
//
// PACKAGE is the package with the registry, in the notation of the go command:
// ./rooms, example.com/app/rooms. The default is the package in the current directory.
// It may belong to any module that requires github.com/troupe-dev/troupe. There,
// either run the version of go.mod:
//
//	go run github.com/troupe-dev/troupe/backend/typegen/cmd/typegen -o web/registry.gen.ts ./rooms
//
// or make it a tool of the module, once, and a directive for go generate:
//
//	go get -tool github.com/troupe-dev/troupe/backend/typegen/cmd/typegen
//	//go:generate go tool typegen -o ../web/registry.gen.ts
//
// If the source has problems, typegen prints one line for each, writes nothing and
// exits with 1. It does not touch files that are up to date.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/tools/go/packages"

	"github.com/troupe-dev/troupe/backend/typegen"
)

func main() {
	flags := flag.CommandLine
	ts := flags.String("o", "registry.gen.ts", "the `file` for clients")
	contract := flags.String("go", "contract_gen.go", "the `file` for the server, in the package's directory")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "Usage: typegen [-o FILE] [-go FILE] [PACKAGE]")
		flags.PrintDefaults()
	}
	flag.Parse()
	if err := run(flag.Args(), *ts, *contract); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string, ts, contract string) error {
	if len(args) > 1 {
		return fmt.Errorf("want one package, got %q", args)
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	o := typegen.Options{Dir: dir, TS: ts, Go: contract, Warn: func(line string) { fmt.Fprintln(os.Stderr, line) }}
	if len(args) == 1 {
		if o.Dir, err = find(args[0]); err != nil {
			return err
		}
	}
	if !filepath.IsAbs(ts) {
		ts = filepath.Join(dir, ts)
	}
	if o.TS, err = filepath.Rel(o.Dir, ts); err != nil { // Options.TS is relative to the package
		return err
	}
	return typegen.Generate(o)
}

// find returns the directory of a package.
func find(pattern string) (string, error) {
	pkgs, err := packages.Load(&packages.Config{Mode: packages.NeedName | packages.NeedFiles}, pattern)
	switch {
	case err != nil:
		return "", fmt.Errorf("find the package %s: %w", pattern, err)
	case len(pkgs) != 1:
		return "", fmt.Errorf("want one package, %s is %d", pattern, len(pkgs))
	case pkgs[0].Dir == "" && len(pkgs[0].Errors) > 0:
		return "", fmt.Errorf("find the package %s: %s", pattern, pkgs[0].Errors[0].Msg)
	}
	return pkgs[0].Dir, nil
}
