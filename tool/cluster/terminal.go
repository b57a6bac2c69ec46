package main

import (
	"bytes"
	"io"
	"os"

	"golang.org/x/term"
)

// ctrlC is what Ctrl-C is while a terminal gives single keys.
const ctrlC = 3

// terminal makes a terminal give single keys, and returns what to write to meanwhile. restore
// makes it as it was. If in is no terminal, nothing changes.
func terminal(in, out *os.File) (writer io.Writer, restore func()) {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil { // no terminal: a file, a pipe, or nothing
		return out, func() {}
	}
	return carriage{out}, func() {
		_ = term.Restore(int(in.Fd()), before) // the terminal is gone
	}
}

// carriage writes to a terminal that does not return to the start of the line by itself.
type carriage struct{ to io.Writer }

func (c carriage) Write(b []byte) (int, error) {
	if _, err := c.to.Write(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// readKeys sends each key, until there are no more. Ctrl-C is q.
func readKeys(from io.Reader, keys chan<- byte) {
	var b [1]byte
	for {
		n, err := from.Read(b[:])
		if n == 1 && b[0] == ctrlC {
			b[0] = quitKey
		}
		if n == 1 {
			keys <- b[0]
		}
		if err != nil {
			return
		}
	}
}
