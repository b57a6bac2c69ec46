package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/troupe-dev/troupe/backend/store"
)

// OwnedStore is a Store with a store.Owner that the test controls: a lease that ends, and
// another process that takes over. Make one with Owned. Its methods may be called at the same
// time, also in a synctest bubble.
type OwnedStore struct {
	store.Store

	mu      sync.Mutex
	changed sync.Cond
	expired bool
	deposed bool
	knows   bool // it has heard that it is deposed
	held    bool // Prove waits
	proofs  int
}

// Owned returns a Store that owns its actors in s, with a valid lease. Close closes s.
func Owned(s store.Store) *OwnedStore {
	o := &OwnedStore{Store: s}
	o.changed.L = &o.mu
	return o
}

// Expire ends the lease, until Renew: Valid is false, and Prove has to find out.
func (o *OwnedStore) Expire() { o.set(func() { o.expired = true }) }

// Renew ends Expire.
func (o *OwnedStore) Renew() { o.set(func() { o.expired = false }) }

// Depose has another process take over, as if the lease had ended: Commit and Prove fail from
// now on, and once one has, everything does.
func (o *OwnedStore) Depose() { o.set(func() { o.expired, o.deposed = true, true }) }

// Rejoin ends Depose: the process has begun anew.
func (o *OwnedStore) Rejoin() { o.set(func() { o.expired, o.deposed, o.knows = false, false, false }) }

// HoldProofs has calls of Prove wait until ReleaseProofs, as if the store were far away.
func (o *OwnedStore) HoldProofs() { o.set(func() { o.held = true }) }

// ReleaseProofs ends HoldProofs.
func (o *OwnedStore) ReleaseProofs() { o.set(func() { o.held = false }) }

func (o *OwnedStore) set(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
	o.changed.Broadcast()
}

// Proofs returns how often Prove was called.
func (o *OwnedStore) Proofs() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.proofs
}

// Valid implements store.Owner.
func (o *OwnedStore) Valid() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.expired
}

// Prove implements store.Owner.
func (o *OwnedStore) Prove(context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.proofs++
	for o.held {
		o.changed.Wait()
	}
	return o.writeLocked()
}

func (o *OwnedStore) writeLocked() error {
	o.knows = o.knows || o.deposed
	return o.readLocked()
}

func (o *OwnedStore) readLocked() error {
	if o.knows {
		return fmt.Errorf("another process has taken over: %w", store.ErrConflict)
	}
	return nil
}

func (o *OwnedStore) read() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.readLocked()
}

// Immediate implements store.Store: Commit of an Owner waits for another process.
func (o *OwnedStore) Immediate() bool { return false }

// Commit implements store.Store.
func (o *OwnedStore) Commit(ctx context.Context, group []*store.Commit) []error {
	o.mu.Lock()
	err := o.writeLocked()
	o.mu.Unlock()
	if err != nil {
		return slices.Repeat([]error{err}, len(group))
	}
	return o.Store.Commit(ctx, group)
}

// Load implements store.Store.
func (o *OwnedStore) Load(ctx context.Context, actor string) (*store.Snapshot, error) {
	if err := o.read(); err != nil {
		return nil, err
	}
	return o.Store.Load(ctx, actor)
}

// Items implements store.Store.
func (o *OwnedStore) Items(ctx context.Context, actor string, r store.ItemRange) (store.ItemPage, error) {
	if err := o.read(); err != nil {
		return store.ItemPage{}, err
	}
	return o.Store.Items(ctx, actor, r)
}
