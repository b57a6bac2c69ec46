package runtime_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/storetest"
)

// TestG6_NothingOfADestroyIsSeenBeforeItIsDurable, and one that fails has not happened.
func TestG6_NothingOfADestroyIsSeenBeforeItIsDurable(t *testing.T) {
	for _, test := range []struct {
		name   string
		finish func(*storetest.HeldStore)
		ended  bool
	}{
		{"durable", func(h *storetest.HeldStore) { h.Release(1) }, true},
		{"unknown, and stored", func(h *storetest.HeldStore) { h.KeepUnknown() }, true},
		{"unknown, and not stored", func(h *storetest.HeldStore) { h.Fail(store.ErrUnknown) }, false},
		{"full", func(h *storetest.HeldStore) { h.Fail(store.ErrFull) }, false},
		{"another owner wrote", func(h *storetest.HeldStore) { h.Fail(store.ErrConflict) }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				cryptHooks("")
				b, held, ada, bob := heldBench(t, crypts, cryptRef)
				ada.call(1, "end")
				held.Wait(1)
				bob.call(1, "add", 3)
				carol := b.follow(cryptRef, as("carol"))
				carol.open()
				if got := kinds(ada.read()) + kinds(bob.read()) + kinds(carol.read()); got != "" {
					t.Errorf("got %q before the end was durable", got)
				}
				test.finish(held)
				held.ReleaseAll()
				advance()
				want := "closed:unavailable "
				if test.ended {
					want = "closed:destroyed "
				}
				if got := kinds(bob.read()); got != map[bool]string{true: "cryptEnds "}[test.ended]+want {
					t.Errorf("the other got %q", got)
				}
				if got := kinds(ada.read()); !strings.HasSuffix(got, want) || strings.Contains(got, "reply") != test.ended {
					t.Errorf("the caller got %q", got)
				}
				time.Sleep(time.Second)
				if snap := b.stored(); (snap.Ended != nil) != test.ended {
					t.Errorf("stored: %+v", snap)
				}
				if test.ended {
					return
				}
				bob.req.Attachment = host.NextAttachment()
				bob.got = nil
				bob.open()
				bob.call(1, "add", 3)
				advance()
				if got, want := kinds(bob.read()), "opened cryptMoved reply:3 "; got != want {
					t.Errorf("after the failure the other got %q, want %q", got, want)
				}
			})
		})
	}
}

// A store that refuses each end does not keep the actor's goroutine busy.
func TestDestroyInOnStartWhileTheStoreIsFull(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, crypts)
		cryptHooks("")
		if _, err := result[int](b, cryptRef, "add", 3); err != nil {
			t.Fatal(err)
		}
		b.stop()
		full := &fullStore{Store: b.store}
		b.store = full
		b.start()
		for range 3 {
			cryptHooks("start")
			if _, err := result[int](b, cryptRef, "get"); code(err) != "unavailable" {
				t.Errorf("got %v, want unavailable", err)
			}
			time.Sleep(time.Second)
		}
		if full.commits > 6 {
			t.Errorf("%d commits", full.commits)
		}
	})
}

type fullStore struct {
	store.Store
	commits int
}

func (s *fullStore) Commit(_ context.Context, group []*store.Commit) []error {
	s.commits++
	return slices.Repeat([]error{fmt.Errorf("commit: %w", store.ErrFull)}, len(group))
}

// Another client takes the place of a connection, whose end destroys the actor: the newcomer
// is in the next life.
func TestDestroyWhenAConnectionIsReplaced(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		cryptHooks("")
		b := newBench(t, nil, crypts)
		first := as("ada")
		first.Identity.Subject = "one"
		ada := b.open(cryptRef, first)
		ada.call(1, "add", 3)
		ada.read()
		life := b.stored()
		cryptHooks("disconnect")
		second := as("ada")
		second.Identity.Subject = "two"
		r := b.open(cryptRef, second)
		if got := kinds(r.read()); got != "opened " || r.got[0].Opened.Log == life.Log {
			t.Errorf("the newcomer got %q", got)
		}
		if snap := b.stored(); snap.Ended == nil || snap.Ended.Log != life.Log || string(snap.State) != `{"n":0}` {
			t.Errorf("stored %+v", snap)
		}
	})
}

// recordingStore keeps the newest commit.
type recordingStore struct {
	store.Store
	last store.Commit
}

func (s *recordingStore) Commit(ctx context.Context, group []*store.Commit) []error {
	s.last = *group[len(group)-1]
	return s.Store.Commit(ctx, group)
}

// What the last turn emits is not stored, and its number is above those of all messages.
func TestTheCommitOfADestroy(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		cryptHooks("")
		s := &recordingStore{Store: memory.New(memory.Options{})}
		b := newBench(t, s, crypts)
		if _, err := result[string](b, cryptRef, "add", 1); err == nil {
			t.Fatal("add returns a number")
		}
		if _, err := result[string](b, cryptRef, "end"); err != nil {
			t.Fatal(err)
		}
		entries := s.last.Entries
		if s.last.End != store.Destroyed || len(entries) != 1 || !entries[0].IsStub() || entries[0].Data != nil {
			t.Errorf("got %+v", s.last)
		}
		if now := uint64(time.Now().UnixMicro()); s.last.NextMessage < now || b.stored().Ended.Order < now {
			t.Errorf("the end has the number %d, %d; want at least %d", s.last.NextMessage, b.stored().Ended.Order, now)
		}
	})
}
