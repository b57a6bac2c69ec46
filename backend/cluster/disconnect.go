package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/troupe-dev/troupe/backend/cluster/link"
	"github.com/troupe-dev/troupe/backend/store"
)

// Disconnect implements host.Cluster. It asks all nodes, and again until no actor has moved
// meanwhile: one that moves may be at none of them when they look.
func (c *Cluster) Disconnect(ctx context.Context, subject, reason string) error {
	for {
		table, self := c.member.table()
		if table == nil {
			return errNotJoined
		}
		err := c.disconnectFrom(ctx, table, self, subject, reason)
		if !isMoved(err) {
			return err
		}
		if err := pause(ctx, tryAgain); err != nil {
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

// disconnectHere ends connections to this node's actors, and returns the version of the table of
// which it has all actors.
func (p *Port) disconnectHere(ctx context.Context, subject, reason string) (version uint64, err error) {
	version = p.places.Version()
	err = p.local.Disconnect(ctx, subject, reason)
	for part := range store.Partitions {
		if owner, _ := p.places.Owner(part); owner == 0 {
			return 0, movedFault() // it is being given away, or taken
		}
	}
	if p.places.Version() != version {
		return 0, movedFault()
	}
	return version, err
}

// disconnectAt is disconnectHere of another node.
func (p *Port) disconnectAt(ctx context.Context, slot uint32, subject, reason string) (version uint64, err error) {
	answer, err := p.ask(ctx, slot, &item{Kind: itemDisconnect, Subject: subject, Reason: reason})
	switch {
	case errors.Is(err, errSessionEnded), errors.Is(err, link.ErrGone):
		return 0, movedFault() // its actors are soon at others
	case err != nil:
		return 0, fmt.Errorf("node %d: %w", slot, err)
	case answer.Err != nil:
		return 0, answer.Err
	}
	return answer.Seq, nil
}
