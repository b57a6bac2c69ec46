package runtime_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// parrot changes nothing, but could: its answers are kept with the caller.
type parrot struct{}

func (*parrot) Say(_ *actor.Context[actor.NoState], text string) string { return text }

var (
	parrots   = actor.NewRegistry(actor.Define[parrot]("parrot"))
	parrotRef = host.Ref{Name: "parrot", Key: host.Key{"a"}}
)

func numbers(from, to int) (n []int) {
	for i := from; i <= to; i++ {
		n = append(n, i)
	}
	return n
}

func TestG5_TheNewestAnswersOfAProducerAreKept(t *testing.T) {
	sizes := func(n, size int) []int { return slices.Repeat([]int{size}, n) }
	for _, test := range []struct {
		name  string
		sizes []int // of the answers
		kept  []int // and the numbers of those that are kept
	}{
		{"at most 64", sizes(66, 1), numbers(3, 66)},
		{"at most 16 KiB", sizes(5, 5000), numbers(3, 5)},
		{"one that is too large alone takes no other's place", []int{1, 17_000, 1}, []int{1, 3}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, nil, parrots)
				ada := b.open(parrotRef, as("ada"))
				for range 2 {
					ada.read()
					ada.got = nil
					for i, size := range test.sizes {
						ada.call(uint64(i+1), "say", strings.Repeat("x", size))
					}
				}
				var kept []int
				for _, o := range ada.read() {
					switch {
					case o.Kind == host.OutputReply && len(o.Data) == test.sizes[o.Call-1]+len(`""`):
						kept = append(kept, int(o.Call))
					case o.Kind != host.OutputFail || o.Err.Code != "ran":
						t.Errorf("call %d got %s, want its answer, or that it ran", o.Call, kinds([]*host.Output{o}))
					}
				}
				if !slices.Equal(kept, test.kept) {
					t.Errorf("the answers of calls %v are kept, want those of %v", kept, test.kept)
				}
			})
		})
	}
}

// once calls an action with an idempotency key, which is a caller of one call.
func (b *bench) once(key, action string, args ...any) error {
	_, err := b.node.CallOnce(b.t.Context(), ledgerRef, host.DirectCall{
		Create: true, IdempotencyKey: key, Action: action, Args: encodeArgs(b.t, args),
	})
	return err
}

// keyID returns the id of the producer of a single call of nobody.
func keyID(key string) string { return runtime.KeyID(key, "") }

// storedCallers returns the callers that the store has of the ledger.
func (b *bench) storedCallers() map[string]bool {
	b.t.Helper()
	ref, err := b.node.Resolve(b.t.Context(), ledgerRef)
	if err != nil {
		b.t.Fatal(err)
	}
	snap, err := b.store.Load(b.t.Context(), ref.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, c := range snap.Callers {
		ids[c.ID] = true
	}
	return ids
}

func TestTheOldestProducersAreForgottenBeyondALimit(t *testing.T) {
	reg := actor.NewRegistry(ledgerDef, actor.WithOptions(actor.Options{MaxCallers: 10}))
	for _, test := range []struct {
		name   string
		arg    int
		commit bool
	}{
		{"whose calls change something", 1, true},
		{"whose calls fail", 13, false}, // no commit of theirs would forget them
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, memory.New(memory.Options{}), reg)
				for i := range 100 {
					if err := b.once(fmt.Sprint("key-", i), "add", test.arg); (err == nil) != test.commit {
						t.Fatal(err)
					}
					time.Sleep(time.Millisecond)
				}
				if got := b.node.Producers(ledgerRef); got > 10 {
					t.Errorf("%d callers are remembered, the limit is 10", got)
				}
				if err := b.once("key-last", "add", 1); err != nil {
					t.Fatal(err)
				}
				stored := b.storedCallers()
				if len(stored) > 10 || stored[keyID("key-0")] {
					t.Errorf("the store has the callers %v, want at most 10 and not the first", stored)
				}
				if test.commit && !stored[keyID("key-99")] {
					t.Errorf("the store has the callers %v, want the newest among them", stored)
				}
				total := b.total(ledgerRef)
				if err := b.once("key-last", "add", 1); err != nil || b.total(ledgerRef) != total {
					t.Errorf("a repeated call of the newest got %v and ran again", err)
				}
			})
		})
	}
}

// Reads may be repeated, so they are not recorded.
func TestReadOnlyCallsWithAKeyMakeNoProducers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, ledgers)
		for i := range 100 {
			if err := b.once(fmt.Sprint("key-", i%50), "get"); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		}
		if got := b.node.Producers(ledgerRef); got != 0 {
			t.Errorf("%d callers are remembered, want none", got)
		}
	})
}

func TestProducersAreForgottenADayAfterTheirLastCall(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, memory.New(memory.Options{}), ledgers)
		at := func(hours int, key string, total int) {
			t.Helper()
			time.Sleep(time.Duration(hours)*time.Hour - time.Since(b.started))
			if err := b.once(key, "add", 1); err != nil {
				t.Fatal(err)
			}
			if got := b.total(ledgerRef); got != total {
				t.Errorf("after %d h, with key %s: got total %d, want %d", hours, key, got, total)
			}
		}
		at(0, "first", 1)
		at(1, "second", 2)
		at(23, "first", 2)
		at(23, "third", 3)
		if got := b.storedCallers(); !got[keyID("first")] || !got[keyID("second")] {
			t.Errorf("after 23 h the store has %v, want the first two to be there", got)
		}
		at(27, "fourth", 4) // a commit drops the old ones
		if got := b.storedCallers(); got[keyID("first")] || got[keyID("second")] || !got[keyID("third")] {
			t.Errorf("after 27 h the store has %v, want the third and the fourth", got)
		}
		at(27, "first", 5)
		b.restart()
		at(28, "first", 5)
	})
}

func TestG5_AForgottenProducerThatCallsAgainIsStored(t *testing.T) {
	reg := actor.NewRegistry(ledgerDef, actor.WithOptions(actor.Options{MaxCallers: 2}))
	inBubble(t, func(t *testing.T) {
		b := newBench(t, memory.New(memory.Options{}), reg)
		if err := b.once("ada", "add", 1); err != nil {
			t.Fatal(err)
		}
		// Failures forget ada without a commit that would tell the store.
		for i := range 3 {
			time.Sleep(time.Second)
			if err := b.once(fmt.Sprint("other-", i), "add", 13); code(err) != "unlucky" {
				t.Fatal(err)
			}
		}
		if err := b.once("ada", "add", 1); err != nil {
			t.Fatal(err)
		}
		b.restart()
		if err := b.once("ada", "add", 1); err != nil {
			t.Fatal(err)
		}
		if got := b.total(ledgerRef); got != 2 {
			t.Errorf("got total %d, want 2: ada's last call was forgotten by the commit that made it", got)
		}
	})
}

// asFrom is as for a client at an address.
func asFrom(addr, name string) host.OpenRequest {
	r := as(name)
	r.From = addr
	return r
}

// onceFrom is once for a user at an address.
func (b *bench) onceFrom(addr, subject, key, action string, args ...any) error {
	_, err := b.node.CallOnce(b.t.Context(), ledgerRef, host.DirectCall{
		Create: true, IdempotencyKey: key, Action: action, Args: encodeArgs(b.t, args), From: addr, Identity: host.Identity{Subject: subject},
	})
	return err
}

// What a stranger leaves takes the place of what that user at that address has left: not of
// the callers of others, nor of those whose connection exists.
func TestG5_ProducersOfOthersAreNotForgottenForAStranger(t *testing.T) {
	reg := actor.NewRegistry(ledgerDef, actor.WithOptions(actor.Options{MaxCallers: 64}))
	inBubble(t, func(t *testing.T) {
		b := newBench(t, memory.New(memory.Options{}), reg)
		connected := b.open(ledgerRef, asFrom("a", "ada"))
		connected.call(1, "add", 1)
		connected.read()
		alone := func() {
			t.Helper()
			for _, user := range [][2]string{{"a", ""}, {"eve", "dan"}} { // dan shares an address with eve
				if err := b.onceFrom(user[0], user[1], "alone "+user[1], "add", 1); err != nil {
					t.Error(err)
				}
			}
		}
		alone()
		for i := range 200 {
			time.Sleep(time.Millisecond)
			if err := b.onceFrom("eve", "eve", fmt.Sprint("key-", i), "add", 1); err != nil {
				t.Fatal(err)
			}
			eve := b.open(ledgerRef, asFrom("eve", fmt.Sprint("eve-", i)))
			eve.call(1, "add", 1)
			b.node.Close(ledgerRef, eve.req.Attachment)
		}
		if got := b.node.Producers(ledgerRef); got > 2*64+1 {
			t.Errorf("%d callers are remembered, want at most %d of each kind", got, 64)
		}
		total := b.total(ledgerRef)
		alone()
		connected.call(1, "add", 1)
		if got := b.total(ledgerRef); got != total {
			t.Errorf("the total grew from %d to %d: a call of another address or user, or of a connection that exists, was forgotten and ran twice", total, got)
		}
	})
}

// What a user has left takes the place of what the same user has left, but never that of a connection
// that exists; and single calls do not take the place of connections.
func TestG5_ProducersOfConnectionsAreNotForgotten(t *testing.T) {
	reg := actor.NewRegistry(ledgerDef, actor.WithOptions(actor.Options{MaxCallers: 16}))
	inBubble(t, func(t *testing.T) {
		b := newBench(t, memory.New(memory.Options{}), reg)
		open := func(name string) *reader {
			r := b.open(ledgerRef, asFrom("eve", name))
			r.call(1, "add", 1)
			return r
		}
		stays, left := open("stays"), open("left")
		b.node.Close(ledgerRef, left.req.Attachment)
		for i := range 50 {
			time.Sleep(time.Millisecond)
			if err := b.onceFrom("eve", "", fmt.Sprint("key-", i), "add", 1); err != nil {
				t.Fatal(err)
			}
		}
		total := b.total(ledgerRef)
		again := open("left")
		if got := b.total(ledgerRef); got != total {
			t.Errorf("the total grew from %d to %d: single calls had a caller forgotten, whose call ran twice", total, got)
		}
		b.node.Close(ledgerRef, again.req.Attachment)
		for i := range 50 {
			time.Sleep(time.Millisecond)
			b.node.Close(ledgerRef, open(fmt.Sprint("eve-", i)).req.Attachment)
		}
		total = b.total(ledgerRef)
		stays.call(1, "add", 1)
		if got := b.total(ledgerRef); got != total {
			t.Errorf("the total grew from %d to %d: the call of a connection that exists ran twice", total, got)
		}
	})
}

// The answers that an actor keeps are bounded in bytes, and those of single calls in time.
func TestKeptAnswersAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, memory.New(memory.Options{}), parrots)
		say := func(addr, subject, key, text string) string {
			t.Helper()
			_, err := b.node.CallOnce(t.Context(), parrotRef, host.DirectCall{
				Create: true, IdempotencyKey: key, Action: "say", Args: encodeArgs(t, []any{text}), From: addr, Identity: host.Identity{Subject: subject},
			})
			return code(err)
		}
		b.open(parrotRef, as("connected")) // so that the actor stays in memory
		large := strings.Repeat("x", 10_000)
		say("a", "", "ada", large)
		say("eve", "dan", "dan", large) // who shares an address with eve
		for i := range 300 {
			say("eve", "eve", fmt.Sprint("eve-", i), large)
		}
		if got := b.node.AnswerBytes(); got > 1<<20 || got < 1<<19 {
			t.Errorf("%d bytes of answers are kept, want up to 1 MiB", got)
		}
		for _, user := range [][3]string{{"a", "", "ada"}, {"eve", "dan", "dan"}} {
			if got := say(user[0], user[1], user[2], large); got != "none" {
				t.Errorf("%s's answer: %s; want it kept, because eve keeps more", user[2], got)
			}
		}
		if got := say("eve", "eve", "eve-0", large); got != "ran" {
			t.Errorf("eve's oldest answer: got %q, want ran", got)
		}
		time.Sleep(11 * time.Minute)
		say("a", "", "other", "small")
		if got := b.node.AnswerBytes(); got > 100 {
			t.Errorf("after 11 minutes %d bytes of answers are kept, want the last one alone", got)
		}
	})
}

// When the actors of a node keep too many answers in all, each keeps fewer.
func TestKeptAnswersAreBoundedInAll(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, memory.New(memory.Options{}), parrots)
		before := b.node.AnswerBytes()
		b.node.FillAnswers()
		all := b.node.AnswerBytes() - before
		for i := range 20 {
			_, err := b.node.CallOnce(t.Context(), parrotRef, host.DirectCall{
				Create: true, IdempotencyKey: fmt.Sprint(i), Action: "say", Args: encodeArgs(t, []any{strings.Repeat("x", 10_000)}),
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if got := b.node.AnswerBytes() - all; got > 64<<10 || got < 32<<10 {
			t.Errorf("the actor keeps %d bytes, want up to a sixteenth of 1 MiB", got)
		}
	})
}
