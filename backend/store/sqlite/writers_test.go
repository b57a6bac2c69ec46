package sqlite_test

import (
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// writers commit, each to an actor of its own, and record the acknowledged revisions.
type writers struct {
	store *sqlite.Store
	wait  sync.WaitGroup
	stop  chan struct{}
	moved chan struct{} // has one when a commit was acknowledged, or a writer has ended, since the last was taken

	mu    sync.Mutex
	acked map[string]uint64 // revisions
}

func startWriters(t *testing.T, s *sqlite.Store, n int) *writers {
	w := &writers{store: s, stop: make(chan struct{}), moved: make(chan struct{}, 1), acked: map[string]uint64{}}
	for i := range n {
		w.wait.Go(func() {
			defer w.move()
			actor := fmt.Sprint("actor", i)
			for rev := uint64(1); ; rev++ {
				select {
				case <-w.stop:
					return
				default:
				}
				if errs := s.Commit(t.Context(), []*store.Commit{commitOf(actor, rev)}); errs != nil {
					t.Errorf("commit %d of %s: %v", rev, actor, errs)
					return
				}
				w.mu.Lock()
				w.acked[actor] = rev
				w.mu.Unlock()
				w.move()
			}
		})
	}
	return w
}

func (w *writers) move() {
	select {
	case w.moved <- struct{}{}:
	default:
	}
}

func (w *writers) acknowledged() map[string]uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.acked)
}

// commitOf makes revision rev of an actor, with one entry of that number.
func commitOf(actor string, rev uint64) *store.Commit {
	c := &store.Commit{
		Actor: actor, Name: "room", Key: []string{actor}, Log: "log", Time: startTime, Rev: rev, NextConn: 1,
		State: stateOf(actor, rev), Entries: []store.Entry{{Seq: rev, Event: "said", Data: fmt.Appendf(nil, `{"n":%d}`, rev)}},
		Callers: []store.Caller{{ID: "caller", Highest: rev, Used: startTime}},
	}
	if rev > 1 {
		c.Base = stateOf(actor, rev-1)
	}
	return c
}

// stateOf is a state of about 1 KB of which each revision changes a part.
func stateOf(actor string, rev uint64) []byte {
	b := fmt.Appendf(nil, `{"actor":%q,"rev":%d,"list":[`, actor, rev)
	for i := max(rev, 30) - 30; i < rev; i++ {
		b = fmt.Appendf(b, `"message %d of it",`, i)
	}
	return append(b, `0]}`...)
}

// checkActor checks that a store has an actor, complete and at revision least or later.
func checkActor(t *testing.T, s store.Store, actor string, least uint64) {
	t.Helper()
	got, err := s.Load(t.Context(), actor)
	if err != nil {
		t.Errorf("load %s, of which %d is acknowledged: %v", actor, least, err)
		return
	}
	if got.Rev < least || string(got.State) != string(stateOf(actor, got.Rev)) || got.Head != got.Rev || got.Callers[0].Highest != got.Rev {
		t.Errorf("%s: got revision %d, head %d, callers %v, state %s; want at least %d, and all of one revision", actor, got.Rev, got.Head, got.Callers, got.State, least)
	}
	entries, err := s.Entries(t.Context(), actor, 0, 1<<20, 1<<30)
	if err != nil {
		t.Errorf("entries of %s: %v", actor, err)
	}
	for i, e := range entries {
		if want := got.Rev - uint64(len(entries)-1-i); e.Seq != want {
			t.Errorf("%s: got entry %d, want %d", actor, e.Seq, want)
		}
	}
}
