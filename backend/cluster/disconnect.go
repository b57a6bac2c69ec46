package cluster

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
)

// departure is a Disconnect of a subject.
type departure struct {
	subject, reason string
	began           []host.Moment // of each node's process
}

// add adds moments of processes that have none yet. The first one counts: who is authenticated
// while Disconnect tries again may stay.
func (d *departure) add(moments []host.Moment) {
	for _, m := range moments {
		if m.Process != 0 && !slices.ContainsFunc(d.began, func(began host.Moment) bool { return began.Process == m.Process }) {
			d.began = append(d.began, m)
		}
	}
}

// Disconnect implements host.Cluster. It asks all nodes, and again until no actor has moved
// meanwhile: one that moves may be at none of them when they look. It waits longer each time, since
// all nodes look through all of their actors, and until ctx ends.
func (c *Cluster) Disconnect(ctx context.Context, subject, reason string) error {
	d := &departure{subject: subject, reason: reason}
	for wait := tryAgain; ; wait = min(2*wait, 2*time.Second) {
		table, self := c.member.table()
		if table == nil {
			return errNotJoined
		}
		err := c.disconnectFrom(ctx, table, self, d)
		if !isMoved(err) {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// disconnectFrom asks the nodes of a table: first all for the moment at which it began, and then
// to end the connections. So a node knows which of the requests that come from another were
// authenticated before. The error is a moved fault if actors have moved.
func (c *Cluster) disconnectFrom(ctx context.Context, t *table, self uint32, d *departure) error {
	port := c.port.Load()
	moments := make([]host.Moment, len(t.Nodes)) // zero for one that is sealed
	if err := t.each(func(i int, slot uint32) (err error) {
		if slot == self {
			moments[i] = port.local.Moment()
			return nil
		}
		moments[i], err = port.momentAt(ctx, slot)
		return err
	}); err != nil {
		return err
	}
	d.add(moments)
	return t.each(func(_ int, slot uint32) (err error) {
		version := uint64(0)
		if slot == self {
			version, err = port.disconnectHere(ctx, d)
		} else {
			version, err = port.disconnectAt(ctx, slot, d)
		}
		if err == nil && version != t.Version {
			return movedFault()
		}
		return err
	})
}

// each calls f for the nodes that are not sealed, at the same time: others have the actors of a
// sealed one, or take them. If one of the errors is a moved fault, it returns that.
func (t *table) each(f func(i int, slot uint32) error) error {
	var wait sync.WaitGroup
	errs := make([]error, len(t.Nodes))
	for i, n := range t.Nodes {
		if n.State != sealed {
			wait.Go(func() { errs[i] = f(i, n.Slot) })
		}
	}
	wait.Wait()
	for _, err := range errs {
		if isMoved(err) {
			return err
		}
	}
	return errors.Join(errs...)
}
