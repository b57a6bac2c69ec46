package runtime_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// A client of an earlier life, of whichever, gets its kept answer and hears the end. It
// neither begins a life nor gets into a later one, and its calls do not run there.
func TestG5_AClientOfAnEarlierLifeHearsTheEnd(t *testing.T) {
	for _, lives := range []int{0, 1, 2, 5} { // that began since then
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(lives, restart), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					cryptHooks("")
					b := newBench(t, nil, crypts)
					ada, bob, carol := b.open(cryptRef, as("ada")), b.open(cryptRef, as("bob")), b.open(cryptRef, as("carol"))
					ada.read()
					bob.call(1, "add", 1)
					bob.call(2, "add", 1)
					bob.read()
					carol.read()
					adaBack, bobBack, carolBack := ada.resumed(), bob.resumed(), carol.resumed()
					b.node.Detach(cryptRef, bob.req.Attachment)
					b.node.Detach(cryptRef, ada.req.Attachment)
					ada.call(1, "end") // of a socket that is gone
					again := b.open(cryptRef, adaBack)
					again.call(1, "end") // its answer is lost
					for life := range lives {
						later := b.open(cryptRef, as(fmt.Sprint("later", life)))
						later.call(1, "add", 1)
						if life < lives-1 {
							later.call(2, "end")
						}
					}
					synctest.Wait()
					if restart {
						b.restart()
					}
					before := b.stored()
					for range 2 { // the answer of an open may be lost, too
						adaBack.Ack, bobBack.Ack = 0, 1
						want := `reply:"gone" closed:destroyed `
						if lives > 1 {
							want = "closed:destroyed " // another one has destroyed it again, whose answer is kept
						}
						if r := b.open(cryptRef, adaBack); kinds(r.read()) != want || highest(r.last()) != 1 {
							t.Errorf("the one who destroyed it got %q and h %d, want %q and 1", kinds(r.got), highest(r.last()), want)
						}
						r := b.open(cryptRef, bobBack)
						r.call(3, "add", 100)
						if got := kinds(r.read()); got != "closed:destroyed " || highest(r.last()) != 2 {
							t.Errorf("another got %q and h %d, want the end and 2", got, highest(r.last()))
						}
						if r := b.open(cryptRef, carolBack); kinds(r.read()) != "closed:destroyed " || highest(r.last()) != 0 {
							t.Errorf("one without calls got %q and h %d, want the end and 0", kinds(r.got), highest(r.last()))
						}
					}
					adaBack.Ack = 1
					if got := kinds(b.open(cryptRef, adaBack).read()); got != "closed:destroyed " {
						t.Errorf("with its answer the one who destroyed it got %q", got)
					}
					if after := b.stored(); after.Rev != before.Rev || after.Tombstone != (lives == 0) {
						t.Errorf("stored %+v, want that before: %+v", after, before)
					}
				})
			})
		}
	}
}

// A log that is not one of the actor's lives is that of a store that was lost or of an actor
// that was forgotten: as before, the client joins, and hears that it has missed something.
func TestAnUnknownLogBeginsALife(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		cryptHooks("")
		b := newBench(t, nil, crypts)
		if _, err := result[int](b, cryptRef, "add", 3); err != nil {
			t.Fatal(err)
		}
		if _, err := result[string](b, cryptRef, "end"); err != nil {
			t.Fatal(err)
		}
		for _, log := range []string{"another", b.checkTombstone().Log + ".x.y", b.checkTombstone().Log + ".9.z"} {
			req := as("ada" + log)
			req.Resume, req.Log, req.Seq = true, log, 1
			r := b.open(cryptRef, req)
			if got := kinds(r.read()); got != "opened " || r.got[0].Opened.Reason != "restart" {
				t.Errorf("log %s: got %q, %+v", log, got, r.got[0].Opened)
			}
		}
	})
}

// renamedLogs is a store that was restored from a backup: all logs have another identity.
type renamedLogs struct{ store.Store }

func (s renamedLogs) Load(ctx context.Context, id string) (*store.Snapshot, error) {
	snap, err := s.Store.Load(ctx, id)
	if err == nil {
		snap.Log = "restored"
	}
	return snap, err
}

func TestG5_TheEndIsKnownInARestoredBackup(t *testing.T) {
	for _, lives := range []int{0, 1} { // that have begun since then
		inBubble(t, func(t *testing.T) {
			cryptHooks("")
			b := newBench(t, nil, crypts)
			ada := b.open(cryptRef, as("ada"))
			ada.call(1, "add", 1)
			ada.call(2, "end")
			ada.read()
			bob := b.open(cryptRef, as("bob"))
			if lives == 0 {
				bob.call(1, "end")
			}
			bob.read()
			b.stop()
			b.store = renamedLogs{b.store}
			b.start()
			if got := kinds(b.open(cryptRef, ada.resumed()).read()); lives == 1 && got != `reply:"gone" closed:destroyed ` {
				t.Errorf("of the life before: got %q", got)
			}
			want := `reply:"gone" closed:destroyed `
			if lives == 1 {
				want = "opened "
			}
			if got := kinds(b.open(cryptRef, bob.resumed()).read()); got != want {
				t.Errorf("%d lives later: got %q, want %q", lives, got, want)
			}
		})
	}
}

// A producer that may have been forgotten is told that its calls are not known.
func TestG5_WhatAForgottenProducerRanIsNotKnown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		cryptHooks("")
		b := newBench(t, memory.New(memory.Options{Retention: 100 * time.Hour}), crypts)
		ada := b.open(cryptRef, as("ada"))
		ada.call(1, "add", 1)
		ada.read()
		req := ada.resumed()
		b.node.Close(cryptRef, ada.req.Attachment)
		time.Sleep(25 * time.Hour)
		for _, action := range []string{"add", "add"} {
			if _, err := result[int](b, cryptRef, action, 1); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := result[string](b, cryptRef, "end"); err != nil {
			t.Fatal(err)
		}
		if r := b.open(cryptRef, req); kinds(r.read()) != "closed:destroyed " || highest(r.last()) != -1 {
			t.Errorf("got %q and h %d, want the end without h", kinds(r.got), highest(r.last()))
		}
	})
}

func TestG5_ARepeatedKeyDoesNotBeginANewLife(t *testing.T) {
	for _, restart := range []bool{false, true} {
		for _, stored := range []bool{false, true} {
			t.Run(fmt.Sprint(restart, stored), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					cryptHooks("")
					b := newBench(t, nil, crypts)
					once := func(key, action string, args ...any) string {
						raw, err := b.node.CallOnce(t.Context(), cryptRef, host.DirectCall{
							Create: true, IdempotencyKey: key, Action: action, Args: encodeArgs(t, args),
						})
						if err != nil {
							return code(err)
						}
						return string(raw)
					}
					if stored {
						if got := once("first", "add", 3); got != "3" {
							t.Errorf("got %s", got)
						}
					}
					if got := once("end", "end"); got != `"gone"` {
						t.Errorf("got %s", got)
					}
					if restart {
						b.restart()
					}
					ranCryptHooks()
					if got := once("end", "end") + once("end", "add", 1); got != `"gone"idempotency_mismatch` {
						t.Errorf("repeated: got %s", got)
					}
					if stored {
						if got := once("first", "add", 3); got != "ran" {
							t.Errorf("an earlier one repeated: got %s", got)
						}
					}
					b.checkTombstone()
					if got := ranCryptHooks(); got != "" {
						t.Errorf("repeated: hooks ran: %s", got)
					}
					if got := once("other", "add", 4); got != "4" {
						t.Errorf("another key: got %s", got)
					}
					if got := once("end", "end"); got != `"gone"` {
						t.Errorf("repeated in the new life: got %s", got)
					}
					if got := b.total(cryptRef); got != 4 {
						t.Errorf("the new life has %d, want 4", got)
					}
				})
			})
		}
	}
}

// The tombstone does not have its key. A client that knows the key begins a new
// life, even if the tombstone was loaded by its id meanwhile.
func TestANewLifeAfterALookByID(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		cryptHooks("")
		b := newBench(t, nil, crypts)
		ada := b.open(cryptRef, as("ada"))
		ada.call(1, "add", 1)
		ada.call(2, "end")
		ada.read()
		b.restart()
		id := host.ActorID(cryptRef.Name, cryptRef.Key)
		byID := b.follow(host.Ref{ID: id}, as("bob")) // keeps the actor in memory
		byID.req.Create = false
		byID.open()
		if got := kinds(byID.read()); got != "closed:not_found " {
			t.Errorf("by id: got %q", got)
		}
		if n, err := result[int](b, cryptRef, "add", 2); n != 2 || err != nil {
			t.Errorf("by name: got %d, %v", n, err)
		}
		if snap := b.stored(); len(snap.Key) != 1 || snap.Key[0] != "a" {
			t.Errorf("the new life has the key %q", snap.Key)
		}
	})
}

// An older binary does not begin a new life of what a newer one has destroyed.
func TestATombstoneOfANewerVersionIsLeftAlone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		cryptHooks("")
		newer := actor.NewRegistry(actor.Define[crypt]("crypt", actor.Emits[cryptMoved](), actor.Emits[cryptEnds](), actor.Version(1)))
		b := newBench(t, nil, newer)
		if _, err := result[int](b, cryptRef, "add", 1); err != nil {
			t.Fatal(err)
		}
		if _, err := result[string](b, cryptRef, "end"); err != nil {
			t.Fatal(err)
		}
		b.reg = crypts
		b.restart()
		if _, err := result[int](b, cryptRef, "add", 1); code(err) != "unavailable" {
			t.Errorf("got %v, want unavailable", err)
		}
		if tried := runtime.NewTrial(crypts).Load(b.checkTombstone()); !tried.Newer {
			t.Errorf("tried: got %+v", tried)
		}
		if tried := runtime.NewTrial(newer).Load(b.checkTombstone()); tried.Err != nil || tried.Undefined {
			t.Errorf("tried by the newer one: got %+v", tried)
		}
		b.reg = newer
		b.restart()
		if n, err := result[int](b, cryptRef, "add", 1); n != 1 || err != nil {
			t.Errorf("the newer one: got %d, %v", n, err)
		}
	})
}
