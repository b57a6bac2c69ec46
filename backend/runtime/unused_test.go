package runtime_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

const week = 7 * 24 * time.Hour

// weekly destroys crypts that are not used for a week.
func weekly(after time.Duration) *actor.Registry {
	return actor.NewRegistry(cryptDef, actor.WithOptions(actor.Options{DestroyAfter: after}))
}

func (b *bench) alive() bool {
	b.t.Helper()
	synctest.Wait()
	snap := b.stored()
	return snap != nil && !snap.Tombstone
}

func TestDestroyAfter(t *testing.T) {
	for _, test := range []struct {
		name string
		use  func(b *bench) // each day
		ends bool
	}{
		{"nothing", func(*bench) {}, true},
		{"a restart", func(b *bench) { b.restart() }, true},
		{"reads", func(b *bench) { b.total(cryptRef) }, false},
		{"reads and restarts", func(b *bench) { b.total(cryptRef); b.restart() }, false},
		{"changes", func(b *bench) {
			if _, err := result[int](b, cryptRef, "add", 1); err != nil {
				b.t.Error(err)
			}
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				cryptHooks("")
				b := newBench(t, nil, weekly(week))
				if _, err := result[int](b, cryptRef, "add", 1); err != nil {
					t.Fatal(err)
				}
				for range 7 {
					time.Sleep(24 * time.Hour)
					test.use(b)
				}
				if !b.alive() {
					t.Fatal("it was destroyed within a week")
				}
				ranCryptHooks()
				for range 14 {
					time.Sleep(24 * time.Hour)
					test.use(b)
				}
				if b.alive() == test.ends {
					t.Errorf("after three weeks: destroyed %t, want %t", !b.alive(), test.ends)
				}
				if got := ranCryptHooks(); test.name == "nothing" && got != "" {
					t.Errorf("hooks ran: %s", got)
				}
			})
		})
	}
}

// A connection is a use, also without a socket; when it has ended, the time counts.
func TestDestroyAfter_connections(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		cryptHooks("")
		b := newBench(t, nil, weekly(week))
		ada := b.open(cryptRef, as("ada"))
		ada.read()
		time.Sleep(5 * week)
		if !b.alive() || kinds(ada.read()) != "opened " {
			t.Errorf("with a connection: alive %t, got %q", b.alive(), kinds(ada.got))
		}
		b.node.Detach(cryptRef, ada.req.Attachment)
		time.Sleep(week - time.Hour)
		if !b.alive() {
			t.Error("destroyed within a week")
		}
		b.node.Unfollow(cryptRef, ada)
		time.Sleep(week)
		if b.alive() {
			t.Error("not destroyed")
		}
	})
}

// An actor that is only read makes a commit for it at most ten times a period.
func TestDestroyAfter_readsMakeFewCommits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		cryptHooks("")
		b := newBench(t, nil, weekly(week))
		if _, err := result[int](b, cryptRef, "add", 1); err != nil {
			t.Fatal(err)
		}
		before := b.stored().Rev
		for range 10 * 7 * 24 {
			time.Sleep(time.Hour)
			b.total(cryptRef)
		}
		if n := b.stored().Rev - before; n < 50 || n > 100 {
			t.Errorf("%d commits in ten weeks, want at most 100, and no fewer than 50", n)
		}
	})
}

// A longer DestroyAfter counts for what is stored, and so does none.
func TestDestroyAfter_changes(t *testing.T) {
	for _, after := range []time.Duration{4 * week, 0} {
		inBubble(t, func(t *testing.T) {
			cryptHooks("")
			b := newBench(t, nil, weekly(week))
			if _, err := result[int](b, cryptRef, "add", 1); err != nil {
				t.Fatal(err)
			}
			b.reg = weekly(after)
			b.restart()
			time.Sleep(2 * week)
			if !b.alive() {
				t.Error("destroyed by the option of before")
			}
			rev := b.stored().Rev
			time.Sleep(week)
			if got := b.stored().Rev; got != rev {
				t.Errorf("it makes commits again and again: %d after %d", got, rev)
			}
			time.Sleep(6 * week)
			if got := b.alive(); got != (after == 0) {
				t.Errorf("DestroyAfter %v: alive %t", after, got)
			}
		})
	}
}

// A tombstone goes after CallerTTL: after that nobody hears of the life before.
func TestATombstoneIsForgotten(t *testing.T) {
	for _, test := range []struct {
		name  string
		after func(b *bench)
	}{
		{"awake", func(*bench) {}},
		{"restart", func(b *bench) { b.restart() }},
		{"without its definition", func(b *bench) { b.reg = ledgers; b.restart() }},
		{"a look before its end", func(b *bench) {
			time.Sleep(23 * time.Hour)
			b.total(cryptRef)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				cryptHooks("")
				trouble := &troubledStore{Store: memory.New(memory.Options{})}
				b := newBench(t, trouble, crypts)
				ada := b.open(cryptRef, as("ada"))
				ada.call(1, "add", 1)
				ada.call(2, "end")
				ada.read()
				back := ada.resumed()
				b.node.Unfollow(cryptRef, ada)
				ended := time.Now()
				test.after(b)
				time.Sleep(time.Until(ended.Add(24*time.Hour - time.Second)))
				b.checkTombstone()
				time.Sleep(time.Minute)
				if snap := b.stored(); snap != nil {
					t.Fatalf("the store has %+v", snap)
				}
				if n := b.node.Actors(); n != 0 {
					t.Errorf("%d actors in memory", n)
				}
				trouble.loads.Store(0)
				if time.Sleep(time.Hour); trouble.loads.Load() > 0 {
					t.Errorf("%d loads of what is gone", trouble.loads.Load())
				}
				b.reg = crypts
				b.restart()
				r := b.open(cryptRef, back)
				if got := kinds(r.read()); got != "opened " || r.got[0].Opened.Reason != "restart" {
					t.Errorf("a client that comes later got %q", got)
				}
			})
		})
	}
}

// A life that begins before the tombstone's end keeps its numbers, and is not forgotten.
func TestATombstoneOfANewLifeIsNotForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		cryptHooks("")
		b := newBench(t, nil, crypts)
		for range 3 {
			if _, err := result[int](b, cryptRef, "add", 1); err != nil {
				t.Fatal(err)
			}
			if _, err := result[string](b, cryptRef, "end"); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := result[int](b, cryptRef, "add", 4); n != 4 || err != nil {
			t.Fatal(n, err)
		}
		if due := b.stored().Due; !due.IsZero() {
			t.Errorf("the new life is due at %v", due)
		}
		time.Sleep(100 * time.Hour)
		if got := b.total(cryptRef); got != 4 {
			t.Errorf("got %d, want 4", got)
		}
	})
}
