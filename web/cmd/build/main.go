// Build makes the web UI and the libraries: everything in web/dist. Run it in
// the project's directory, with "go run ./web/cmd/build".
package main

import (
	"fmt"
	"os"

	"github.com/troupe-dev/troupe/web/build"
)

func main() {
	files, err := build.Run(".")
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the web UI:", err)
		os.Exit(1)
	}
	for _, f := range files {
		fmt.Printf("web/dist/%-32s %7.1f kB, %6.1f kB gzip\n", f.Name, float64(f.Size)/1000, float64(f.Gzip)/1000)
	}
}
