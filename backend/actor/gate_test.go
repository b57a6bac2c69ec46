package actor_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/storetest"
)

func TestG6_NothingLeavesBeforeItsCommitIsDurable(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, held, ada, bob := heldBench(t, ledgers, ledgerRef)
		single := make(chan string, 1)
		ada.call(1, "add", 3)
		held.Wait(1)           // what follows is in another group
		bob.call(1, "get")     // an answer that tells of uncommitted state is a leak too
		ada.call(2, "add", 13) // so is a failure
		carol := b.open(ledgerRef, actor.OpenRequest{Conn: "conn-carol", Caller: "caller-carol"})
		go func() {
			raw, err := b.node.CallOnce(context.Background(), ledgerRef, actor.SingleCall{Action: "get"})
			single <- fmt.Sprint(string(raw), err)
		}()
		if got := kinds(ada.read()) + kinds(bob.read()) + kinds(carol.read()); got != "" {
			t.Errorf("got %q before anything was durable", got)
		}
		select {
		case got := <-single:
			t.Errorf("got %s over HTTP before anything was durable", got)
		default:
		}

		held.Release(1)
		if got, want := kinds(ada.read()), "added reply:3 fail:unlucky "; got != want {
			t.Errorf("the caller got %q, want %q", got, want)
		}
		if got, want := kinds(bob.read()), "added reply:3 "; got != want {
			t.Errorf("the other got %q, want %q", got, want)
		}
		if got := kinds(carol.read()); got != "" {
			t.Errorf("the newcomer got %q before its connection was durable", got)
		}
		held.ReleaseAll()
		if got, want := kinds(carol.read()), "opened "; got != want {
			t.Errorf("the newcomer got %q, want %q", got, want)
		}
		if got := <-single; got != "3<nil>" {
			t.Errorf("got %s over HTTP, want 3", got)
		}
	})
}

func TestTurnsRunAheadOfTheStoreWithinBounds(t *testing.T) {
	reg := actor.NewRegistry(ledgerDef, actor.WithOptions(actor.Options{MaxRunAhead: 10}))
	inBubble(t, func(t *testing.T) {
		_, held, ada, _ := heldBench(t, reg, ledgerRef)
		before := ledgerAdds.Load()
		for id := range uint64(30) {
			ada.call(id+1, "add", 1)
		}
		synctest.Wait()
		if got := ledgerAdds.Load() - before; got != 10 {
			t.Errorf("%d turns ran while none was durable, want 10", got)
		}
		held.ReleaseAll()
		advance() // groups start a moment apart
		if got, want := len(ada.read()), 60; got != want {
			t.Errorf("got %d outputs, want %d", got, want)
		}
	})
}

// G10: a write from a deposed owner fails, and nothing that it did is seen.
func TestG10_AFailedCommitResetsTheActor(t *testing.T) {
	for _, test := range []struct {
		name  string
		fail  func(*storetest.HeldStore)
		total int // what is durable of the first call
		got   string
	}{
		{"the store is full", func(h *storetest.HeldStore) { h.Fail(store.ErrFull) }, 0, "fail:unavailable fail:unavailable "},
		{"another owner wrote", func(h *storetest.HeldStore) { h.Fail(store.ErrConflict) }, 0, "fail:unavailable fail:unavailable "},
		{"nobody knows, and it was not kept", func(h *storetest.HeldStore) { h.Fail(store.ErrUnknown) }, 0, "fail:unavailable fail:unavailable "},
		{"nobody knows, and it was kept", func(h *storetest.HeldStore) { h.KeepUnknown() }, 3, "added reply:3 fail:unavailable "},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b, held, ada, bob := heldBench(t, ledgers, ledgerRef)
				ada.call(1, "add", 3)
				held.Wait(1)
				ada.call(2, "add", 4)
				bob.call(1, "get")
				carol := b.open(ledgerRef, actor.OpenRequest{Conn: "conn-carol", Caller: "caller-carol"})
				synctest.Wait()
				test.fail(held)
				held.ReleaseAll()
				advance() // groups start a moment apart
				if got := kinds(ada.read()); got != test.got {
					t.Errorf("the caller got %q, want %q", got, test.got)
				}
				if got, want := kinds(bob.read()), strings.Repeat("added ", test.total/3)+"fail:unavailable "; got != want {
					t.Errorf("the other got %q, want %q", got, want)
				}
				if got, want := kinds(carol.read()), "closed:unavailable "; got != want {
					t.Errorf("the newcomer got %q, want %q", got, want)
				}
				ada.got, bob.got = nil, nil
				ada.call(3, "add", 5)
				want := fmt.Sprintf("added reply:%d ", test.total+5)
				if got := kinds(ada.read()); got != want {
					t.Errorf("after the reset the caller got %q, want %q", got, want)
				}
				if got := kinds(bob.read()); got != "added " {
					t.Errorf("after the reset the other got %q, want the event", got)
				}
				b.restart()
				if got := b.total(ledgerRef); got != test.total+5 {
					t.Errorf("got total %d after a restart, want %d", got, test.total+5)
				}
			})
		})
	}
}

// What a client has seen is never taken back: numbers go on where the durable
// ones end.
func TestAResetDoesNotReuseNumbersThatWereSeen(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, held, ada, _ := heldBench(t, ledgers, ledgerRef)
		held.Release(1)
		ada.call(1, "add", 1)
		synctest.Wait()
		ada.call(2, "add", 1)
		held.Fail(store.ErrFull)
		synctest.Wait()
		held.ReleaseAll()
		ada.call(3, "add", 1)
		var numbers []uint64
		for _, o := range ada.read() {
			if o.Numbered {
				numbers = append(numbers, o.Seq)
			}
		}
		if got, want := fmt.Sprint(numbers), "[1 2 3 4]"; got != want {
			t.Errorf("got numbers %s, want %s", got, want)
		}
	})
}

func TestAnActorThatCannotBeLoadedIsUnavailableUntilItCan(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &troubledStore{Store: memory.New(memory.Options{})}
		s.broken.Store(true)
		b := newBench(t, s, ledgers)
		ada := b.open(ledgerRef, asAda)
		if got, want := kinds(ada.read()), "closed:unavailable "; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		s.broken.Store(false)
		again := b.open(ledgerRef, asAda)
		for kinds(again.read()) == "closed:unavailable " { // the store is not asked more often than ten times a second
			again = b.open(ledgerRef, asAda)
			advance()
		}
		if got, want := kinds(again.read()), "opened "; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
