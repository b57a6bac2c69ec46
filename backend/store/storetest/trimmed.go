package storetest

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/troupe-dev/troupe/backend/store"
)

// RunTrimmed checks how a store behaves while it trims, which Run cannot. Each call
// of open returns an empty store that retains at most about 64 KiB and trims
// constantly; RunTrimmed closes it. reopen is as for Run.
func RunTrimmed(t *testing.T, open func(t *testing.T) store.Store, reopen func(t *testing.T, s store.Store) store.Store) {
	for _, test := range []struct {
		name string
		test func(t *testing.T, s *reopenable)
	}{
		{"entries have no gap while others are trimmed", entriesWhileTrimming},
		{"random operations agree with a model, as far as it is retained", randomTrimmed},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &reopenable{Store: open(t), reopen: reopen}
			defer func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}()
			test.test(t, s)
		})
	}
}

func entriesWhileTrimming(t *testing.T, s *reopenable) {
	const turns, readers = 400, 2
	var head atomic.Uint64 // acknowledged
	var wait sync.WaitGroup
	for range readers {
		wait.Go(func() {
			for last := uint64(0); last < turns && !t.Failed(); {
				acknowledged := head.Load()
				got, err := s.Entries(context.Background(), "ada", 0, turns, 1<<30)
				if err != nil {
					t.Errorf("Entries: %v", err)
					return
				}
				for i := 1; i < len(got); i++ {
					if got[i].Seq != got[i-1].Seq+1 {
						t.Errorf("got entry %d after %d, of %d to %d", got[i].Seq, got[i-1].Seq, got[0].Seq, got[len(got)-1].Seq)
						return
					}
				}
				// They may all have been trimmed since head was loaded, but not before.
				if len(got) == 0 && acknowledged > 0 && head.Load() == acknowledged {
					t.Errorf("got no entries, %d was acknowledged", acknowledged)
					return
				}
				last = acknowledged
			}
		})
	}
	for rev := uint64(1); rev <= turns; rev++ {
		e := event(rev)
		e.Data = json.RawMessage(`"` + strings.Repeat("x", 1000) + `"`)
		commit(t, s, turn("ada", rev, e))
		head.Store(rev)
	}
	wait.Wait()
	got := entries(t, s, "ada", 0, turns, 1<<30)
	if len(got) == 0 || got[0].Seq == 1 || got[len(got)-1].Seq != turns {
		t.Errorf("got %d entries; want the newest, and not all", len(got))
	}
}
