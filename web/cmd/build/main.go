// Build builds the web UI, the libraries and the documentation: everything in web/dist.
// Run it in the project's directory, with "go run ./web/cmd/build". With the argument
// docs it builds only the documentation, which needs no npm packages; with inspect only the
// inspector's page, which is committed.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/troupe-dev/troupe/web/build"
)

func main() {
	part := map[string]func(string) error{"docs": build.WriteDocs, "inspect": build.WriteInspector}[strings.Join(os.Args[1:], " ")]
	if part != nil {
		if err := part("."); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n", os.Args[1], err)
			os.Exit(1)
		}
		return
	}
	files, err := build.Run(".")
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the web UI:", err)
		os.Exit(1)
	}
	for _, f := range files {
		line := fmt.Sprintf("web/dist/%-32s %7.1f kB", f.Name, float64(f.Size)/1000)
		if f.Gzip > 0 {
			line += fmt.Sprintf(", %6.1f kB gzip", float64(f.Gzip)/1000)
		}
		fmt.Println(line)
	}
}
