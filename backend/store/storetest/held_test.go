package storetest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/storetest"
)

// commitLater commits revision rev of an actor and returns a channel for its result.
func commitLater(ctx context.Context, h *storetest.HeldStore, rev uint64) <-chan error {
	result := make(chan error, 1)
	go func() {
		errs := h.Commit(ctx, []*store.Commit{{Actor: "ada", Rev: rev, State: []byte(`1`)}})
		if errs == nil {
			errs = []error{nil}
		}
		result <- errs[0]
	}()
	return result
}

func revision(t *testing.T, s store.Store) uint64 {
	t.Helper()
	snapshot, err := s.Load(t.Context(), "ada")
	if errors.Is(err, store.ErrNotFound) {
		return 0
	} else if err != nil {
		t.Fatal(err)
	}
	return snapshot.Rev
}

func TestHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := storetest.Held(memory.New(memory.Options{}))
		if h.Immediate() {
			t.Error("Immediate: got true, want false")
		}

		first := commitLater(t.Context(), h, 1)
		h.Wait(1)
		synctest.Wait()
		if got := revision(t, h); got != 0 || len(first) != 0 {
			t.Errorf("before Release: revision %d, %d results; want none", got, len(first))
		}
		h.Release(1)
		if err := <-first; err != nil || revision(t, h) != 1 {
			t.Errorf("after Release: error %v, revision %d; want none, 1", err, revision(t, h))
		}

		full := commitLater(t.Context(), h, 2)
		h.Fail(store.ErrFull)
		if err := <-full; !errors.Is(err, store.ErrFull) || revision(t, h) != 1 {
			t.Errorf("after Fail: error %v, revision %d; want ErrFull, 1", err, revision(t, h))
		}

		unknown := commitLater(t.Context(), h, 2)
		h.KeepUnknown()
		if err := <-unknown; !errors.Is(err, store.ErrUnknown) || revision(t, h) != 2 {
			t.Errorf("after KeepUnknown: error %v, revision %d; want ErrUnknown, 2", err, revision(t, h))
		}

		ctx, cancel := context.WithCancel(t.Context())
		cancelled := commitLater(ctx, h, 3)
		h.Wait(1)
		cancel()
		if err := <-cancelled; !errors.Is(err, context.Canceled) || revision(t, h) != 2 || len(h.Waiting()) != 0 {
			t.Errorf("after cancel: error %v, revision %d; want Canceled, 2", err, revision(t, h))
		}

		h.Release(1) // for the next call
		if err := <-commitLater(t.Context(), h, 3); err != nil {
			t.Errorf("after an early Release: %v", err)
		}
		h.ReleaseAll()
		if err := <-commitLater(t.Context(), h, 4); err != nil {
			t.Errorf("after ReleaseAll: %v", err)
		}
		h.HoldAgain()
		again := commitLater(t.Context(), h, 5)
		h.Wait(1)
		if got := h.Waiting(); len(got) != 1 || got[0].Rev != 5 {
			t.Errorf("after HoldAgain: %v waits, want revision 5", got)
		}
		h.ReleaseAll()
		if err := <-again; err != nil {
			t.Errorf("after the second ReleaseAll: %v", err)
		}
	})
}
