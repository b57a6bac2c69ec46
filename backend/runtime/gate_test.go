package runtime_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
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
		carol := b.open(ledgerRef, host.OpenRequest{Conn: "conn-carol", Producer: "caller-carol"})
		go func() {
			raw, err := b.node.CallOnce(context.Background(), ledgerRef, host.DirectCall{Action: "get"})
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
		{"unknown, and not stored", func(h *storetest.HeldStore) { h.Fail(store.ErrUnknown) }, 0, "fail:unavailable fail:unavailable "},
		{"unknown, and stored", func(h *storetest.HeldStore) { h.KeepUnknown() }, 3, "added reply:3 fail:unavailable "},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b, held, ada, bob := heldBench(t, ledgers, ledgerRef)
				ada.call(1, "add", 3)
				held.Wait(1)
				ada.call(2, "add", 4)
				bob.call(1, "get")
				carol := b.open(ledgerRef, host.OpenRequest{Conn: "conn-carol", Producer: "caller-carol"})
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

// What a client has seen is never undone: numbering continues where the durable
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

// wide has small and large answers.
type wide struct {
	N int `json:"n"`
}

var wideTurns atomic.Int64

func (w *wide) Inc(*nothing) int { wideTurns.Add(1); w.N++; return w.N }

func (wide) Big(_ *nothing, bytes int) string { wideTurns.Add(1); return strings.Repeat("x", bytes) }

func TestG8_AnswersThatWaitForTheStoreAreBounded(t *testing.T) {
	for _, test := range []struct {
		name    string
		options actor.Options
		size    int
		want    int64
	}{
		{"by default to 1 MiB", actor.Options{}, 512 << 10, 1},
		{"to what is set", actor.Options{MaxRunAheadBytes: 100_000}, 10_000, 5}, // they count twice: once encoded for the wire
	} {
		t.Run(test.name, func(t *testing.T) {
			reg := actor.NewRegistry(actor.Define[wide]("wide"), actor.WithOptions(test.options))
			inBubble(t, func(t *testing.T) {
				_, held, ada, bob := heldBench(t, reg, wideRef)
				ada.call(1, "inc")
				held.Wait(1)
				wideTurns.Store(0)
				for id := range uint64(10) {
					bob.call(id+1, "big", test.size) // no commits, but they wait behind one
				}
				synctest.Wait()
				if got := wideTurns.Load(); got != test.want {
					t.Errorf("%d turns with %d bytes of output ran while the gate was closed, want %d", got, test.size, test.want)
				}
				held.ReleaseAll()
				advance()
				if got := wideTurns.Load(); got != 10 {
					t.Errorf("%d turns ran once it is open, want 10", got)
				}
			})
		})
	}
}

func TestG8_PendingCommitsAreBoundedForAllActorsTogether(t *testing.T) {
	const half = 17 << 20 // counts twice: of 64 MiB
	reg := actor.NewRegistry(actor.Define[wide]("wide"),
		actor.WithOptions(actor.Options{MaxRunAheadBytes: 1 << 30, MaxMessage: 2 * half}))
	inBubble(t, func(t *testing.T) {
		b, held, ada, bob := heldBench(t, reg, wideRef)
		other := b.open(host.Ref{Name: "wide", Key: host.Key{"b"}}, as("carol"))
		held.Release(1)
		other.read()
		for _, r := range []*reader{ada, other} {
			r.call(1, "inc")
			synctest.Wait()
			r.call(2, "big", half)
			synctest.Wait()
		}
		wideTurns.Store(0)
		bob.call(1, "inc")
		other.call(3, "inc")
		synctest.Wait()
		if got := wideTurns.Load(); got != 0 {
			t.Errorf("%d turns ran while 68 MiB waited, want none", got)
		}
		held.ReleaseAll()
		advance()
		if got := wideTurns.Load(); got != 2 {
			t.Errorf("%d turns ran once nothing waited, want 2", got)
		}
	})
}

var wideRef = host.Ref{Name: "wide", Key: host.Key{"a"}}

// With the state before, a store can keep the difference.
func TestACommitHasThePreviousState(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, storetest.Held(memory.New(memory.Options{})), ledgers)
		held := b.store.(*storetest.HeldStore)
		t.Cleanup(held.ReleaseAll)
		var states []string
		commit := func() *store.Commit {
			held.Wait(1)
			c := held.Waiting()[0]
			held.Release(1)
			advance()
			if len(c.State) > 0 {
				states = append(states, string(c.State))
			}
			return c
		}
		ada := b.open(ledgerRef, asAda)
		if c := commit(); c.Base != nil || c.State == nil {
			t.Errorf("the first commit has base %q and state %q, want a state alone", c.Base, c.State)
		}
		ada.call(1, "add", 1)
		if c := commit(); string(c.Base) != states[0] || len(states) != 2 {
			t.Errorf("got base %q, want %q", c.Base, states[0])
		}
		ada.call(2, "whisper", "ada", "hello") // an event, and no change of the state
		if c := commit(); c.Base != nil || c.State != nil {
			t.Errorf("the commit of an event alone has base %q and state %q, want neither", c.Base, c.State)
		}
		ada.call(3, "add", 1)
		if c := commit(); string(c.Base) != states[1] || len(states) != 3 {
			t.Errorf("got base %q, want %q", c.Base, states[1])
		}
	})
}

func TestG6_AnActorExistsOnceItIsDurable(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		held := storetest.Held(memory.New(memory.Options{}))
		b := newBench(t, held, ledgers)
		t.Cleanup(held.ReleaseAll)
		create := func() <-chan string {
			answer := make(chan string, 1)
			go func() {
				_, err := b.node.Create(t.Context(), ledgerRef, nil, host.Identity{})
				answer <- code(err)
			}()
			synctest.Wait()
			return answer
		}
		first, second := create(), create()
		if len(first)+len(second) > 0 {
			t.Error("answered before the actor is durable")
		}
		held.ReleaseAll()
		if a, b := <-first, <-second; a != "none" || b != "exists" {
			t.Errorf("got %s and %s, want none and exists", a, b)
		}
	})
}

// The older attachment waits to hear that it was replaced. It still was, whatever
// became of the commit before.
func TestAFailedCommitDoesNotHideThatAnAttachmentWasReplaced(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, held, ada, bob := heldBench(t, ledgers, ledgerRef)
		bob.call(1, "add", 1)
		held.Wait(1)
		req := asAda
		req.Resume, req.Log = true, ada.log.Identity()
		again := b.open(ledgerRef, req)
		synctest.Wait()
		held.Fail(store.ErrFull)
		held.ReleaseAll()
		advance()
		if got, want := kinds(ada.read()), "closed:replaced "; got != want {
			t.Errorf("the older got %q, want %q", got, want)
		}
		if got, want := kinds(again.read()), "closed:unavailable "; got != want {
			t.Errorf("the newer got %q, want %q", got, want)
		}
	})
}

// A client that comes back while the commit of its call waits opens again after the reset, and then
// sends the call again. It must not hear before that what became of it: meanwhile it may have been at
// another owner, where the call had an effect.
func TestG5_AFailedCommitIsNoAnswerToALaterSocket(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, held, ada, _ := heldBench(t, ledgers, ledgerRef)
		ada.call(1, "add", 1)
		held.Wait(1)
		req := asAda
		req.Resume, req.Log, req.Seq = true, ada.log.Identity(), ada.log.Head()
		again := b.open(ledgerRef, req)
		synctest.Wait()
		held.Fail(store.ErrConflict)
		held.ReleaseAll()
		advance()
		if got, want := kinds(again.read()), "closed:unavailable "; got != want {
			t.Errorf("it got %q, want %q", got, want)
		}
	})
}

// To say that a call had no effect when it had one would be worse than to wait.
func TestG5_AnUnknownOutcomeIsQueriedUntilTheStoreAnswers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, held, ada, _ := heldBench(t, ledgers, ledgerRef)
		ada.call(1, "add", 3)
		held.Wait(1)
		b.trouble().broken.Store(true)
		held.KeepUnknown()
		held.ReleaseAll()
		time.Sleep(time.Minute)
		if got := kinds(ada.read()); got != "" {
			t.Errorf("got %q while the outcome is unknown, want nothing", got)
		}
		if got := b.trouble().loads.Load(); got > 700 {
			t.Errorf("the store was asked %d times in a minute, want at most ten times a second", got)
		}
		b.trouble().broken.Store(false)
		time.Sleep(time.Second)
		if got, want := kinds(ada.read()), "added reply:3 "; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestG5_NoDirectCallWaitsForAStoreWithoutEnd: a call over HTTP or from Go whose outcome
// is unknown fails with maybe_ran, and one behind it, which has not run, with unavailable.
func TestG5_NoDirectCallWaitsForAStoreWithoutEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, held, ada, _ := heldBench(t, ledgers, ledgerRef)
		first := b.ask(ada, "add", 3)
		held.Wait(1)
		time.Sleep(25 * time.Second) // the store hangs
		slow := b.ask(ada, "add", 4) // runs ahead
		b.trouble().broken.Store(true)
		held.KeepUnknown()
		held.ReleaseAll()
		advance()
		behind := b.ask(ada, "add", 5)
		done := make(chan string, 1)
		go func() {
			_, err := b.node.Create(t.Context(), ledgerRef, nil, host.Identity{})
			done <- code(err)
		}()
		time.Sleep(6 * time.Second)
		if got := <-first; got != "maybe_ran" {
			t.Errorf("31 s after it has run: got %q, want maybe_ran", got)
		}
		time.Sleep(25 * time.Second)
		for what, answer := range map[string]<-chan string{"maybe_ran": slow, "unavailable": behind} {
			if got := <-answer; got != what {
				t.Errorf("got %q, want %q", got, what)
			}
		}
		if got := <-done; got != "unavailable" {
			t.Errorf("a creation: got %q, want unavailable", got)
		}
		b.trouble().broken.Store(false)
		time.Sleep(time.Second)
		if got := b.total(ledgerRef); got != 3 {
			t.Errorf("got a total of %d, want 3: what the store kept", got)
		}
	})
}

func TestAFailingStoreIsNotQueriedForEveryCall(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &troubledStore{Store: memory.New(memory.Options{})}
		s.broken.Store(true)
		b := newBench(t, s, ledgers)
		ask := func() {
			for range 50 {
				if _, err := result[int](b, ledgerRef, "get"); code(err) != "unavailable" {
					t.Errorf("got %v, want unavailable", err)
				}
			}
		}
		ask()
		if got := s.loads.Load(); got != 1 {
			t.Errorf("the store was asked %d times for 50 calls at once, want once", got)
		}
		time.Sleep(100 * time.Millisecond)
		ask()
		if got := s.loads.Load(); got != 2 {
			t.Errorf("the store was asked %d times, want again after 100 ms", got)
		}
	})
}
