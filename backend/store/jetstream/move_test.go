package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// otherThan returns an actor of another partition.
func otherThan(actor string) string {
	for i := 0; ; i++ {
		if other := fmt.Sprint("other", i); store.Partition(other) != store.Partition(actor) {
			return other
		}
	}
}

// whatIsKnown returns the actors that are due and those that are connected.
func whatIsKnown(t *testing.T, s *Store) (due, connected []string) {
	t.Helper()
	wakes, err := s.Due(t.Context(), store.Wake{}, time.Now().Add(time.Hour), 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wakes {
		due = append(due, w.Actor)
	}
	err = s.Connected(t.Context(), store.AllPartitions, func(actor string) bool { connected = append(connected, actor); return true })
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(connected)
	return due, connected
}

// A partition goes to another node and back while both live. Each node serves its own
// actors only, with all of their entries, and neither has to seal anything.
func TestPartitionsMove(t *testing.T) {
	proxy, backend := newProxy(t)
	p := backend.newPlace(quiet)
	defer p.remove(t)
	p.tick = time.Hour
	a, b := p.takeOver(t), p.open(t)
	ada, bob := "ada", otherThan("ada")
	part := store.Partition(ada)
	for _, actor := range []string{ada, bob} {
		c := commitOf(actor, 1)
		c.Due, c.Conns = time.Now(), []store.Conn{{Num: 1, ID: "x"}}
		commit(t, a, c, commitOf(actor, 2))
	}
	owns := func(s *Store, actor string, yes bool) {
		t.Helper()
		_, err := s.Load(t.Context(), actor)
		_, entriesErr := s.Entries(t.Context(), actor, 0, 10, 1<<20)
		for _, err := range []error{err, entriesErr} {
			if yes != (err == nil) || !yes && !errors.Is(err, store.ErrConflict) {
				t.Errorf("%s: got error %v, want one: %t", actor, err, !yes)
			}
		}
		if !yes {
			if errs := s.Commit(t.Context(), []*store.Commit{commitOf(actor, 3)}); errs == nil || !errors.Is(errs[0], store.ErrConflict) {
				t.Errorf("Commit of %s: got %v, want ErrConflict", actor, errs)
			}
		}
	}
	owns(b, ada, false)
	if err := a.Release(t.Context(), part); err != nil {
		t.Fatal(err)
	}
	owns(a, ada, false)
	owns(a, bob, true)
	if due, connected := whatIsKnown(t, a); !slices.Equal(due, []string{bob}) || !slices.Equal(connected, []string{bob}) {
		t.Errorf("after the release: due %v, connected %v, want %s", due, connected, bob)
	}
	if err := b.Adopt(t.Context(), []int{part}, nil, Journal{a.Incarnation(), a.Newest()}); err != nil {
		t.Fatal(err)
	}
	owns(b, bob, false)
	if due, connected := whatIsKnown(t, b); !slices.Equal(due, []string{ada}) || !slices.Equal(connected, []string{ada}) {
		t.Errorf("after the adoption: due %v, connected %v, want %s", due, connected, ada)
	}
	expectRev(t, b, ada, 2)
	commit(t, b, commitOf(ada, 3), commitOf(ada, 4))
	commit(t, a, commitOf(bob, 3))
	entries, err := b.Entries(t.Context(), ada, 0, 10, 1<<20)
	if err != nil || len(entries) != 4 {
		t.Fatalf("got %d entries and error %v, want those of both owners", len(entries), err)
	}

	if err := b.Release(t.Context(), part); err != nil {
		t.Fatal(err)
	}
	proxy.set(func() { proxy.replay, proxy.replayed = true, 0 }) // what a had of ada is recorded
	back := make(chan error)
	go func() {
		err := a.Adopt(context.Background(), []int{part}, nil, Journal{a.Incarnation(), a.Newest()}, Journal{b.Incarnation(), b.Newest()})
		if err == nil {
			_, err = a.Load(context.Background(), ada)
		}
		back <- err
	}()
	for n := 0; n < 2; {
		select {
		case err := <-back:
			t.Fatalf("a stale replica was believed: error %v", err)
		case <-time.After(time.Millisecond):
			proxy.set(func() { n = proxy.replayed })
		}
	}
	proxy.set(func() { proxy.replay = false })
	if err := <-back; err != nil {
		t.Fatal(err)
	}
	expectRev(t, a, ada, 4)
	if entries, err := a.Entries(t.Context(), ada, 0, 10, 1<<20); err != nil || len(entries) != 4 {
		t.Errorf("back again: got %d entries and error %v, want 4", len(entries), err)
	}
	if a.Unclean() {
		t.Error("back again: no node was killed, the store is unclean")
	}
	commit(t, a, commitOf(ada, 5))
	if err := a.Settle(t.Context(), b.Incarnation()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	s := p.takeOver(t)
	expectRev(t, s, ada, 5)
	expectRev(t, s, bob, 3)
	if s.Unclean() {
		t.Error("both were closed: the store is unclean")
	}
}

// The partitions of one journal, whose messages have actors of both, go over one after the
// other.
func TestAdoptInTwoSteps(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	p.tick = time.Hour
	a, b := p.takeOver(t), p.open(t)
	ada, bob := "ada", otherThan("ada")
	commit(t, a, commitOf(ada, 1), commitOf(bob, 1), commitOf(ada, 2), commitOf(bob, 2))
	a.crash()
	seal, err := b.Seal(t.Context(), a.Incarnation(), a.Newest())
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int64 // of the index
	for _, actor := range []string{ada, bob} {
		if err := b.Adopt(t.Context(), []int{store.Partition(actor)}, nil, Journal{a.Incarnation(), seal}); err != nil {
			t.Fatal(err)
		}
		expectRev(t, b, actor, 2)
		b.catalog.mu.Lock()
		rows := len(b.index.Rows)
		size := b.index.Bytes
		b.index.Forget(b.index.ByID[actor]) // it is read again
		clear(b.scanned)
		b.catalog.mu.Unlock()
		if rows != 1 {
			t.Errorf("the index has %d rows, want one", rows)
		}
		sizes = append(sizes, size)
		expectRev(t, b, actor, 2)
	}
	if n := sizes[1] - sizes[0]; n < sizes[0]*9/10 || n > sizes[0]*11/10 { // their commits are about as long
		t.Errorf("the index had %d bytes, and %d with the second actor", sizes[0], sizes[1])
	}
	b.forgetAll(t)
	for _, actor := range []string{ada, bob} {
		expectLoaded(t, b, actor, 2)
		commit(t, b, commitOf(actor, 3))
	}
}

// Unclean is true after a node was killed.
func TestUnclean(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	s := p.takeOver(t)
	commit(t, s, commitOf("ada", 1))
	s.crash()
	if s = p.takeOver(t); !s.Unclean() {
		t.Error("a node was killed: the store is clean")
	}
}

// Commits and states that are longer than a message go in pieces.
func TestPieces(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	p.longest = 2000
	state := func(rev uint64) []byte {
		size := map[uint64]int{1: 50_000, 2: 10, 3: 7000}[rev]
		return fmt.Appendf(nil, `{"rev":%d,"text":%q}`, rev, strings.Repeat("x", size))
	}
	s := p.takeOver(t)
	check := func(rev uint64) {
		t.Helper()
		got, err := s.Load(t.Context(), "ada")
		if err != nil || got.Rev != rev || !bytes.Equal(got.State, state(rev)) {
			t.Fatalf("got %+v and error %v, want revision %d", got, err, rev)
		}
	}
	for rev := uint64(1); rev <= 3; rev++ {
		c := commitOf("ada", rev)
		c.State = state(rev)
		commit(t, s, commitOf("bob", 2*rev-1), c, commitOf("bob", 2*rev))
		check(rev)
		s.crash() // the journal has it
		s = p.takeOver(t)
		check(rev)
		expectRev(t, s, "bob", 2*rev)
		if err := s.Close(); err != nil { // the head has it
			t.Fatal(err)
		}
		s = p.takeOver(t)
		s.forgetAll(t)
		check(rev)
	}
}

// A tombstone that is no longer needed goes, also from the stream, and the next life
// begins at revision 1.
func TestForgottenGoes(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	p.tick, p.MaxBytes = time.Hour, 1
	s := p.takeOver(t)
	end, forget := commitOf("ada", 2), commitOf("ada", 3)
	end.State, end.End = nil, store.Destroyed
	forget.State, forget.End = nil, store.Forgotten
	commit(t, s, commitOf("ada", 1), end, forget)
	s.forgetAll(t)
	for _, reopened := range []bool{false, true} {
		if reopened {
			s.crash()
			s = p.takeOver(t)
		}
		s.keeper.tick(t.Context())
		if _, err := s.Load(t.Context(), "ada"); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("reopened: %t: got %v, want ErrNotFound", reopened, err)
		}
		if got, err := s.List(t.Context(), store.ListQuery{Limit: 10}); err != nil || len(got.Actors) > 0 {
			t.Errorf("List: got %v, error %v, want none", got, err)
		}
	}
	commit(t, s, commitOf("ada", 1))
	for range 2 {
		expectRev(t, s, "ada", 1)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = p.takeOver(t)
	}
}

// Ids come from clients. Those that mean something in a subject reach no stream.
func TestIDsAreNoSubjects(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	s := p.takeOver(t)
	commit(t, s, commitOf("ada", 1))
	for _, id := range []string{"", "*", ">", "a.b", "a b", "ada\r\n", "ä", strings.Repeat("a", 200)} {
		if _, err := s.Load(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Load(%q): got %v, want ErrNotFound", id, err)
		}
		if got, err := s.Entries(t.Context(), id, 0, 10, 1<<20); err != nil || len(got) > 0 {
			t.Errorf("Entries of %q: got %v, error %v", id, got, err)
		}
		if errs := s.Commit(t.Context(), []*store.Commit{commitOf(id, 1)}); errs == nil || !errors.Is(errs[0], store.ErrConflict) {
			t.Errorf("Commit of %q: got %v, want an error", id, errs)
		}
	}
}

// A commit of a message that was changed in the stream, or on its disk, is not used.
func TestChecksums(t *testing.T) {
	var g groupMessage
	g.add(commitOf("ada", 1), 7, 1, true)
	message := g.bytes()
	if _, _, err := splitGroup(message); err != nil {
		t.Fatal(err)
	}
	for i := range message {
		changed := slices.Clone(message)
		changed[i] ^= 1
		if _, _, err := splitGroup(changed); err == nil {
			t.Errorf("a change of byte %d of %q is not found", i, message)
		}
	}
}
