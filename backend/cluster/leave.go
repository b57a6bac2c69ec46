package cluster

import (
	"context"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// give gives the partitions away, but stays in the cluster to reach their new owners. It
// returns when they have them, or nobody else is up. If ctx ends first, it goes on.
func (m *member) give(ctx context.Context) error {
	m.begin(m.leaving)
	select {
	case <-m.handedOver:
		return nil
	case <-m.left:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave gives the partitions away and leaves the cluster. It returns when run has. If ctx ends
// first, others take the partitions over when the lease is over.
func (m *member) leave(ctx context.Context) error {
	if err := m.give(ctx); err != nil {
		return err
	}
	return m.finish(ctx)
}

// finish leaves the cluster, whether or not give is done. It returns when run has, or with an
// error when ctx ends.
func (m *member) finish(ctx context.Context) error {
	m.begin(m.leaving)
	m.begin(m.ending)
	select {
	case <-m.left:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin closes a channel unless it is closed.
func (m *member) begin(c chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-c:
	default:
		close(c)
	}
}

const (
	takenFor = 3 * time.Second // how long a node that leaves waits until others serve what it has given them

	// endFor is how long finish waits for turns: the caller has ended the actors before that, as far as
	// it could, and a turn that commits after the seal is refused.
	endFor = time.Second
)

// leaveTable gives all partitions away, and ends the own journal: nobody waits for the lease.
func (l *life) leaveTable(ctx context.Context) error {
	if _, err := l.tables.change(ctx, func(next *table) error { next.leave(l.slot); return nil }); err != nil {
		return err
	}
	l.announce()
	unhurried, cancel := context.WithCancel(ctx) // until finish ends it, in spite of what is left
	defer cancel()
	go func() {
		defer cancel()
		select {
		case <-l.ending:
		case <-unhurried.Done():
		}
	}()
	for !l.gaveAll() && l.await(unhurried, joining, time.Second) {
	}
	l.awaitTaken(unhurried)
	if ctx.Err() == nil {
		l.begin(l.handedOver)
	}
	<-unhurried.Done()
	if err := ctx.Err(); err != nil {
		return err
	}
	rest := l.take(serving, leaves, store.Partitions, func(*table, int) bool { return true })
	l.drain(ctx, rest, endFor) // what is not saved others read in the journal: there may be no time to save it
	var seal uint64
	if err := l.again(ctx, "end the journal", func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, tryFor)
		defer cancel()
		seal, err = l.store.SealOwn(ctx)
		return err
	}); err != nil {
		return err
	}
	_, err := l.tables.change(ctx, func(next *table) error { next.seal(l.slot, seal); return nil })
	l.announce()
	return err
}

// gaveAll reports whether the node that leaves has given away all that it can: not what the store
// keeps, and nothing if nobody else is up.
func (l *life) gaveAll() bool {
	t := l.tables.newest()
	l.mu.Lock()
	defer l.mu.Unlock()
	return !slices.ContainsFunc(t.owned(l.slot), func(part int) bool { return t.Want[part] != 0 && !l.isKeptLocked(part) })
}

// awaitTaken waits for a while until the other nodes serve what they were given: they read it
// from servers of which this process may have one, which leads some of the streams.
func (l *life) awaitTaken(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, takenFor)
	defer cancel()
	l.tables.mu.Lock()
	t, revision := l.tables.current, l.tables.revision
	l.tables.mu.Unlock()
	for !l.taken(t, revision) && l.await(ctx, joining, takenFor) {
		t = l.tables.newest() // some may have died
	}
}
