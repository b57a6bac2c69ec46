package runtime_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/storetest"
)

// ownedBench is a node on a store that another process may take over, with ada and bob
// connected to an actor whose total is 3.
func ownedBench(t *testing.T, reg *actor.Registry) (b *bench, owned *storetest.OwnedStore, ada, bob *reader) {
	owned = storetest.Owned(memory.New(memory.Options{}))
	b = newBench(t, owned, reg)
	ada, bob = b.open(ledgerRef, asAda), b.open(ledgerRef, asBob)
	advance()
	ada.call(1, "add", 3)
	advance()
	ada.read()
	bob.read()
	ada.got, bob.got = nil, nil
	return b, owned, ada, bob
}

// asked sends the requests that get an answer without a commit, and returns how each is
// answered: "" while it is not.
func (b *bench) asked(ada, bob *reader) func() map[string]string {
	b.t.Helper()
	answers := map[string]chan string{}
	later := func(what string, f func(context.Context) (string, error)) {
		answer := make(chan string, 1)
		answers[what] = answer
		go func() {
			got, err := f(b.t.Context())
			answer <- got + " " + code(err)
		}()
	}
	ada.call(2, "get")
	bob.call(1, "noSuchAction")
	resume := asBob
	resume.Resume, resume.Log, resume.Seq = true, bob.log.Identity(), bob.log.Head()
	again := b.open(ledgerRef, resume)
	wrongName := as("carol")
	wrongName.Name = "other"
	refused := b.open(ledgerRef, wrongName)
	later("a single call", func(ctx context.Context) (string, error) {
		raw, err := b.node.CallOnce(ctx, ledgerRef, host.DirectCall{Action: "get"})
		return string(raw), err
	})
	later("a call of what does not exist", func(ctx context.Context) (string, error) {
		raw, err := b.node.CallOnce(ctx, host.Ref{Name: "ledger", Key: host.Key{"none"}}, host.DirectCall{Action: "get"})
		return string(raw), err
	})
	later("a search for what does not exist", func(ctx context.Context) (string, error) {
		_, err := b.node.Find(ctx, host.Ref{ID: host.ActorID("ledger", host.Key{"nobody"})}, host.Identity{})
		return "", err
	})
	later("a creation of what exists", func(ctx context.Context) (string, error) {
		_, err := b.node.Create(ctx, ledgerRef, nil, host.Identity{})
		return "", err
	})
	later("a sender's question", func(context.Context) (string, error) {
		settled, failed := make(chan uint64, 1), make(chan error, 1)
		to := host.Ref{ID: host.ActorID("ledger", host.Key{"gone"})}
		runtime.CourierOf(b.node).Inquire(host.Inquiry{To: to, From: "x"}, func(n uint64, err error) { settled <- n; failed <- err })
		return fmt.Sprintf("%x", <-settled), <-failed
	})
	return func() map[string]string {
		synctest.Wait()
		got := map[string]string{
			"a read": kinds(ada.read()), "a failing call": kinds(bob.read()),
			"a resume": kinds(again.read()), "a refused open": kinds(refused.read()),
		}
		for what, answer := range answers {
			select {
			case got[what] = <-answer:
			default:
				got[what] = ""
			}
		}
		return got
	}
}

// G10: nothing that a deposed owner says reaches anybody, also not what it says from memory.
func TestG10_ADeposedOwnerAnswersNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, owned, ada, bob := ownedBench(t, ledgers)
		owned.Depose()
		other := &bench{t: t, store: owned.Store, reg: ledgers} // has taken over
		other.start()
		defer other.stop()
		if got, err := result[int](other, ledgerRef, "add", 1); got != 4 || err != nil {
			t.Fatalf("the new owner answered %d, %v", got, err)
		}
		answers := b.asked(ada, bob)
		advance()
		for what, got := range answers() {
			if !strings.Contains(got, "unavailable") {
				t.Errorf("%s was answered %q, want unavailable", what, got)
			}
			for _, leak := range []string{"3", "opened", "not_found", "exists", "unknown_action", "fff"} {
				if strings.Contains(got, leak) {
					t.Errorf("%s was answered %q, which is about a state that is over", what, got)
				}
			}
		}
		if n := strings.Count(b.log.String(), "actor reset"); n > 10 {
			t.Errorf("%d resets; want one for each actor that was asked, or a few", n)
		}
	})
}

// With an owner whose lease has ended, though nobody has taken over, answers take longer.
func TestG10_AnswersWaitForAProofWhileTheLeaseIsOver(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, owned, ada, bob := ownedBench(t, ledgers)
		owned.Expire()
		owned.HoldProofs()
		answers := b.asked(ada, bob)
		advance()
		for what, got := range answers() {
			if got != "" {
				t.Errorf("%s was answered %q before there was a proof", what, got)
			}
		}
		if got := owned.Proofs(); got != 1 {
			t.Errorf("%d proofs are under way, want one at a time", got)
		}
		owned.ReleaseProofs()
		advance()
		want := map[string]string{
			"a read": "reply:3 ", "a failing call": "fail:unknown_action closed:replaced ",
			"a resume": "opened ", "a refused open": "closed:not_found ",
			"a single call": "3 none", "a call of what does not exist": " not_found",
			"a search for what does not exist": " not_found", "a creation of what exists": " exists",
			"a sender's question": "ffffffffffffffff none",
		}
		for what, got := range answers() {
			if got != want[what] {
				t.Errorf("%s was answered %q, want %q", what, got, want[what])
			}
		}
	})
}

func TestAValidOwnerAnswersWithoutAProof(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, owned, ada, bob := ownedBench(t, ledgers)
		owned.HoldProofs()
		defer owned.ReleaseProofs()
		answers := b.asked(ada, bob)
		for what, got := range answers() {
			if got == "" {
				t.Errorf("%s was not answered at once", what)
			}
		}
		if got := owned.Proofs(); got != 0 {
			t.Errorf("there were %d proofs, want none", got)
		}
	})
}

// One proof is for all actors that wait for one.
func TestOneProofIsForAGroupOfActors(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, owned, _, _ := ownedBench(t, ledgers)
		owned.Expire()
		owned.HoldProofs()
		answers := make(chan string, 100)
		for i := range 100 {
			go func() {
				_, err := b.node.CallOnce(t.Context(), host.Ref{Name: "ledger", Key: host.Key{fmt.Sprint(i)}}, host.DirectCall{Action: "get"})
				answers <- code(err)
			}()
		}
		advance()
		owned.ReleaseProofs()
		for range 100 {
			if got := <-answers; got != "not_found" {
				t.Errorf("got %s, want not_found", got)
			}
		}
		if got := owned.Proofs(); got > 3 {
			t.Errorf("there were %d proofs for 100 actors, want 3 at most", got)
		}
	})
}

// A commit says nothing about an answer that was made while it was on its way: the store may
// have taken the commit before another process took over.
func TestG10_ACommitUnderWayIsNoProofForWhatComesAfter(t *testing.T) {
	for what, taken := range map[string]bool{"another process has taken over": true, "nobody has": false} {
		t.Run(what, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				held := storetest.Held(memory.New(memory.Options{}))
				held.ReleaseAll()
				owned := storetest.Owned(held)
				b := newBench(t, owned, ledgers)
				ada, bob := b.open(ledgerRef, asAda), b.open(ledgerRef, asBob)
				advance()
				ada.read()
				bob.read()
				ada.got, bob.got = nil, nil
				held.HoldAgain()
				t.Cleanup(held.ReleaseAll)
				ada.call(1, "add", 3)
				held.Wait(1) // the store has it, and its answer is on the way
				bob.call(1, "get")
				synctest.Wait()
				if owned.Expire(); taken {
					owned.Depose()
				}
				owned.HoldProofs()
				held.ReleaseAll()
				advance()
				if got, want := kinds(ada.read()), "added reply:3 "; got != want {
					t.Errorf("the call got %q, want %q: it is durable", got, want)
				}
				if got, want := kinds(bob.read()), "added "; got != want {
					t.Errorf("the read behind it got %q before there was a proof, want %q", got, want)
				}
				owned.ReleaseProofs()
				advance()
				want := "added reply:3 "
				if taken {
					want = "added fail:unavailable "
				}
				if got := kinds(bob.read()); got != want {
					t.Errorf("the read got %q, want %q", got, want)
				}
			})
		})
	}
}

// The commit behind such an answer is its proof, if there is one.
func TestG10_TheNextCommitIsTheProofForAnAnswerBetweenTwo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		held := storetest.Held(memory.New(memory.Options{}))
		held.ReleaseAll()
		owned := storetest.Owned(held)
		b := newBench(t, owned, ledgers)
		ada, bob := b.open(ledgerRef, asAda), b.open(ledgerRef, asBob)
		advance()
		bob.read()
		bob.got = nil
		held.HoldAgain()
		t.Cleanup(held.ReleaseAll)
		ada.call(1, "add", 3)
		held.Wait(1)
		bob.call(1, "get")
		ada.call(2, "add", 1)
		synctest.Wait()
		owned.Expire()
		held.Release(1)
		held.Wait(1)
		if got, want := kinds(bob.read()), "added "; got != want {
			t.Errorf("got %q before the second commit, want %q", got, want)
		}
		held.Release(1)
		advance()
		if got, want := kinds(bob.read()), "added reply:3 added "; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := owned.Proofs(); got != 0 {
			t.Errorf("there were %d proofs beside the commits, want none", got)
		}
	})
}

// A commit that is asked for after an answer is its proof, in the same group or a later one.
func TestG10_ACommitIsTheProofForWhatCameBefore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		held := storetest.Held(memory.New(memory.Options{}))
		held.ReleaseAll()
		owned := storetest.Owned(held)
		b := newBench(t, owned, ledgers)
		ada, bob := b.open(ledgerRef, asAda), b.open(ledgerRef, asBob)
		advance()
		ada.read()
		bob.read()
		ada.got, bob.got = nil, nil
		held.HoldAgain()
		t.Cleanup(held.ReleaseAll)
		other := b.open(host.Ref{Name: "ledger", Key: host.Key{"b"}}, asAda)
		held.Wait(1) // what follows is in another group
		owned.Expire()
		bob.call(1, "get")
		ada.call(1, "add", 3)
		synctest.Wait()
		held.Release(1)
		held.Wait(1)
		if got := kinds(bob.read()); got != "" {
			t.Errorf("the read got %q before anything was proved", got)
		}
		held.Release(1)
		advance()
		if got, want := kinds(bob.read()), "reply:0 added "; got != want {
			t.Errorf("the read got %q, want %q", got, want)
		}
		if got, want := kinds(other.read()), "opened "; got != want {
			t.Errorf("the newcomer got %q, want %q", got, want)
		}
		if got := owned.Proofs(); got != 0 {
			t.Errorf("there were %d proofs beside the commits, want none", got)
		}
	})
}

// When a commit fails, the proof beside it is still asked for.
func TestAProofInAGroupThatFailsIsAskedFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		held := storetest.Held(memory.New(memory.Options{}))
		held.ReleaseAll()
		owned := storetest.Owned(held)
		b := newBench(t, owned, ledgers)
		ada, bob := b.open(ledgerRef, asAda), b.open(host.Ref{Name: "ledger", Key: host.Key{"b"}}, asBob)
		advance()
		ada.read()
		bob.read()
		ada.got, bob.got = nil, nil
		held.HoldAgain()
		t.Cleanup(held.ReleaseAll)
		b.open(host.Ref{Name: "ledger", Key: host.Key{"c"}}, asAda)
		held.Wait(1) // what follows is in another group
		owned.Expire()
		ada.call(1, "add", 3)
		bob.call(1, "get")
		synctest.Wait()
		held.Release(1)
		held.Wait(1)
		held.Fail(store.ErrFull)
		advance()
		if got, want := kinds(ada.read()), "fail:unavailable "; got != want {
			t.Errorf("the call got %q, want %q", got, want)
		}
		if got, want := kinds(bob.read()), "reply:0 "; got != want {
			t.Errorf("the read got %q, want %q", got, want)
		}
		if got := owned.Proofs(); got != 1 {
			t.Errorf("there were %d proofs, want 1", got)
		}
	})
}

// While a lease is over and answers wait, turns and commits go on, with tables and resets.
func TestTurnsGoOnWhileAnswersWaitForProofs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		owned := storetest.Owned(memory.New(memory.Options{}))
		owned.Expire()
		b := newBench(t, owned, ledgers)
		ada := b.open(ledgerRef, asAda)
		var want strings.Builder
		want.WriteString("opened ")
		total := 0
		for i := range 200 {
			if i%3 == 0 {
				total++
				ada.call(uint64(i+1), "add", 1)
				fmt.Fprintf(&want, "added reply:%d ", total)
			} else {
				ada.call(uint64(i+1), "get")
				fmt.Fprintf(&want, "reply:%d ", total)
			}
			if i%7 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		advance()
		if got := kinds(ada.read()); got != want.String() {
			t.Errorf("got %s\nwant %s", got, want.String())
		}
	})
}
