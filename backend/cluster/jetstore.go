package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/jetstream"
)

// jetStore is the store of a node in JetStream, over all its incarnations: each has a
// jetstream.Store of its own.
type jetStore struct {
	nc      *nats.Conn
	options jetstream.Options

	mu      sync.Mutex
	newest  *jetstream.Store // nil before Begin
	deposed chan struct{}
	seal    uint64 // of the newest journal, if this node has ended it
	workers sync.WaitGroup
}

var _ Store = (*jetStore)(nil)

var errNotBegun = errors.New("cluster: the node has no journal yet")

// store returns the newest incarnation's store; nil before there is one.
func (s *jetStore) store() *jetstream.Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest
}

// Begin implements Store.
func (s *jetStore) Begin(ctx context.Context) (string, error) {
	next, err := jetstream.Open(ctx, s.nc, s.options)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	old, deposed := s.newest, make(chan struct{})
	s.newest, s.deposed, s.seal = next, deposed, 0
	s.mu.Unlock()
	if old != nil {
		if err := old.Close(); err != nil {
			s.options.Logger.Warn("cluster: an old incarnation's store did not close", "error", err)
		}
	}
	s.workers.Go(func() { s.watch(next, deposed) })
	return next.Incarnation(), nil
}

// watch closes deposed when the store is deposed by another node.
func (s *jetStore) watch(of *jetstream.Store, deposed chan struct{}) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		s.mu.Lock()
		over := s.newest != of || s.seal != 0
		s.mu.Unlock()
		if over {
			return
		}
		if of.Deposed() {
			close(deposed)
			return
		}
	}
}

// close ends the newest incarnation's store. Call no other method at the same time or after it.
func (s *jetStore) close() error {
	s.mu.Lock()
	of := s.newest
	s.newest = nil // watch ends
	s.mu.Unlock()
	defer s.workers.Wait()
	if of == nil {
		return nil
	}
	return of.Close()
}

// Deposed implements Store.
func (s *jetStore) Deposed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deposed
}

// Valid implements store.Owner.
func (s *jetStore) Valid() bool {
	of := s.store()
	return of != nil && of.Valid()
}

// Prove implements store.Owner.
func (s *jetStore) Prove(ctx context.Context) error {
	of := s.store()
	if of == nil {
		return fmt.Errorf("%w: %w", store.ErrUnknown, errNotBegun)
	}
	return of.Prove(ctx)
}

// Last implements Store.
func (s *jetStore) Last() uint64 {
	if of := s.store(); of != nil {
		return of.Newest()
	}
	return 0
}

// LastOf implements Store.
func (s *jetStore) LastOf(ctx context.Context, inc string) (uint64, bool, error) {
	return s.store().Last(ctx, inc)
}

// Seal implements Store.
func (s *jetStore) Seal(ctx context.Context, inc string, expected uint64) (uint64, error) {
	seal, err := s.store().Seal(ctx, inc, expected)
	if errors.Is(err, store.ErrConflict) {
		return 0, ErrStale
	}
	return seal, err
}

// SealOwn implements Store: it closes the incarnation's store.
func (s *jetStore) SealOwn(ctx context.Context) (uint64, error) {
	of := s.store()
	s.mu.Lock()
	seal := s.seal
	s.mu.Unlock()
	if seal != 0 {
		return seal, nil
	}
	if of.Deposed() {
		return 0, store.ErrConflict
	}
	if err := of.Close(); err != nil {
		return 0, err
	}
	seal, ended, err := of.Last(ctx, of.Incarnation())
	if err == nil && !ended {
		err = errors.New("cluster: the journal has not ended")
	}
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seal = seal
	return seal, nil
}

// Adopt implements Store.
func (s *jetStore) Adopt(ctx context.Context, parts []int, debts, past []Journal) error {
	of := s.store()
	bounds := map[string]uint64{}
	for _, j := range append(debts, past...) {
		bound := j.Seal
		if bound == 0 { // it goes on, but not with these partitions
			var err error
			if bound, _, err = of.Last(ctx, j.Inc); err != nil {
				return err
			}
		}
		if bound > 0 {
			bounds[j.Inc] = bound
		}
	}
	journals := make([]jetstream.Journal, 0, len(bounds))
	for inc, bound := range bounds {
		journals = append(journals, jetstream.Journal{Name: inc, UpTo: bound})
	}
	return of.Adopt(ctx, parts, journals...)
}

// Save implements Store. It saves all partitions of the node.
func (s *jetStore) Save(ctx context.Context, _ []int, of Journal) error {
	return s.store().Settle(ctx, of.Inc)
}

// Release implements Store.
func (s *jetStore) Release(ctx context.Context, parts []int) error {
	of := s.store()
	for _, part := range parts {
		if err := of.Release(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// Delete implements Store.
func (s *jetStore) Delete(ctx context.Context, of Journal) error {
	return s.store().Purge(ctx, jetstream.Journal{Name: of.Inc, UpTo: of.Seal})
}
