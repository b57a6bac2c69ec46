package jetstream

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// Once another owner's journal is removed, its entries are no longer there: a page ends
// before them, and nobody waits for a replica that has them.
func TestEntriesOfARemovedJournal(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	p.tick, p.Timeout = time.Hour, 5*time.Second
	a, b := p.takeOver(t), p.open(t)
	part := store.Partition("ada")
	commit(t, a, commitOf("ada", 1))
	commit(t, a, commitOf("ada", 2))
	if err := a.Release(t.Context(), part); err != nil {
		t.Fatal(err)
	}
	if err := b.Adopt(t.Context(), []int{part}, nil, Journal{a.Incarnation(), a.Newest()}); err != nil {
		t.Fatal(err)
	}
	commit(t, b, commitOf("ada", 3))
	if err := b.Release(t.Context(), part); err != nil {
		t.Fatal(err)
	}
	if err := a.Adopt(t.Context(), []int{part}, nil, Journal{a.Incarnation(), a.Newest()}, Journal{b.Incarnation(), b.Newest()}); err != nil {
		t.Fatal(err)
	}
	if err := a.Settle(t.Context(), b.Incarnation()); err != nil {
		t.Fatal(err)
	}
	if got := barriers(t, a); len(got) != 2 {
		t.Errorf("the barriers are %q, want two", got)
	}
	if err := a.Purge(t.Context(), Journal{b.Incarnation(), b.Newest()}); err != nil {
		t.Fatal(err)
	}
	if got := barriers(t, a); len(got) != 1 || got[0] != a.barrier(a.Incarnation()) {
		t.Errorf("the barriers are %q, want that of the store that is left", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	for after, want := range map[uint64]int{0: 2, 2: 0} {
		if got, err := a.Entries(ctx, "ada", after, 10, 1<<20); err != nil || len(got) != want {
			t.Errorf("after %d: got %d entries and error %v, want %d", after, len(got), err, want)
		}
	}
	expectLoaded(t, a, "ada", 3)
}

// barriers returns the subjects of all barriers.
func barriers(t *testing.T, s *Store) (all []string) {
	t.Helper()
	of, err := s.js.Stream(t.Context(), s.state)
	if err != nil {
		t.Fatal(err)
	}
	info, err := of.Info(t.Context(), jetstream.WithSubjectFilter(s.barrier("*")))
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(maps.Keys(info.State.Subjects))
}

// Two journals have the same revision of an actor. It cannot be read, and the others of
// their partitions are not affected.
func TestDamagedActorInAJournal(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	p.tick = time.Hour
	a, b := p.takeOver(t), p.open(t)
	all := make([]int, store.Partitions)
	for i := range all {
		all[i] = i
	}
	if err := b.Adopt(t.Context(), all, nil); err != nil {
		t.Fatal(err)
	}
	commit(t, a, commitOf("ada", 1), commitOf("bob", 1), commitOf("ada", 2))
	commit(t, b, commitOf("ada", 1), commitOf("eve", 1))
	a.crash()
	b.crash()
	s := p.takeOver(t)
	if _, err := s.Load(t.Context(), "ada"); !errors.Is(err, journal.ErrDamaged) {
		t.Errorf("Load: got %v, want %v", err, journal.ErrDamaged)
	}
	errs := s.Commit(t.Context(), []*store.Commit{commitOf("bob", 2), commitOf("ada", 3), commitOf("eve", 2)})
	if len(errs) != 3 || errs[0] != nil || !errors.Is(errs[1], journal.ErrDamaged) || errs[2] != nil {
		t.Errorf("Commit: got %v, want an error of ada only", errs)
	}
	expectRev(t, s, "bob", 2)
	expectRev(t, s, "eve", 2)
	if err := s.Release(t.Context(), store.Partition("ada")); !errors.Is(err, journal.ErrDamaged) {
		t.Errorf("Release: got %v, want %v", err, journal.ErrDamaged)
	}
}

// What is said of a journal's newest message is not what any replica has, which may be behind.
func TestLastAsksTheLeader(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	p.tick = time.Hour
	s := p.takeOver(t)
	watch, err := p.connect(t).SubscribeSync("$JS.API.DIRECT.GET." + s.journal + ".>")
	if err != nil {
		t.Fatal(err)
	}
	for journal, want := range map[string]uint64{s.Incarnation(): s.Newest(), "none": 0} {
		if last, err := s.Last(t.Context(), journal); last.Seq != want || last.Sealed || err != nil {
			t.Errorf("%s: got %+v, error %v, want %d", journal, last, err, want)
		}
	}
	if n, _, err := watch.Pending(); n != 0 || err != nil {
		t.Errorf("%d messages were read from any replica, error %v", n, err)
	}
}

// The lease can be renewed while a commit waits for its actor to be read.
func TestCommitsReadBeforeTheyWrite(t *testing.T) {
	proxy, backend := newProxy(t)
	p := backend.newPlace(quiet)
	defer p.remove(t)
	p.tick = time.Hour
	s := p.takeOver(t)
	commit(t, s, commitOf("ada", 1))
	s.forgetAll(t)
	expectLoaded(t, s, "ada", 1) // this answer is recorded
	s.forgetAll(t)
	proxy.set(func() { proxy.replay, proxy.replayed = true, 0 })
	var errs atomic.Pointer[[]error]
	done := make(chan struct{})
	go func() {
		defer close(done)
		got := s.Commit(context.Background(), []*store.Commit{commitOf("ada", 2)})
		errs.Store(&got)
	}()
	for n := 0; n < 2; time.Sleep(time.Millisecond) { // no replica is up to date
		proxy.set(func() { n = proxy.replayed })
	}
	proved := make(chan error, 1)
	go func() { proved <- s.Prove(context.Background()) }()
	select {
	case err := <-proved:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("Prove waits for the commit's actor")
	}
	proxy.set(func() { proxy.replay = false })
	<-done
	if got := *errs.Load(); got != nil {
		t.Error(got)
	}
	expectRev(t, s, "ada", 2)
}
