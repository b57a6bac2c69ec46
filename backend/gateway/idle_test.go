//go:build unix

package gateway_test

import (
	"fmt"
	"testing"
	"time"
)

// TestIdleReadersHaveSmallStacks: the goroutine that reads a socket gives its stack back
// while its client is mostly silent.
func TestIdleReadersHaveSmallStacks(t *testing.T) {
	sockets := 500
	if testing.Short() {
		sockets = 150
	}
	e, url := serve(t)
	var clients []*bare
	for i := range sockets {
		c := dialBare(t, url)
		c.ask(openFrame(1, fmt.Sprint("c", i)), 1)
		c.ask(openFrame(2, fmt.Sprint("d", i)), 1) // at once: by the same goroutine
		clients = append(clients, c)
	}
	_, busy := inUse()
	e.g.Age(2 * time.Second)
	for i, c := range clients {
		c.ask(openFrame(3, fmt.Sprint("e", i)), 1)
	}
	_, quiet := inUse()
	if got := (busy - quiet) / float64(sockets); got < 1<<10 {
		t.Errorf("a reader has given %.0f bytes of its stack back, want 2 KB", got)
	}
}
