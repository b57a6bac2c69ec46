package jetstream

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// seqsOf returns the numbers of an actor's entries above one.
func seqsOf(ctx context.Context, s *Store, actor string, after uint64) (seqs []uint64, err error) {
	entries, err := s.Entries(ctx, actor, after, 100, 1<<20)
	for _, e := range entries {
		seqs = append(seqs, e.Seq)
	}
	return seqs, err
}

// expectSeqs expects the entries above one: first to last.
func expectSeqs(t *testing.T, s *Store, actor string, after, first, last uint64) {
	t.Helper()
	got, err := seqsOf(t.Context(), s, actor, after)
	if err != nil || uint64(len(got)) != last-first+1 || got[0] != first || got[len(got)-1] != last {
		t.Errorf("%s: got the entries %v and error %v, want %d to %d", actor, got, err, first, last)
	}
}

// G3: what earlier owners have written is read in the background, once for all partitions that wait
// for it. Until then an actor's new owner runs it, and a request for its old entries waits.
func TestG3_OldEntriesAreRecalled(t *testing.T) {
	proxy, backend := newProxy(t)
	p := backend.newPlace(quiet)
	defer p.remove(t)
	p.tick = time.Hour
	a, b, c := p.takeOver(t), p.open(t), p.open(t)
	ada, bob := "ada", otherThan("ada")
	parts := []int{store.Partition(ada), store.Partition(bob)}
	commit(t, a, commitOf(ada, 1), commitOf(ada, 2), commitOf(bob, 1))
	move := func(from, to *Store, part int, past ...Journal) {
		t.Helper()
		if err := from.Release(t.Context(), part); err != nil {
			t.Fatal(err)
		}
		if err := to.Adopt(t.Context(), []int{part}, past); err != nil {
			t.Fatal(err)
		}
	}
	for _, part := range parts {
		move(a, b, part)
	}
	commit(t, b, commitOf(ada, 3), commitOf(ada, 4))

	proxy.set(func() {
		proxy.scans = 0
		journal := []byte("Nats-Subject: " + a.own.subject + "\r\n")
		proxy.lose = func(_ string, data []byte) bool { return bytes.Contains(data, journal) }
	})
	for _, part := range parts {
		move(b, c, part, Journal{Name: a.Incarnation()}, Journal{Name: b.Incarnation()})
	}
	if loaded, err := c.Load(t.Context(), ada); err != nil || loaded.Rev != 4 {
		t.Errorf("got %+v, error %v, want revision 4", loaded, err)
	}
	commit(t, c, commitOf(ada, 5), commitOf(ada, 6))
	expectSeqs(t, c, ada, 5, 6, 6) // it has these
	short, cancel := context.WithCancel(t.Context())
	waits := make(chan error)
	go func() {
		_, err := seqsOf(short, c, ada, 1)
		waits <- err
	}()
	select {
	case err := <-waits:
		t.Fatalf("a request for old entries does not wait: error %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	cancel()
	if err := <-waits; !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want that of the context", err)
	}
	proxy.set(func() { proxy.lose, proxy.scans = nil, 0 })
	expectSeqs(t, c, ada, 1, 2, 6)
	expectSeqs(t, c, ada, 0, 1, 6)
	expectSeqs(t, c, bob, 0, 1, 1)
	proxy.set(func() {
		if proxy.scans > 4 { // one may be for ada alone
			t.Errorf("two journals were read with %d requests", proxy.scans)
		}
	})
	expectRev(t, c, bob, 1)
	commit(t, c, commitOf(bob, 2))
	expectSeqs(t, c, bob, 0, 1, 2)

	// What is trimmed, the actor no longer has.
	c.keeper.work.Lock()
	c.catalog.mu.Lock()
	c.keeper.pop(1)
	if n := len(c.index.ByID[ada].Locations); n != 4 {
		t.Errorf("the index has %d commits of ada, want 4", n)
	}
	c.catalog.mu.Unlock()
	c.keeper.work.Unlock()
	expectSeqs(t, c, ada, 0, 3, 6)
	expectSeqs(t, c, bob, 0, 2, 2)

	// The partition comes back to a, which has its own journal to read, too.
	move(c, a, parts[0], Journal{Name: c.Incarnation()}, Journal{Name: b.Incarnation()}, Journal{Name: a.Incarnation()})
	commit(t, a, commitOf(ada, 7))
	expectSeqs(t, a, ada, 0, 1, 7)
}

// Who waits for old entries of a partition that is given away hears that it is.
func TestRecallOfWhatIsGivenAway(t *testing.T) {
	proxy, backend := newProxy(t)
	p := backend.newPlace(quiet)
	defer p.remove(t)
	a, b := p.takeOver(t), p.open(t)
	part := store.Partition("ada")
	commit(t, a, commitOf("ada", 1))
	if err := a.Release(t.Context(), part); err != nil {
		t.Fatal(err)
	}
	proxy.set(func() {
		journal := []byte("Nats-Subject: " + a.own.subject + "\r\n")
		proxy.lose = func(_ string, data []byte) bool { return bytes.Contains(data, journal) }
	})
	if err := b.Adopt(t.Context(), []int{part}, []Journal{{Name: a.Incarnation()}}); err != nil {
		t.Fatal(err)
	}
	waits := make(chan error)
	go func() {
		_, err := seqsOf(context.Background(), b, "ada", 0)
		waits <- err
	}()
	select {
	case err := <-waits:
		t.Fatalf("it does not wait: error %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	if err := b.Release(t.Context(), part); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; !errors.Is(err, store.ErrConflict) {
		t.Errorf("got error %v, want ErrConflict", err)
	}
	// It comes back before the first reading is over.
	if err := b.Adopt(t.Context(), []int{part}, []Journal{{Name: a.Incarnation()}}); err != nil {
		t.Fatal(err)
	}
	proxy.set(func() { proxy.lose = nil })
	expectSeqs(t, b, "ada", 0, 1, 1)
}

// G3: a journal that cannot be read keeps nobody from the entries that are in others.
func TestG3_AnUnreadableJournalStopsNoOther(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	p.tick = time.Hour
	a, b, c := p.takeOver(t), p.open(t), p.open(t)
	ada, bob := "ada", otherThan("ada")
	parts := []int{store.Partition(ada), store.Partition(bob)}
	commit(t, a, commitOf(ada, 1))
	write(t, a, "?") // of a later version
	if err := errors.Join(a.Release(t.Context(), parts[0]), a.Release(t.Context(), parts[1]), b.Adopt(t.Context(), parts[1:], nil)); err != nil {
		t.Fatal(err)
	}
	commit(t, b, commitOf(bob, 1))
	if err := errors.Join(b.Release(t.Context(), parts[1]), c.Adopt(t.Context(), parts[:1], []Journal{{Name: a.Incarnation()}}), c.Adopt(t.Context(), parts[1:], []Journal{{Name: b.Incarnation()}})); err != nil {
		t.Fatal(err)
	}
	expectSeqs(t, c, bob, 0, 1, 1)
}

// write adds a message to a store's own journal.
func write(t *testing.T, s *Store, message string) {
	t.Helper()
	s.own.writing.Lock()
	defer s.own.writing.Unlock()
	if err := s.own.append(t.Context(), []byte(message), nil); err != nil {
		t.Fatal(err)
	}
}

// G3: what cannot be found in a damaged journal is as if it was trimmed: nobody waits for it, and
// nobody gets entries from before a gap.
func TestG3_RecallOfADamagedJournal(t *testing.T) {
	for _, test := range []struct {
		damage string
		first  uint64 // that is found
	}{{"Gdeadbeef ada\n", 1}, {"P\n", 3}} {
		t.Run(test.damage, func(t *testing.T) {
			p := oneServer(t).newPlace(quiet)
			defer p.remove(t)
			p.tick = time.Hour
			a, b := p.takeOver(t), p.open(t)
			ada, bob := "ada", otherThan("ada")
			parts := []int{store.Partition(ada), store.Partition(bob)}
			commit(t, a, commitOf(ada, 1), commitOf(bob, 1))
			write(t, a, test.damage)
			commit(t, a, commitOf(ada, 2), commitOf(bob, 2))
			if err := errors.Join(a.Release(t.Context(), parts[0]), a.Release(t.Context(), parts[1]), b.Adopt(t.Context(), parts, nil)); err != nil {
				t.Fatal(err)
			}
			commit(t, b, commitOf(ada, 3)) // it is in memory then, and bob is not
			b.catalog.mu.Lock()
			b.recaller.ask(parts, []Journal{{Name: a.Incarnation()}})
			b.catalog.mu.Unlock()
			expectSeqs(t, b, ada, 0, test.first, 3)
			if got, err := seqsOf(t.Context(), b, bob, 0); err != nil || len(got) > 0 {
				t.Errorf("%s, which may have later ones: got the entries %v, error %v", bob, got, err)
			}
			commit(t, b, commitOf(bob, 3))
			expectRev(t, b, bob, 3)
		})
	}
}
