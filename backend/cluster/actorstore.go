package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/jetstream"
)

// actorStore is the store of a node's actors: that of its newest incarnation. Before there is
// one it has no actors. An actor never outlives its incarnation, because the member drops all
// of them (actors.Reset) before it begins the next one; what they still do here fails, since
// a new incarnation owns no partition until it has adopted it.
type actorStore struct{ *jetStore }

var (
	_ store.Store = actorStore{}
	_ store.Owner = actorStore{}
)

// current returns the newest incarnation's store, or an error that says that there is none.
func (s actorStore) current() (*jetstream.Store, error) {
	if of := s.store(); of != nil {
		return of, nil
	}
	return nil, fmt.Errorf("%w: %w", store.ErrUnknown, errNotBegun)
}

// Commit implements store.Store.
func (s actorStore) Commit(ctx context.Context, group []*store.Commit) []error {
	of, err := s.current()
	if err != nil {
		errs := make([]error, len(group))
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	return of.Commit(ctx, group)
}

// Immediate implements store.Store.
func (s actorStore) Immediate() bool { return false }

// Load implements store.Store.
func (s actorStore) Load(ctx context.Context, actor string) (*store.Snapshot, error) {
	of, err := s.current()
	if err != nil {
		return nil, err
	}
	return of.Load(ctx, actor)
}

// Entries implements store.Store.
func (s actorStore) Entries(ctx context.Context, actor string, after uint64, limit, maxBytes int) ([]store.Entry, error) {
	of, err := s.current()
	if err != nil {
		return nil, err
	}
	return of.Entries(ctx, actor, after, limit, maxBytes)
}

// Replies implements store.Store.
func (s actorStore) Replies(ctx context.Context, actor, caller string, above uint64, limit, maxBytes int) ([]store.Entry, error) {
	of, err := s.current()
	if err != nil {
		return nil, err
	}
	return of.Replies(ctx, actor, caller, above, limit, maxBytes)
}

// Items implements store.Store.
func (s actorStore) Items(ctx context.Context, actor string, r store.ItemRange) (store.ItemPage, error) {
	of, err := s.current()
	if err != nil {
		return store.ItemPage{}, err
	}
	return of.Items(ctx, actor, r)
}

// Due implements store.Store.
func (s actorStore) Due(ctx context.Context, after store.Wake, before time.Time, limit int) ([]store.Wake, error) {
	if of := s.store(); of != nil {
		return of.Due(ctx, after, before, limit)
	}
	return nil, nil
}

// Connected implements store.Store.
func (s actorStore) Connected(ctx context.Context, part int, f func(actor string) bool) error {
	if of := s.store(); of != nil {
		return of.Connected(ctx, part, f)
	}
	return nil
}

// List implements store.Store. It lists the node's own actors.
func (s actorStore) List(ctx context.Context, q store.ListQuery) (store.ListPage, error) {
	if of := s.store(); of != nil {
		return of.List(ctx, q)
	}
	return store.ListPage{}, nil
}

// Names implements store.Store. It counts the node's own actors.
func (s actorStore) Names(ctx context.Context) (map[string]int, error) {
	if of := s.store(); of != nil {
		return of.Names(ctx)
	}
	return nil, nil
}

// Secret implements store.Store.
func (s actorStore) Secret(ctx context.Context, name string, generate func() []byte) ([]byte, error) {
	of, err := s.current()
	if err != nil {
		return nil, err
	}
	return of.Secret(ctx, name, generate)
}

// Close implements store.Store. The member ends the journal.
func (s actorStore) Close() error { return nil }

// stuckTooLong is how long the outcome of a commit may be unknown before the node is not
// healthy. An election of the servers' leader takes less.
const stuckTooLong = 5 * time.Second

// Health returns why actors cannot be stored, nil if they can.
func (s *jetStore) Health() error {
	of := s.store()
	switch {
	case of == nil:
		return errNotBegun
	case of.Deposed():
		return fmt.Errorf("cluster: %w", store.ErrConflict)
	case of.Stats().Stuck > stuckTooLong:
		return errors.New("cluster: commits have had no answer for seconds")
	}
	return nil
}
