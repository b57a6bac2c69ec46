package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	options jetstream.Options // without the lease, which is the member's

	mu     sync.Mutex
	newest *jetstream.Store // nil before Begin
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
func (s *jetStore) Begin(ctx context.Context, lease time.Duration) (string, error) {
	o := s.options
	o.Lease = lease
	next, err := jetstream.Open(ctx, s.nc, o)
	if err != nil {
		// A server that wants a certificate, for example, says so when the node connects.
		if why := s.nc.LastError(); why != nil && !s.nc.IsConnected() {
			err = fmt.Errorf("%w; there is no connection to a server: %w", err, why)
		}
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest = next
	return next.Incarnation(), nil
}

// Abandon implements Store. It may wait for one request to the servers.
func (s *jetStore) Abandon() {
	if of := s.store(); of != nil {
		of.Abandon()
	}
}

// Deposed implements Store.
func (s *jetStore) Deposed() <-chan struct{} {
	if of := s.store(); of != nil {
		return of.Lost()
	}
	return nil
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

// Clock implements Store.
func (s *jetStore) Clock() time.Duration {
	if of := s.store(); of != nil {
		return of.Clock()
	}
	return 0
}

// Last implements Store.
func (s *jetStore) Last() uint64 {
	if of := s.store(); of != nil {
		return of.Newest()
	}
	return 0
}

// leaderFor is how long LastOf waits for the stream's leader.
const leaderFor = 500 * time.Millisecond

// LastOf implements Store. While the stream has no leader, it asks any replica.
func (s *jetStore) LastOf(ctx context.Context, inc string) (Written, error) {
	short, cancel := context.WithTimeout(ctx, leaderFor)
	defer cancel()
	last, err := s.store().Last(short, inc)
	if err != nil && ctx.Err() == nil {
		last, err = s.store().LastSeen(ctx, inc)
	}
	return Written(last), err
}

// Seal implements Store.
func (s *jetStore) Seal(ctx context.Context, inc string, expected uint64) (uint64, error) {
	seal, err := s.store().Seal(ctx, inc, expected)
	if errors.Is(err, store.ErrConflict) {
		return 0, ErrStale
	}
	return seal, err
}

// SealOwn implements Store.
func (s *jetStore) SealOwn(ctx context.Context) (uint64, error) {
	return s.store().SealOwn(ctx)
}

// Adopt implements Store. If no dead node owes anything, what only clients that resume need is read
// in the background. Else it may be of an owner after the dead one, and come between what that
// has written and what this one will: all is read at once.
func (s *jetStore) Adopt(ctx context.Context, parts []int, debts, past []Journal) error {
	of := s.store()
	var owed, old []jetstream.Journal
	for _, j := range debts {
		owed = append(owed, jetstream.Journal{Name: j.Inc, UpTo: j.Seal})
	}
	for _, j := range past {
		if slices.ContainsFunc(debts, func(d Journal) bool { return d.Inc == j.Inc }) {
			continue
		}
		if len(debts) == 0 {
			old = append(old, jetstream.Journal{Name: j.Inc, UpTo: j.Seal})
			continue
		}
		upTo := j.Seal
		if j.Inc == of.Incarnation() {
			upTo = of.Newest()
		} else if upTo == 0 { // it goes on, but not with these partitions
			last, err := of.Last(ctx, j.Inc)
			if err != nil {
				return err
			}
			upTo = last.Seq
		}
		if upTo > 0 {
			owed = append(owed, jetstream.Journal{Name: j.Inc, UpTo: upTo})
		}
	}
	return of.Adopt(ctx, parts, old, owed...)
}

// Save implements Store. It saves all partitions of the node.
func (s *jetStore) Save(ctx context.Context, _ []int, of Journal) error {
	return s.store().Settle(ctx, of.Inc)
}

// Prepare implements Store.
func (s *jetStore) Prepare(ctx context.Context, parts []int) error {
	return s.store().Prepare(ctx, parts)
}

// Release implements Store.
func (s *jetStore) Release(ctx context.Context, parts []int) (kept []int, err error) {
	of := s.store()
	for _, part := range parts {
		switch err := of.Release(ctx, part); {
		case errors.Is(err, jetstream.ErrDamaged):
			kept = append(kept, part)
		case err != nil:
			return nil, err
		}
	}
	return kept, nil
}

// Delete implements Store.
func (s *jetStore) Delete(ctx context.Context, of Journal) error {
	return s.store().Purge(ctx, jetstream.Journal{Name: of.Inc, UpTo: of.Seal})
}

// Tidy implements Store.
func (s *jetStore) Tidy(ctx context.Context, quiet time.Duration, known func(inc string) bool) error {
	return s.store().Tidy(ctx, quiet, known)
}

// Gather implements Store.
func (s *jetStore) Gather(ctx context.Context) error {
	moved, err := s.store().Gather(ctx)
	if len(moved) > 0 {
		s.options.Logger.Debug("cluster: streams are led by the server that leads the stream of journals now", "streams", moved)
	}
	return err
}
