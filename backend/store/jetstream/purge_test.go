package jetstream

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// long returns a commit that goes in pieces where a message has at most 2,000 bytes.
func long(actor string, rev uint64) *store.Commit {
	c := commitOf(actor, rev)
	c.State = fmt.Appendf(nil, `{"rev":%d,"text":%q}`, rev, strings.Repeat("x", 12_000))
	return c
}

// expectLong checks what a store has of a commit that long has made, also in its journal.
func expectLong(t *testing.T, s *Store, c *store.Commit) {
	t.Helper()
	if got, err := s.Load(t.Context(), c.Actor); err != nil || got.Rev != c.Rev || !bytes.Equal(got.State, c.State) {
		t.Errorf("got %+v and error %v, want revision %d", got, err, c.Rev)
	}
	if entries, err := s.Entries(t.Context(), c.Actor, c.Rev-1, 10, 1<<20); err != nil || len(entries) != 1 {
		t.Errorf("got %d entries and error %v, want 1", len(entries), err)
	}
}

// others writes messages of another journal.
func others(t *testing.T, s *Store, n int) {
	t.Helper()
	for range n {
		if err := s.nc.Publish(s.journalOf("other"), []byte{kindLease}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

// G1: what only proves something is removed from the journal, but nothing of a commit behind it
// that is in pieces.
func TestG1_PurgeKeepsPieces(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	p.tick, p.longest = time.Hour, 2000
	s := p.takeOver(t)
	c := long("ada", 1)
	commit(t, s, c)
	others(t, s, purgeProofs)
	if err := s.Prove(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.keeper.tick(t.Context())
	if s.keeper.purged == 0 {
		t.Fatal("nothing was purged")
	}
	expectLong(t, s, c)
	s.crash()
	s = p.takeOver(t)
	expectLong(t, s, c)
}

// G1: neither does the purge remove the first pieces of a commit whose last one is on its way.
func TestG1_PurgeKeepsPiecesOfACommitUnderWay(t *testing.T) {
	proxy, backend := newProxy(t)
	p := backend.newPlace(quiet)
	defer p.remove(t)
	p.tick, p.longest = time.Hour, 2000
	s := p.takeOver(t)
	others(t, s, purgeProofs)
	acks := 0
	proxy.set(func() {
		proxy.lost = 0
		proxy.lose = func(_ string, data []byte) bool {
			if isAck(data) {
				acks++
			}
			return isAck(data) && acks >= 7 // of the seven pieces
		}
	})
	c := long("ada", 1)
	done := make(chan []error, 1)
	go func() { done <- s.Commit(context.Background(), []*store.Commit{c}) }()
	for n := 0; n == 0; time.Sleep(time.Millisecond) {
		proxy.set(func() { n = proxy.lost })
	}
	s.keeper.purge(t.Context())
	if s.keeper.purged == 0 {
		t.Fatal("nothing was purged")
	}
	proxy.set(func() { proxy.lose = nil })
	if errs := <-done; errs != nil {
		t.Fatalf("Commit: %v", errs)
	}
	expectLong(t, s, c)
	others(t, s, purgeProofs)
	if err := s.Prove(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.keeper.purgedAt = time.Time{}
	s.keeper.purge(t.Context())
	expectLong(t, s, c)
	s.crash()
	s = p.takeOver(t)
	expectLong(t, s, c)
}

// G1: pieces whose first ones are gone are no damage, and neither are those whose last one was
// never written.
func TestG1_RestsOfPieces(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	p.tick, p.longest = time.Hour, 2000
	s := p.takeOver(t)
	commit(t, s, commitOf("bob", 1))
	commit(t, s, long("ada", 1))
	if err := s.keeper.saveDirty(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.keeper.work.Lock()
	s.catalog.mu.Lock()
	s.keeper.pop(2)
	s.catalog.mu.Unlock()
	s.keeper.purge(t.Context()) // the journal's newest message stays: the last piece
	s.keeper.work.Unlock()
	begin := func() {
		s.own.writing.Lock()
		defer s.own.writing.Unlock()
		for i, first := range []uint64{0, s.own.last + 1} {
			if err := s.own.append(t.Context(), piece(i, 4, first, []byte("part")), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	begin()
	c := long("ada", 2)
	commit(t, s, c)
	begin()
	commit(t, s, commitOf("bob", 2))
	s.crash()
	s = p.takeOver(t)
	expectLong(t, s, c)
	expectLoaded(t, s, "bob", 2)
}

// pieces puts nothing together that does not belong together.
func TestPiecesThatDoNotFollow(t *testing.T) {
	type at struct {
		seq, first uint64
		i, n       int
	}
	for _, test := range []struct {
		name   string
		pieces []at
		want   string
	}{
		{"whole", []at{{5, 0, 0, 3}, {7, 5, 1, 3}, {8, 5, 2, 3}}, "578"},
		{"one that follows one that was given up", []at{{3, 0, 0, 3}, {4, 3, 1, 3}, {5, 0, 0, 2}, {7, 5, 1, 2}}, "57"},
		{"without its beginning", []at{{7, 5, 1, 3}, {8, 5, 2, 3}}, ""},
		{"with a gap", []at{{5, 0, 0, 3}, {8, 5, 2, 3}}, ""},
		{"of two messages", []at{{3, 0, 0, 3}, {4, 3, 1, 3}, {8, 6, 2, 3}}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var p pieces
			got := ""
			for _, x := range test.pieces {
				got += string(p.add(x.seq, pieceHeader{x.i, x.n, x.first, fmt.Append(nil, x.seq)}))
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
