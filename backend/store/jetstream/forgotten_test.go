package jetstream

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// commitForgotten commits the whole life of ada.
func commitForgotten(t *testing.T, s *Store) {
	t.Helper()
	end, forget := commitOf("ada", 2), commitOf("ada", 3)
	end.State, end.End = nil, store.Destroyed
	forget.State, forget.End = nil, store.Forgotten
	commit(t, s, commitOf("ada", 1), end, forget)
}

// G1: a tombstone stays while the journals of earlier owners are not read. Else the actor's next life
// would begin at revision 1, and who takes over from its owner would find that behind the old one.
func TestG1_TombstonesStayDuringRecalls(t *testing.T) {
	proxy, backend := newProxy(t)
	p := backend.newPlace(quiet)
	defer p.remove(t)
	p.tick, p.Retention = time.Hour, time.Nanosecond
	a, b, c := p.takeOver(t), p.open(t), p.open(t)
	parts := []int{store.Partition("ada")}
	commitForgotten(t, a)
	if err := a.Release(t.Context(), parts[0]); err != nil {
		t.Fatal(err)
	}
	proxy.set(func() {
		journal := []byte("Nats-Subject: " + a.own.subject + "\r\n")
		proxy.lose = func(_ string, data []byte) bool { return bytes.Contains(data, journal) }
	})
	past := []Journal{{Name: a.Incarnation()}}
	if err := b.Adopt(t.Context(), parts, past); err != nil {
		t.Fatal(err)
	}
	b.keeper.tick(t.Context())
	rev := uint64(1)
	switch tombstone, err := b.Load(t.Context(), "ada"); {
	case err == nil:
		rev = tombstone.Rev + 1
	case !errors.Is(err, store.ErrNotFound):
		t.Fatal(err)
	}
	next := commitOf("ada", rev)
	next.Entries = nil
	commit(t, b, next)
	proxy.set(func() { proxy.lose = nil })
	b.crash()
	last, err := c.Last(t.Context(), b.Incarnation())
	if err != nil {
		t.Fatal(err)
	}
	seal, err := c.Seal(t.Context(), b.Incarnation(), last.Seq)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Adopt(t.Context(), parts, nil, Journal{b.Incarnation(), seal}, Journal{a.Incarnation(), a.Newest()}); err != nil {
		t.Fatal(err)
	}
	expectLoaded(t, c, "ada", rev)
	if err := c.Settle(t.Context(), b.Incarnation()); err != nil {
		t.Error(err)
	}
}

// G1: a journal with a commit that does not follow the others is not settled: it has the only copy.
func TestG1_SettleNeedsCommitsThatFollow(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	p.tick = time.Hour
	a, b, c := p.takeOver(t), p.open(t), p.open(t)
	parts := []int{store.Partition("ada")}
	if err := b.Adopt(t.Context(), parts, nil); err != nil {
		t.Fatal(err)
	}
	commit(t, a, commitOf("ada", 1), commitOf("ada", 2))
	commit(t, b, commitOf("ada", 1))
	var journals []Journal
	for _, s := range []*Store{a, b} {
		s.crash()
		seal, err := c.Seal(t.Context(), s.Incarnation(), s.Newest())
		if err != nil {
			t.Fatal(err)
		}
		journals = append(journals, Journal{s.Incarnation(), seal})
	}
	if err := c.Adopt(t.Context(), parts, nil, journals...); err != nil {
		t.Fatal(err)
	}
	for _, j := range journals {
		if err := c.Settle(t.Context(), j.Name); !errors.Is(err, journal.ErrDamaged) {
			t.Errorf("Settle: got %v, want %v", err, journal.ErrDamaged)
		}
	}
}

// G1: nor does a tombstone go because this store trims earlier than the journals of earlier owners are.
func TestG1_TombstonesStayWithOldJournals(t *testing.T) {
	for _, debt := range []bool{false, true} {
		t.Run(fmt.Sprint(debt), func(t *testing.T) {
			var ahead atomic.Int64
			p := oneServer(t).newPlace(quiet)
			defer p.remove(t)
			p.tick, p.MaxBytes = time.Hour, 1
			p.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			a, b := p.takeOver(t), p.open(t)
			parts := []int{store.Partition("ada")}
			commitForgotten(t, a)
			if err := a.Release(t.Context(), parts[0]); err != nil {
				t.Fatal(err)
			}
			past, debts := []Journal{{a.Incarnation(), a.Newest()}}, []Journal(nil)
			if debt {
				past, debts = nil, past
			}
			if err := b.Adopt(t.Context(), parts, past, debts...); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Entries(t.Context(), "ada", 0, 10, 1<<20); err != nil { // after the recall
				t.Fatal(err)
			}
			for _, after := range []time.Duration{0, p.Options.withDefaults().Retention} {
				ahead.Add(int64(after))
				b.keeper.tick(t.Context())
				if n := len(b.index.Rows); n > 0 {
					t.Fatalf("%d rows are not trimmed", n)
				}
				if got, err := b.Load(t.Context(), "ada"); err != nil || got.Rev != 3 {
					t.Fatalf("after %v: got %+v and error %v, want the tombstone", after, got, err)
				}
			}
			ahead.Add(int64(time.Hour))
			b.keeper.tick(t.Context())
			if got, err := b.Load(t.Context(), "ada"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("at the end: got %+v and error %v, want ErrNotFound", got, err)
			}
		})
	}
}

// G1: nor does it go while a journal that this store removes is there, which also goes only when
// nothing of it is needed.
func TestG1_TombstonesStayWithSealedJournals(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	p.tick = time.Hour
	s := p.takeOver(t)
	commitForgotten(t, s)
	commit(t, s, commitOf("bob", 1))
	s.crash()
	s = p.takeOver(t)
	if err := s.keeper.saveDirty(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.keeper.work.Lock()
	s.catalog.mu.Lock()
	s.keeper.pop(1)
	s.catalog.mu.Unlock()
	s.keeper.work.Unlock()
	s.keeper.tick(t.Context())
	switch tombstone, err := s.Load(t.Context(), "ada"); {
	case err == nil:
		commit(t, s, commitOf("ada", tombstone.Rev+1))
	default:
		commit(t, s, commitOf("ada", 1))
	}
	s.crash()
	s = p.takeOver(t)
	if got, err := s.Load(t.Context(), "ada"); err != nil {
		t.Errorf("got %+v and error %v, want the next life", got, err)
	}
}
