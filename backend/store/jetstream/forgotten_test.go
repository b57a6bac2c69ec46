package jetstream

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// G1: a tombstone stays while the journals of earlier owners are not read. Else the actor's next life
// would begin at revision 1, and who takes over from its owner would find that behind the old one.
func TestG1_TombstonesStayDuringRecalls(t *testing.T) {
	proxy, backend := newProxy(t)
	p := backend.newPlace(quiet)
	defer p.remove(t)
	p.tick = time.Hour
	a, b, c := p.takeOver(t), p.open(t), p.open(t)
	parts := []int{store.Partition("ada")}
	end, forget := commitOf("ada", 2), commitOf("ada", 3)
	end.State, end.End = nil, store.Destroyed
	forget.State, forget.End = nil, store.Forgotten
	commit(t, a, commitOf("ada", 1), end, forget)
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
	newest, _, err := c.Last(t.Context(), b.Incarnation())
	if err != nil {
		t.Fatal(err)
	}
	seal, err := c.Seal(t.Context(), b.Incarnation(), newest)
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
