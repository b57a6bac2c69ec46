package jetstream

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// A partition goes away and comes back while one of its actors is being read: what was read
// is from before the other owner, and is neither returned nor kept.
func TestG10_LoadDuringRelease(t *testing.T) {
	proxy, backend := newProxy(t)
	p := backend.newPlace(quiet)
	defer p.remove(t)
	p.tick = time.Hour
	a, b := p.takeOver(t), p.open(t)
	part := store.Partition("ada")
	commit(t, a, commitOf("ada", 1))
	a.forgetAll(t)
	expectLoaded(t, a, "ada", 1) // this answer is recorded
	a.forgetAll(t)
	proxy.set(func() { proxy.replay, proxy.replayed = true, 0 })
	loaded := make(chan error, 1)
	go func() {
		_, err := a.Load(context.Background(), "ada")
		loaded <- err
	}()
	for n := 0; n < 2; { // it waits for a replica that is up to date
		select {
		case err := <-loaded:
			t.Fatalf("a stale replica was believed: error %v", err)
		case <-time.After(time.Millisecond):
			proxy.set(func() { n = proxy.replayed })
		}
	}
	if err := a.Release(t.Context(), part); err != nil {
		t.Fatal(err)
	}
	proxy.set(func() { proxy.replay = false })
	if err := <-loaded; !errors.Is(err, store.ErrConflict) {
		t.Errorf("Load: got error %v, want ErrConflict", err)
	}
	if err := b.Adopt(t.Context(), []int{part}, nil, Journal{a.Incarnation(), a.Newest()}); err != nil {
		t.Fatal(err)
	}
	commit(t, b, commitOf("ada", 2), commitOf("ada", 3))
	if err := b.Release(t.Context(), part); err != nil {
		t.Fatal(err)
	}
	if err := a.Adopt(t.Context(), []int{part}, nil, Journal{b.Incarnation(), b.Newest()}); err != nil {
		t.Fatal(err)
	}
	expectRev(t, a, "ada", 3)
	commit(t, a, commitOf("ada", 4))
}

// A partition stays where it is while one of its actors cannot be saved: the journal has
// the only copy of its commits.
func TestG10_ReleaseNeedsSavedActors(t *testing.T) {
	b, _ := newBoard(t, quiet)
	b.set(8<<10, upTo(20)...)
	b.save()
	b.set(10, 0)
	b.damage()
	for range 2 { // the second time it is blocked
		err := b.s.Release(t.Context(), store.Partition(boardID))
		if !errors.Is(err, journal.ErrDamaged) || !strings.Contains(err.Error(), boardID) {
			t.Fatalf("Release: got %v, want an error that names the actor", err)
		}
	}
	if got, err := b.s.Load(t.Context(), boardID); err != nil || got.Rev != b.rev {
		t.Errorf("after the failure: got %+v and error %v, want revision %d", got, err, b.rev)
	}

	other, place := newBoard(t, quiet)
	other.set(8<<10, upTo(20)...)
	other.save()
	other.set(10, 0)
	other.s.crash()
	s := place.open(t)
	last, err := s.Last(t.Context(), other.s.Incarnation())
	if err != nil {
		t.Fatal(err)
	}
	seal, err := s.Seal(t.Context(), other.s.Incarnation(), last.Seq)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Adopt(t.Context(), []int{store.Partition(boardID)}, nil, Journal{other.s.Incarnation(), seal}); err != nil {
		t.Fatal(err)
	}
	s.catalog.mu.Lock()
	r := s.index.ByID[boardID]
	r.Blocked = time.Now().Add(time.Hour).UnixNano() // as after a try that failed
	s.catalog.mu.Unlock()
	if err := s.Settle(t.Context(), other.s.Incarnation()); !errors.Is(err, journal.ErrDamaged) || !strings.Contains(err.Error(), boardID) {
		t.Errorf("Settle: got %v, want an error that names the actor", err)
	}
	s.catalog.mu.Lock()
	r.Blocked = 0
	s.catalog.mu.Unlock()
	if err := s.Settle(t.Context(), other.s.Incarnation()); err != nil {
		t.Errorf("Settle: %v", err)
	}
}

// A partition stays where it is while the outcome of a commit is unknown.
func TestG10_ReleaseNeedsKnownOutcomes(t *testing.T) {
	proxy, backend := newProxy(t)
	p := backend.newPlace(quiet)
	defer p.remove(t)
	p.tryTime = 20 * time.Millisecond
	s := p.takeOver(t)
	part := store.Partition("ada")
	commit(t, s, commitOf("ada", 1))
	proxy.set(func() {
		proxy.lose = func(_ string, data []byte) bool { return isAck(data) || bytes.Contains(data, []byte("err_code")) }
	})
	s.own.client.timeout = 100 * time.Millisecond
	if errs := s.Commit(t.Context(), []*store.Commit{commitOf("ada", 2)}); errs == nil || !errors.Is(errs[0], store.ErrUnknown) {
		t.Fatalf("got %v, want ErrUnknown", errs)
	}
	if err := s.Release(t.Context(), part); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("Release: got %v, want ErrUnknown", err)
	}
	s.own.client.timeout = p.Timeout
	proxy.set(func() { proxy.lose = nil })
	expectRev(t, s, "ada", 2)
	if err := s.Release(t.Context(), part); err != nil {
		t.Fatal(err)
	}
	s.catalog.mu.Lock()
	r := s.index.ByID["ada"]
	s.catalog.mu.Unlock()
	if r != nil {
		t.Errorf("after the release the index has revision %d", r.Rev)
	}
}

// A large actor that is due and in the way of trimming is saved once.
func TestLargeActorsAreSavedOnce(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	var heads atomic.Int64
	p.tick, p.MaxBytes = time.Hour, 1
	p.before = func(op string) error {
		if op == "head" {
			heads.Add(1)
		}
		return nil
	}
	s := p.takeOver(t)
	s.keeper.work.Lock() // so that nothing is saved before all is there
	for rev := uint64(1); rev <= 4; rev++ {
		c := commitOf("ada", rev)
		c.State = bytes.Repeat([]byte{'1'}, journal.SliceBytes+100)
		commit(t, s, c)
	}
	s.keeper.work.Unlock()
	s.keeper.step(t.Context())
	s.keeper.work.Lock() // and the step that the commits have begun is over
	defer s.keeper.work.Unlock()
	if n := heads.Load(); n != 1 {
		t.Errorf("%d heads were written, want 1", n)
	}
}

// A backup reads an actor of which commits are missing again, and rolls it forward with all
// that the journals have after its head.
func TestBackup_ReadsAgain(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	p.tick, p.longest = time.Hour, 2000
	s := p.takeOver(t)
	for rev := uint64(1); rev <= 7; rev++ {
		commit(t, s, commitOf("ada", rev))
	}
	if err := s.keeper.saveDirty(t.Context()); err != nil {
		t.Fatal(err)
	}
	at7 := s.Newest()
	long := commitOf("ada", 8) // in pieces
	long.State = []byte(`"` + strings.Repeat("x", 10_000) + `"`)
	commit(t, s, long, commitOf("bob", 1))
	for rev := uint64(9); rev <= 10; rev++ {
		commit(t, s, commitOf("ada", rev))
	}
	made, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "made"), sqlite.Options{Logger: quiet.Logger})
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close() // it is thrown away
	b := &backup{Store: p.open(t), to: made, revs: map[string]uint64{}}
	if _, err := b.list(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Its head was at revision 5, and the journal has lost 6 and 7 since.
	b.revs["ada"], b.next = 5, at7+1
	stale, err := b.rollForward(t.Context())
	if err != nil || len(stale) != 1 || stale[0] != "ada" {
		t.Fatalf("got %v and error %v, want ada to be read again", stale, err)
	}
	if err := b.copy(t.Context(), "ada"); err != nil {
		t.Fatal(err)
	}
	if stale, err = b.rollForward(t.Context()); err != nil || len(stale) > 0 {
		t.Fatalf("got %v and error %v, want nothing", stale, err)
	}
	for actor, rev := range map[string]uint64{"ada": 10, "bob": 1} {
		got, err := made.Load(t.Context(), actor)
		if err != nil || got.Rev != rev || !bytes.Equal(got.State, stateAt(rev)) {
			t.Errorf("%s: got %+v and error %v, want revision %d", actor, got, err, rev)
		}
	}
}

// TestPrepare saves the actors of a partition before it is given back: they go on meanwhile.
func TestPrepare(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	s := p.takeOver(t)
	part := store.Partition("ada")
	unsaved := func() int {
		s.catalog.mu.Lock()
		defer s.catalog.mu.Unlock()
		parts := partSet([]int{part})
		return len(s.unsaved(&parts))
	}
	for rev := uint64(1); rev <= 2; rev++ {
		commit(t, s, commitOf("ada", rev))
		if n := unsaved(); n != 1 {
			t.Fatalf("%d actors are not saved, want 1", n)
		}
		if err := s.Prepare(t.Context(), []int{part}); err != nil || unsaved() != 0 {
			t.Fatalf("error %v, and %d actors are not saved", err, unsaved())
		}
	}
	if err := s.Release(t.Context(), part); err != nil {
		t.Error(err)
	}
}

// TestG10_PrepareDuringRelease saves actors of a partition that is being given back: nothing of it
// comes back into memory.
func TestG10_PrepareDuringRelease(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	p.tick = time.Hour
	saves, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	p.before = func(op string) error {
		if op == "head" {
			once.Do(func() { close(saves); <-goOn })
		}
		return nil
	}
	s := p.takeOver(t)
	part := store.Partition("ada")
	c := commitOf("ada", 1)
	c.Due, c.Conns = time.Now(), []store.Conn{{Num: 1, ID: "x"}}
	commit(t, s, c)
	released, prepared := make(chan error, 1), make(chan error, 1)
	go func() { released <- s.Release(context.Background(), part) }()
	<-saves
	go func() { prepared <- s.Prepare(context.Background(), []int{part}) }()
	waitsFor(t, "adopter.save") // the lock that Release has
	close(goOn)
	if err := errors.Join(<-released, <-prepared); err != nil {
		t.Fatal(err)
	}
	s.catalog.mu.Lock()
	if len(s.index.ByID) != 0 || len(s.dues.at) != 0 {
		t.Errorf("of a partition that was given back there are %d actors and %d that are due", len(s.index.ByID), len(s.dues.at))
	}
	s.catalog.mu.Unlock()
	if err := s.Connected(t.Context(), store.AllPartitions, func(string) bool { return true }); err != nil {
		t.Errorf("Connected: %v", err)
	}
}

// waitsFor returns when a goroutine of a method waits for a mutex.
func waitsFor(t *testing.T, method string) {
	t.Helper()
	buffer := make([]byte, 1<<20)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		for of := range strings.SplitSeq(string(buffer[:runtime.Stack(buffer, true)]), "\n\n") {
			if state, _, _ := strings.Cut(of, "\n"); strings.Contains(state, "[sync.Mutex.Lock") && strings.Contains(of, method) {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not wait for a mutex", method)
		}
	}
}
