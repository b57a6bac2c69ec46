package cluster

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Disconnect implements host.Cluster. It asks all nodes, and again until no actor has moved
// meanwhile: one that moves may be at none of them when they look. It waits longer each time, since
// all nodes look through all of their actors, and until ctx ends.
func (c *Cluster) Disconnect(ctx context.Context, subject, reason string) error {
	for wait := tryAgain; ; wait = min(2*wait, 2*time.Second) {
		table, self := c.member.table()
		if table == nil {
			return errNotJoined
		}
		err := c.disconnectFrom(ctx, table, self, subject, reason)
		if !isMoved(err) {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// disconnectFrom asks the nodes of a table. The error is a moved fault if actors have moved.
func (c *Cluster) disconnectFrom(ctx context.Context, t *table, self uint32, subject, reason string) error {
	var wait sync.WaitGroup
	port := c.port.Load()
	errs := make([]error, len(t.Nodes))
	for i, n := range t.Nodes {
		if n.State == sealed {
			continue // others have its actors, or take them
		}
		wait.Go(func() {
			version := uint64(0)
			if n.Slot == self {
				version, errs[i] = port.disconnectHere(ctx, subject, reason)
			} else {
				version, errs[i] = port.disconnectAt(ctx, n.Slot, subject, reason)
			}
			if errs[i] == nil && version != t.Version {
				errs[i] = movedFault()
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if isMoved(err) {
			return err
		}
	}
	return errors.Join(errs...)
}
