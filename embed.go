package main

import (
	"embed"
	"io/fs"
)

// dist is what web/build has written; on a fresh clone only the placeholder.
//
//go:embed all:web/dist
var dist embed.FS

// ui is the built web UI, and the libraries.
var ui = func() fs.FS {
	sub, err := fs.Sub(dist, "web/dist")
	if err != nil {
		panic(err) // the pattern above names another directory
	}
	return sub
}()
