package runtime_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
)

// shutdown starts to shut the node down.
func (b *bench) shutdown() {
	go func() { _ = b.node.Shutdown(context.Background()) }()
	synctest.Wait()
}

// ask calls an action without a connection; what comes of it is sent to the
// channel: none, or an error's code.
func (b *bench) ask(r *reader, action string, args ...any) <-chan string {
	answer := make(chan string, 1)
	go func() {
		_, err := result[any](b, r.ref, action, args...)
		answer <- code(err)
	}()
	synctest.Wait()
	return answer
}

// Without an answer its client sends the call again, to the next server.
func TestG5_AShutdownDoesNotAnswerCallsThatDidNotRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, stubborns)
		ada, bob := b.open(stubbornRef, as("ada")), b.open(stubbornRef, as("bob"))
		ada.read()
		bob.read()
		release := hold(t, "Hang")
		ada.call(1, "hang")
		synctest.Wait()
		bob.call(1, "inc")
		single := b.ask(bob, "inc")
		b.shutdown()
		time.Sleep(5 * time.Second)
		if got, want := kinds(ada.read()), "opened fail:timeout "; got != want {
			t.Errorf("whose call ran got %q, want %q", got, want)
		}
		if got, want := kinds(bob.read()), "opened "; got != want {
			t.Errorf("whose call waited got %q, want %q", got, want)
		}
		if got := <-single; got != "shutdown" {
			t.Errorf("got %s over HTTP, want shutdown", got)
		}
		release() // a node waits for its goroutines
		b.restart()
		if got, err := result[int](b, stubbornRef, "inc"); got != 1 || err != nil {
			t.Errorf("got %d, %v after it, want 1: none of the calls took effect", got, err)
		}
	})
}

func TestAStoreThatFailsAtShutdownLeavesNoCallWithoutAnAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, held, ada, _ := heldBench(t, ledgers, ledgerRef)
		ada.call(1, "add", 1)
		single := b.ask(ada, "add", 1)
		b.shutdown()
		held.Fail(store.ErrFull)
		held.ReleaseAll()
		if got := <-single; got != "unavailable" {
			t.Errorf("got %s over HTTP, want unavailable", got)
		}
		if got, want := kinds(ada.read()), "fail:unavailable "; got != want {
			t.Errorf("the connection got %q, want %q", got, want)
		}
	})
}

// Nobody knows whether the call took effect: it is not said that it did not.
func TestG5_AnUnknownOutcomeAtShutdownIsLeftToTheNextServer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, held, ada, _ := heldBench(t, ledgers, ledgerRef)
		ada.call(1, "add", 3)
		single := b.ask(ada, "get")
		b.trouble().broken.Store(true)
		b.shutdown()
		held.KeepUnknown()
		held.ReleaseAll()
		if got := <-single; got != "shutdown" {
			t.Errorf("got %s over HTTP, want shutdown", got)
		}
		time.Sleep(time.Second)
		if got := kinds(ada.read()); got != "" {
			t.Errorf("the connection got %q, want nothing", got)
		}

		b.trouble().broken.Store(false)
		b.restart()
		req := asAda
		req.Resume, req.Log, req.Seq = true, ada.log.Identity(), 0
		again := b.open(ledgerRef, req)
		again.call(1, "add", 3)
		again.call(2, "get")
		advance()
		want := "opened fail:ran reply:3 "
		if got := kinds(again.read()); got != want {
			t.Errorf("the next server said %q, want %q", got, want)
		}
	})
}

// keeper saves what it has not saved yet when it leaves memory.
type keeper struct {
	Saved  int `json:"saved"`
	Starts int `json:"starts"`
	dirty  int
}

func (k *keeper) OnStart(*nothing) { k.Starts++ }
func (k *keeper) OnStop(*nothing)  { k.Saved += k.dirty }
func (k *keeper) Put(*nothing)     { k.dirty++ }
func (k keeper) Get(*nothing) int  { return 100*k.Starts + k.Saved }

var (
	keepers   = actor.NewRegistry(actor.Define[keeper]("keeper"))
	keeperRef = host.Ref{Name: "keeper", Key: host.Key{"a"}}
)

func TestOnStopRunsWhenAnActorLeavesMemory(t *testing.T) {
	for _, why := range []string{"the node closes", "it is idle"} {
		t.Run(why, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, nil, keepers)
				if _, err := b.node.Create(t.Context(), keeperRef, nil, host.Identity{}); err != nil {
					t.Fatal(err)
				}
				for range 3 {
					if _, err := result[any](b, keeperRef, "put"); err != nil {
						t.Fatal(err)
					}
				}
				if why == "the node closes" {
					b.restart()
				} else {
					time.Sleep(time.Minute)
				}
				if got := b.total(keeperRef); got != 203 {
					t.Errorf("got %d, want 203: OnStart has run twice, and OnStop saved 3", got)
				}
			})
		})
	}
}
