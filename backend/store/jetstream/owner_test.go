package jetstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/troupe-dev/troupe/backend/store"
)

func commitOf(actor string, rev uint64) *store.Commit {
	return &store.Commit{
		Actor: actor, Name: "room", Key: []string{actor}, Log: "log", Rev: rev, Time: time.Now().Truncate(time.Millisecond),
		State: stateAt(rev), NextConn: 1,
		Entries: []store.Entry{{Seq: rev, Event: "said", Data: json.RawMessage(`{"n":1}`)}},
	}
}

func stateAt(rev uint64) []byte { return fmt.Appendf(nil, `{"n":%d}`, rev) }

func commit(t testing.TB, s store.Store, group ...*store.Commit) {
	t.Helper()
	if errs := s.Commit(t.Context(), group); errs != nil {
		t.Fatalf("Commit: %v", errs)
	}
}

// expectRev checks what a store has of an actor whose commits are commitOf's.
func expectRev(t testing.TB, s store.Store, actor string, rev uint64) {
	t.Helper()
	got, err := s.Load(t.Context(), actor)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	if got.Rev != rev || !bytes.Equal(got.State, stateAt(rev)) {
		t.Fatalf("%s: got revision %d with %s, want %d", actor, got.Rev, got.State, rev)
	}
	entries, err := s.Entries(t.Context(), actor, 0, 1<<20, 1<<30)
	if err != nil || len(entries) == 0 || entries[len(entries)-1].Seq != rev {
		t.Fatalf("%s: got %d entries, error %v, want the last to be %d", actor, len(entries), err, rev)
	}
	for i := range entries {
		if entries[i].Seq != entries[0].Seq+uint64(i) {
			t.Fatalf("%s: got entry %d after %d", actor, entries[i].Seq, entries[i-1].Seq)
		}
	}
}

// Two owners write at once: exactly one wins, the other one learns it, and all that it had
// acknowledged is there.
func TestG10_TwoOwners(t *testing.T) {
	testTwoOwners(t, oneServer(t), 10)
}

func TestG10_TwoOwnersThreeServers(t *testing.T) {
	if testing.Short() {
		t.Skip("the long form")
	}
	testTwoOwners(t, threeServers(t), 20)
}

func testTwoOwners(t *testing.T, b backend, rounds int) {
	for round := range uint64(rounds) {
		p := b.newPlace(quiet)
		a := p.takeOver(t)
		var acked atomic.Uint64
		var wait sync.WaitGroup
		var failure error
		begun := make(chan struct{})
		wait.Go(func() {
			for rev := uint64(1); ; rev++ {
				if errs := a.Commit(context.Background(), []*store.Commit{commitOf("ada", rev)}); errs != nil {
					failure = errs[0]
					return
				}
				if acked.Store(rev); rev == 1+round {
					close(begun)
				}
			}
		})
		<-begun
		other := p.takeOver(t)
		got, err := other.Load(t.Context(), "ada")
		if err != nil {
			t.Fatal(err)
		}
		commit(t, other, commitOf("ada", got.Rev+1))
		wait.Wait()
		if got.Rev != acked.Load() || !errors.Is(failure, store.ErrConflict) {
			t.Errorf("round %d: %d was acknowledged, the other one found %d; the loser's error is %v", round, acked.Load(), got.Rev, failure)
		}
		expectRev(t, other, "ada", got.Rev+1)
		p.remove(t)
	}
}

// A store that was deposed says nothing any more.
func TestG10_DeposedStore(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	p.Lease = time.Hour
	a := p.takeOver(t)
	c := commitOf("ada", 1)
	c.Due = time.Now()
	c.Conns = []store.Conn{{Num: 1, ID: "a"}}
	commit(t, a, c)
	if !a.Valid() {
		t.Error("the owner is not valid after a commit")
	}
	b := p.takeOver(t)
	commit(t, b, commitOf("ada", 2))
	if err := a.Prove(t.Context()); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Prove: got %v, want ErrConflict", err)
	}
	if a.Valid() || !a.Deposed() {
		t.Error("the deposed owner is valid")
	}
	_, load := a.Load(t.Context(), "ada")
	_, entries := a.Entries(t.Context(), "ada", 0, 10, 1<<20)
	_, replies := a.Replies(t.Context(), "ada", "x", 0, 10, 1<<20)
	_, items := a.Items(t.Context(), "ada", store.ItemRange{Table: 1, Limit: 1})
	_, due := a.Due(t.Context(), store.Wake{}, time.Now().Add(time.Hour), 10)
	_, list := a.List(t.Context(), store.ListQuery{Limit: 10})
	_, names := a.Names(t.Context())
	connected := a.Connected(t.Context(), store.AllPartitions, func(string) bool { return true })
	commit := a.Commit(t.Context(), []*store.Commit{commitOf("ada", 2)})[0]
	for what, err := range map[string]error{
		"Load": load, "Entries": entries, "Replies": replies, "Items": items, "Due": due, "List": list, "Names": names, "Connected": connected, "Commit": commit,
	} {
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: got %v, want ErrConflict", what, err)
		}
	}
	expectRev(t, b, "ada", 2)
	if err := a.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// The lease counts from when the newest message was first sent. Without one nothing is
// valid, and with one that is over Prove makes it so again.
func TestG10_Lease(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	var clock atomic.Int64
	p.Lease, p.boot = 1000*time.Hour, func() time.Duration { return time.Duration(clock.Load()) }
	s := p.takeOver(t)
	if !s.Valid() {
		t.Error("not valid after a message")
	}
	clock.Add(int64(p.Lease*9/10 - 1))
	if !s.Valid() {
		t.Error("not valid at the end of the lease")
	}
	clock.Add(1)
	if s.Valid() {
		t.Error("valid though the lease is over")
	}
	if err := s.Prove(t.Context()); err != nil || !s.Valid() {
		t.Errorf("Prove: %v; valid: %t", err, s.Valid())
	}
	p.Lease = 0
	if other := p.takeOver(t); other.Valid() {
		t.Error("valid without a lease")
	}
}

// The lease is renewed when nothing is written.
func TestLeaseIsRenewed(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	p.Lease = 200 * time.Millisecond
	s := p.takeOver(t)
	watch, err := s.nc.SubscribeSync(s.own.subject)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		m, err := watch.NextMsg(20 * time.Second)
		if err != nil || string(m.Data) != string(rune(kindLease)) {
			t.Fatalf("got %v, error %v, want a message that renews the lease", m, err)
		}
	}
}

// Seal takes the journal of an owner only if it has written nothing since the sequence.
func TestG10_SealNeedsTheNewestMessage(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	a, b := p.takeOver(t), p.open(t)
	newest := a.Newest()
	commit(t, a, commitOf("ada", 1))
	if _, err := b.Seal(t.Context(), a.Incarnation(), newest); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("Seal with an old sequence: got %v, want ErrConflict", err)
	}
	before := a.Clock().Truncate(time.Millisecond)
	commit(t, a, commitOf("ada", 2))
	after := a.Clock()
	for _, last := range []func(context.Context, string) (LastMessage, error){b.Last, b.LastSeen} {
		if m, err := last(t.Context(), a.Incarnation()); err != nil || m.Seq != a.Newest() || m.Sealed || m.Sent < before || m.Sent > after {
			t.Errorf("got the newest message %+v, error %v, want %d, sent between %v and %v", m, err, a.Newest(), before, after)
		}
	}
	seal, err := b.Seal(t.Context(), a.Incarnation(), a.Newest())
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.Seal(t.Context(), a.Incarnation(), a.Newest())
	if err != nil || again != seal {
		t.Errorf("Seal of a sealed journal: got %d and error %v, want %d", again, err, seal)
	}
	if errs := a.Commit(t.Context(), []*store.Commit{commitOf("ada", 3)}); errs == nil || !errors.Is(errs[0], store.ErrConflict) {
		t.Errorf("Commit after the seal: got %v, want ErrConflict", errs)
	}
	if last, err := b.Last(t.Context(), a.Incarnation()); last.Seq != seal || !last.Sealed || err != nil {
		t.Errorf("the newest message: got %+v, error %v, want the seal %d", last, err, seal)
	}
}

// isAck reports whether an answer is that of a message that was stored.
func isAck(data []byte) bool {
	return bytes.Contains(data, []byte(`"seq":`)) && bytes.Contains(data, []byte(`_J"`))
}

// Answers to commits are lost at random: each commit is made once all the same.
func TestLostAnswers(t *testing.T) {
	proxy, b := newProxy(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	p := b.newPlace(quiet)
	defer p.remove(t)
	p.tryTime = 30 * time.Millisecond
	s := p.takeOver(t)
	proxy.set(func() { proxy.lose = func(_ string, data []byte) bool { return isAck(data) && r.IntN(3) == 0 } })
	const commits = 40
	for rev := uint64(1); rev <= commits; rev++ {
		commit(t, s, commitOf("ada", rev), commitOf("bob", rev))
	}
	proxy.set(func() { proxy.lose = nil })
	if proxy.lost == 0 {
		t.Error("no answer was lost")
	}
	for _, s := range []*Store{s, p.takeOver(t)} {
		expectRev(t, s, "ada", commits)
		expectRev(t, s, "bob", commits)
	}
}

// All answers are lost for so long that the outcome is unknown. What comes next finds out
// that the commit was made, before it says anything.
func TestUnknownOutcome(t *testing.T) {
	for _, next := range []string{"Load", "Entries", "Prove", "Commit", "Close"} {
		t.Run(next, func(t *testing.T) {
			proxy, b := newProxy(t)
			p := b.newPlace(quiet)
			defer p.remove(t)
			p.tryTime = 20 * time.Millisecond
			s := p.takeOver(t)
			commit(t, s, commitOf("ada", 1), commitOf("bob", 1))
			proxy.set(func() {
				proxy.lose = func(_ string, data []byte) bool { return isAck(data) || bytes.Contains(data, []byte("err_code")) }
			})
			s.own.client.timeout = 100 * time.Millisecond
			c, d := commitOf("ada", 2), commitOf("eve", 1)
			errs := s.Commit(t.Context(), []*store.Commit{c, d})
			if len(errs) != 2 || !errors.Is(errs[0], store.ErrUnknown) || !errors.Is(errs[1], store.ErrUnknown) {
				t.Fatalf("got %v, want ErrUnknown twice", errs)
			}
			clear(c.Entries) // the caller may reuse what it has passed
			*c, *d = store.Commit{}, store.Commit{}
			if _, err := s.Load(t.Context(), "ada"); !errors.Is(err, store.ErrUnknown) {
				t.Errorf("Load while it is unknown: got error %v, want ErrUnknown", err)
			}
			if stats := s.Stats(); stats.Stuck < s.own.client.timeout || stats.Retries == 0 {
				t.Errorf("while it is unknown: got %+v, want it to be stuck", stats)
			}
			s.own.client.timeout = p.Timeout
			proxy.set(func() { proxy.lose = nil })
			rev := uint64(2)
			switch next {
			case "Load":
				expectRev(t, s, "ada", rev)
			case "Entries":
				if got, err := s.Entries(t.Context(), "ada", 0, 10, 1<<20); err != nil || len(got) != 2 {
					t.Errorf("got %d entries and error %v, want 2", len(got), err)
				}
			case "Prove":
				if err := s.Prove(t.Context()); err != nil {
					t.Errorf("Prove: %v", err)
				}
			case "Commit":
				rev = 3
				commit(t, s, commitOf("ada", rev))
			}
			if next != "Close" {
				expectRev(t, s, "ada", rev)
				expectRev(t, s, "eve", 1)
			}
			if err := s.Close(); err != nil || s.Stats().Stuck != 0 {
				t.Errorf("Close: %v; %+v", err, s.Stats())
			}
			s = p.takeOver(t)
			expectRev(t, s, "ada", rev)
			expectRev(t, s, "eve", 1)
		})
	}
}

// Another node takes over while the outcome is unknown: the commit was made, and its owner
// learns that it is deposed.
func TestG10_UnknownOutcomeAndTakeover(t *testing.T) {
	proxy, b := newProxy(t)
	p := b.newPlace(quiet)
	defer p.remove(t)
	p.tryTime = 20 * time.Millisecond
	s := p.takeOver(t)
	proxy.set(func() {
		proxy.lose = func(_ string, data []byte) bool { return isAck(data) || bytes.Contains(data, []byte("err_code")) }
	})
	s.own.client.timeout = 50 * time.Millisecond
	if errs := s.Commit(t.Context(), []*store.Commit{commitOf("ada", 1)}); errs == nil || !errors.Is(errs[0], store.ErrUnknown) {
		t.Fatalf("got %v, want ErrUnknown", errs)
	}
	proxy.set(func() { proxy.lose = nil })
	s.own.client.timeout = p.Timeout
	p.options = []nats.Option{nats.InProcessServer(servers.one)}
	p.tryTime = 0
	other := p.takeOver(t)
	expectRev(t, other, "ada", 1)
	if _, err := s.Load(t.Context(), "ada"); err == nil {
		// The earlier commit was made. The next message finds the seal.
		if err := s.Prove(t.Context()); !errors.Is(err, store.ErrConflict) {
			t.Errorf("Prove: got %v, want ErrConflict", err)
		}
	} else if !errors.Is(err, store.ErrConflict) {
		t.Errorf("Load: got %v, want nothing or ErrConflict", err)
	}
}

// A replica that is behind answers. Neither a new owner nor one that has forgotten an
// actor takes what it says.
func TestG10_StaleReplica(t *testing.T) {
	proxy, b := newProxy(t)
	p := b.newPlace(quiet)
	defer p.remove(t)
	p.tick = time.Hour
	p.MaxBytes, p.CapBytes = 1, 1
	s := p.takeOver(t)
	commit(t, s, commitOf("ada", 1))
	s.keeper.step(t.Context())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = p.takeOver(t)
	expectLoaded(t, s, "ada", 1) // this answer is recorded
	commit(t, s, commitOf("ada", 2))
	s.forgetAll(t)
	stale := func(s *Store, rev uint64) {
		t.Helper()
		var once sync.Once
		done := make(chan struct{})
		proxy.set(func() { proxy.replay, proxy.replayed = true, 0 })
		defer proxy.set(func() { proxy.replay = false }) // what clears up must not wait for it
		go func() {                                      // it catches up once it was asked
			defer close(done)
			for {
				n := 0
				proxy.set(func() { n = proxy.replayed })
				if n >= 2 {
					once.Do(func() { proxy.set(func() { proxy.replay = false }) })
					return
				}
				select {
				case <-t.Context().Done():
					return
				case <-time.After(time.Millisecond):
				}
			}
		}()
		expectLoaded(t, s, "ada", rev)
		<-done
	}
	stale(s, 2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	stale(p.takeOver(t), 2)
}

func expectLoaded(t testing.TB, s *Store, actor string, rev uint64) {
	t.Helper()
	got, err := s.Load(t.Context(), actor)
	if err != nil || got.Rev != rev || !bytes.Equal(got.State, stateAt(rev)) {
		t.Fatalf("%s: got %+v and error %v, want revision %d", actor, got, err, rev)
	}
}

// forgetAll saves all actors, trims the journal and drops them from memory.
func (s *Store) forgetAll(t testing.TB) {
	t.Helper()
	for hours := range 3 {
		now := s.options.now().Add(time.Duration(hours+1) * time.Hour)
		s.reader.options.now = func() time.Time { return now }
		s.keeper.tick(t.Context())
	}
	s.catalog.mu.Lock()
	defer s.catalog.mu.Unlock()
	for _, r := range s.index.ByID {
		if r.Record != nil {
			t.Fatalf("actor %s is still in memory", r.ID)
		}
	}
}

// A store that is abandoned does not go on asking servers that do not answer.
func TestAbandonDoesNotWait(t *testing.T) {
	proxy, b := newProxy(t)
	p := b.newPlace(quiet)
	defer p.remove(t)
	p.Timeout, p.tryTime = time.Hour, 50*time.Millisecond
	s := p.takeOver(t)
	proxy.set(func() { proxy.lose = func(string, []byte) bool { return true } })
	proved := make(chan error, 1)
	go func() { proved <- s.Prove(context.Background()) }()
	for lost := 0; lost == 0; time.Sleep(time.Millisecond) {
		proxy.set(func() { lost = proxy.lost })
	}
	s.Abandon()
	select {
	case err := <-proved:
		if !errors.Is(err, store.ErrUnknown) {
			t.Errorf("got %v, want ErrUnknown", err)
		}
	case <-time.After(time.Minute):
		t.Error("it still asks after a minute")
	}
	proxy.set(func() { proxy.lose = nil })
}
