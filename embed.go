package main

import (
	"embed"
	"io/fs"
)

// dist has the files that web/build wrote; on a fresh clone only the placeholder.
//
//go:embed all:web/dist
var dist embed.FS

// ui is the built web UI, and the libraries.
var ui = func() fs.FS {
	sub, err := fs.Sub(dist, "web/dist")
	if err != nil {
		panic(err) // the path is not that of the pattern above
	}
	return sub
}()
