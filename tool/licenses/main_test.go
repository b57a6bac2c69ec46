package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const mit = `MIT License

Copyright (c) somebody

Permission is hereby granted, free of charge, to any person
obtaining a copy of this software`

func TestKind(t *testing.T) {
	for text, want := range map[string]string{
		mit: "MIT",
		"Redistribution and use in source and binary forms, with or without\nmodification, are permitted":                        "BSD",
		"                Apache License\n            Version 2.0, January 2004":                                                  "Apache",
		"licensed under the Apache License, Version 2.0":                                                                         "Apache",
		"Permission to use, copy, modify, and distribute this software for any\npurpose with or without fee is hereby granted":   "ISC",
		"Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted": "ISC",
		"GNU GENERAL PUBLIC LICENSE\nVersion 3":                                                                                  "",
		"All rights reserved.":                                                                                                   "",
		"":                                                                                                                       "",
	} {
		if got := kind(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// write makes a module's directory with files.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The file has each text once, and a licence that is not accepted is an error.
func TestRender(t *testing.T) {
	one := part{"one v1", write(t, map[string]string{"LICENSE": mit, "NOTICE.txt": "made by one", "README.md": "not this"})}
	two := part{"two v2", write(t, map[string]string{"license.md": mit})}
	three := part{"three v3", write(t, map[string]string{"COPYING": mit})}
	text, err := render([]part{one, two, three})
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	for _, want := range []string{"one v1 (MIT)", "made by one", "two v2 (MIT)\nthree v3 (MIT)\n\nMIT License"} {
		if !strings.Contains(got, want) {
			t.Errorf("got no %q in:\n%s", want, got)
		}
	}
	if n := strings.Count(got, "Permission is hereby granted"); n != 2 || strings.Contains(got, "not this") {
		t.Errorf("got the text %d times, want 2, and nothing else:\n%s", n, got)
	}
	for name, files := range map[string]map[string]string{
		"no file": nil, "another licence": {"LICENSE": "GNU GENERAL PUBLIC LICENSE"},
	} {
		if _, err := render([]part{one, {"bad v1", write(t, files)}}); err == nil || !strings.Contains(err.Error(), "bad v1") {
			t.Errorf("%s: got %v, want an error that names it", name, err)
		}
	}
}
