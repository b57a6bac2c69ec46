// Troupe is a server for realtime apps: actors in Go, with a JavaScript client,
// React hooks and a sample UI, in one binary. Run it with -h for its flags.
package main

import (
	"os"
	_ "time/tzdata" // so that time.LoadLocation works in images without time zones

	"github.com/troupe-dev/troupe/backend/app"
)

func main() { os.Exit(app.Main(ui)) }
