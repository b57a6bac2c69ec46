package runtime

import "context"

// Kill ends a node as the end of its process would: OnStop does not run, and what waits
// in mailboxes never runs. A turn that is running goes on; the caller sees to it that the
// store takes no more commits. It is for tests, and returns at once.
func Kill(n *Node) {
	n.killed.Store(true)
	over, cancel := context.WithCancel(context.Background())
	cancel()
	_ = n.Shutdown(over) // the error is that turns are running
}
