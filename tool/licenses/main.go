// Licenses collects the licence texts of every Go module and npm package in the binary,
// which must accompany it. Run it in the project's directory, with
// "go run ./tool/licenses", when dependencies have changed. It writes web/licenses.txt,
// which the binary embeds; with -check it writes nothing and fails if the file is out of
// date.
//
// It also fails if a licence is not one of the accepted ones.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/troupe-dev/troupe/web/build"
)

const file = "web/licenses.txt"

func main() {
	check := flag.Bool("check", false, "compare the file instead of writing it")
	flag.Parse()
	if err := run(".", *check); err != nil {
		fmt.Fprintln(os.Stderr, "licenses:", err)
		os.Exit(1)
	}
}

func run(root string, check bool) error {
	parts, err := parts(root)
	if err != nil {
		return err
	}
	text, err := render(parts)
	if err != nil {
		return err
	}
	path := filepath.Join(root, file)
	if !check {
		return os.WriteFile(path, text, 0o644)
	}
	if old, err := os.ReadFile(path); err != nil || !bytes.Equal(old, text) {
		return errors.Join(fmt.Errorf("%s is out of date: run make licenses", file), err)
	}
	return nil
}

// part is a dependency in the binary.
type part struct {
	name string // of the module or package, with its version
	dir  string // directory of its licence
}

// parts finds all dependencies in the binary.
func parts(root string) ([]part, error) {
	found, err := modules(root)
	if err != nil {
		return nil, err
	}
	// Go's licence is also that of golang.org/x, and not every GOROOT has the file.
	i := slices.IndexFunc(found, func(p part) bool { return strings.HasPrefix(p.name, "golang.org/x/") })
	if i < 0 {
		return nil, errors.New("no licence of Go: found no module of golang.org/x, which has it")
	}
	found = slices.Insert(found, 0, part{"Go, its runtime and standard library", found[i].dir})
	packages, err := build.Packages(root)
	if err != nil {
		return nil, err
	}
	for _, name := range packages {
		dir := filepath.Join(root, "node_modules", filepath.FromSlash(name))
		version, err := npmVersion(dir)
		if err != nil {
			return nil, err
		}
		found = append(found, part{"npm: " + name + " " + version, dir})
	}
	return found, nil
}

// modules returns the Go modules linked into the binary, for all supported systems.
func modules(root string) ([]part, error) {
	found := map[part]bool{}
	for _, system := range []string{"linux", "darwin", "windows"} {
		out, err := command(root, []string{"GOOS=" + system, "GOARCH=amd64", "CGO_ENABLED=0"},
			"go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}{{end}}", ".")
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(out) {
			if name, dir, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
				found[part{name, dir}] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b part) int { return cmp.Compare(a.name, b.name) }), nil
}

func npmVersion(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		return "", err
	}
	var p struct{ Version string }
	return p.Version, json.Unmarshal(b, &p)
}

func command(root string, env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, &stderr)
	}
	return string(out), nil
}

// accepted are the accepted licences, by a phrase that only their texts have.
var accepted = map[string]string{
	"MIT":    "permission is hereby granted, free of charge, to any person obtaining a copy",
	"BSD":    "redistribution and use in source and binary forms, with or without modification",
	"Apache": "apache license version 2.0",
	"ISC":    "permission to use, copy, modify, and distribute this software for any purpose with or without fee",
}

// kind returns the name of the accepted licence that a text is, or "".
func kind(text string) string {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	text = strings.NewReplacer("license, version", "license version", "and/or", "and").Replace(text)
	for _, name := range slices.Sorted(maps.Keys(accepted)) {
		if strings.Contains(text, accepted[name]) {
			return name
		}
	}
	return ""
}

// texts returns the licence texts of a part (all files whose names begin with LICENSE,
// COPYING, NOTICE or PATENTS) and the licence's name.
func texts(p part) (text, name string, err error) {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return "", "", err
	}
	var all []string
	for _, entry := range entries {
		word, _, _ := strings.Cut(strings.ToUpper(strings.ReplaceAll(entry.Name(), "-", ".")), ".")
		if entry.IsDir() || !slices.Contains([]string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS"}, word) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(p.dir, entry.Name()))
		if err != nil {
			return "", "", err
		}
		s := strings.TrimSpace(strings.ReplaceAll(string(b), "\r\n", "\n"))
		name = cmp.Or(name, kind(s))
		all = append(all, s)
	}
	if name == "" {
		return "", "", fmt.Errorf("%s: no accepted licence (%s) in %s", p.name, strings.Join(slices.Sorted(maps.Keys(accepted)), ", "), p.dir)
	}
	return strings.Join(all, "\n\n"), name, nil
}

// render renders the file. Parts with the same text share it.
func render(parts []part) ([]byte, error) {
	names := map[string][]string{} // by text
	var order []string
	for _, p := range parts {
		text, kind, err := texts(p)
		if err != nil {
			return nil, err
		}
		if names[text] == nil {
			order = append(order, text)
		}
		names[text] = append(names[text], fmt.Sprintf("%s (%s)", p.name, kind))
	}
	var b bytes.Buffer
	b.WriteString("This program contains the following third-party software, under the licences below.\n" +
		"go run ./tool/licenses generates this file.\n")
	for _, text := range order {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(names[text], "\n"), text)
	}
	return b.Bytes(), nil
}
