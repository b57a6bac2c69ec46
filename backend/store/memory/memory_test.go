package memory_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t,
		func(*testing.T) store.Store { return memory.New(memory.Options{}) },
		func(_ *testing.T, s store.Store) store.Store { return s }, // Close keeps everything
	)
}

func TestStore_trimmed(t *testing.T) {
	storetest.RunTrimmed(t,
		func(*testing.T) store.Store { return memory.New(memory.Options{MaxBytes: 20_000}) },
		func(_ *testing.T, s store.Store) store.Store { return s },
	)
}

// commit makes revision rev of an actor, with one entry of that number, at a
// time after the start.
func commit(t *testing.T, s store.Store, actor string, rev uint64, at time.Duration) {
	t.Helper()
	errs := s.Commit(t.Context(), []*store.Commit{{
		Actor: actor, Rev: rev, Time: time.UnixMilli(0).Add(at), State: []byte(`{}`),
		Entries: []store.Entry{{Seq: rev, Event: "said", Data: make([]byte, 300)}},
	}})
	if errs != nil {
		t.Fatalf("commit %d of %s: %v", rev, actor, errs)
	}
}

// retained returns the numbers of the oldest retained entry and of the newest.
func retained(t *testing.T, s store.Store, actor string) string {
	t.Helper()
	entries, err := s.Entries(t.Context(), actor, 0, 1<<20, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 {
		return "none"
	}
	return fmt.Sprint(entries[0].Seq, " to ", entries[len(entries)-1].Seq)
}

func TestRetention_byAge(t *testing.T) {
	s := memory.New(memory.Options{Retention: time.Minute})
	for rev := uint64(1); rev <= 10; rev++ {
		commit(t, s, "ada", rev, time.Duration(rev)*10*time.Second)
	}
	if got, want := retained(t, s, "ada"), "4 to 10"; got != want {
		t.Errorf("a minute: got %s, want %s", got, want)
	}
	commit(t, s, "bob", 1, time.Hour)
	if got, want := retained(t, s, "ada"), "none"; got != want {
		t.Errorf("an hour later: got %s, want %s", got, want)
	}
	commit(t, s, "ada", 11, time.Hour)
	if got, want := retained(t, s, "ada"), "11 to 11"; got != want {
		t.Errorf("after another turn: got %s, want %s", got, want)
	}
	if snapshot, err := s.Load(t.Context(), "ada"); err != nil || snapshot.Head != 11 {
		t.Errorf("Load: got %+v, %v; want head 11", snapshot, err)
	}
}

func TestRetention_byAgeDefault(t *testing.T) {
	s := memory.New(memory.Options{})
	commit(t, s, "ada", 1, 0)
	commit(t, s, "ada", 2, 3*time.Minute)
	if got, want := retained(t, s, "ada"), "1 to 2"; got != want {
		t.Errorf("after 3 minutes: got %s, want %s", got, want)
	}
	commit(t, s, "ada", 3, 3*time.Minute+time.Millisecond)
	if got, want := retained(t, s, "ada"), "2 to 3"; got != want {
		t.Errorf("a moment later: got %s, want %s", got, want)
	}
}

func TestRetention_bySizeOldestFirstOverAllActors(t *testing.T) {
	s := memory.New(memory.Options{MaxBytes: 4200}) // ten entries of 300 bytes, with overhead
	for rev := uint64(1); rev <= 5; rev++ {
		commit(t, s, "quiet", rev, 0)
	}
	if got, want := retained(t, s, "quiet"), "1 to 5"; got != want {
		t.Errorf("with room: got %s, want %s", got, want)
	}
	for rev := uint64(1); rev <= 7; rev++ {
		commit(t, s, "loud", rev, 0)
	}
	if got, want := retained(t, s, "quiet"), "3 to 5"; got != want {
		t.Errorf("the quiet actor: got %s, want %s", got, want)
	}
	if got, want := retained(t, s, "loud"), "1 to 7"; got != want {
		t.Errorf("the loud actor: got %s, want %s", got, want)
	}
}

// A test simulates a restart with a second runtime on the same Store.
func TestClose_keepsAll(t *testing.T) {
	s := memory.New(memory.Options{})
	commit(t, s, "ada", 1, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	commit(t, s, "ada", 2, 0)
	if got, want := retained(t, s, "ada"), "1 to 2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if errs := s.Commit(t.Context(), []*store.Commit{{Actor: "ada", Rev: 2}}); len(errs) != 1 || !errors.Is(errs[0], store.ErrConflict) {
		t.Errorf("a commit of the runtime before: got %v, want one ErrConflict", errs)
	}
}

// BenchmarkCommit commits turns with one event and one reply, each to an actor
// of its own goroutine.
func BenchmarkCommit(b *testing.B) {
	for _, actors := range []int{1, 1000} {
		b.Run(fmt.Sprint("actors=", actors), func(b *testing.B) {
			s := memory.New(memory.Options{})
			var goroutines atomic.Int64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				g := goroutines.Add(1)
				ids := make([]string, actors)
				revs := make([]uint64, actors)
				for i := range ids {
					ids[i] = fmt.Sprint(g, "/", i)
				}
				state, data := make([]byte, 1000), make([]byte, 300)
				conn := []uint32{1}
				entries := make([]store.Entry, 2)
				c := &store.Commit{Name: "chatRoom", Key: []string{"general"}, State: state, Entries: entries, Time: time.Now()}
				group := []*store.Commit{c}
				for i := 0; pb.Next(); i++ {
					a := i % actors
					revs[a]++
					c.Actor, c.Rev = ids[a], revs[a]
					entries[0] = store.Entry{Seq: 2*c.Rev - 1, Event: "messageReceived", Data: data}
					entries[1] = store.Entry{Seq: 2 * c.Rev, Caller: "x", Call: c.Rev, Data: data, Target: store.Target{Mode: store.ToOnly, Conns: conn}}
					if errs := s.Commit(context.Background(), group); errs != nil {
						b.Error(errs)
						return
					}
				}
			})
		})
	}
}
