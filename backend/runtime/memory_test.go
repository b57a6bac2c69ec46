package runtime_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// barn keeps a text and says what it gets.
type barn struct {
	Text string `json:"text"`
}

type noise string

type barnContext = actor.Context[actor.NoState]

// Keep makes the state that large.
func (h *barn) Keep(_ *barnContext, bytes int) { h.Text = strings.Repeat("x", bytes) }

// Say makes the log that much larger.
func (h *barn) Say(c *barnContext, bytes int) { c.Broadcast(noise(strings.Repeat("x", bytes))) }

// Wait starts a timer.
func (h *barn) Wait(c *barnContext) {
	c.After(20*time.Second, func(*barnContext) error { h.Text = "rung"; return nil })
}

// Rang fails if the timer has not rung.
func (h barn) Rang(*barnContext) error {
	if h.Text != "rung" {
		return &actor.Error{Code: "silent"}
	}
	return nil
}

// TestG8_MaxActorBytes: what the states and logs of all actors take is bounded. Near the limit
// idle actors leave memory at once, and the logs of those that have readers shrink; only
// when that is not enough, others are not loaded. Nothing is lost.
func TestG8_MaxActorBytes(t *testing.T) {
	const limit = 1_000_000
	reg := actor.NewRegistry(actor.Define[barn]("barn", actor.Emits[noise]()))
	type node struct {
		*runtime.Node
		call func(i int, action string, args ...int) error
		log  func(i int) *host.Log
	}
	test := func(name string, f func(t *testing.T, n node)) {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				n := node{Node: runtime.New(reg, memory.New(memory.Options{}), runtime.Options{Logger: slog.New(slog.DiscardHandler), MaxActorBytes: limit})}
				t.Cleanup(func() {
					if err := n.Shutdown(context.Background()); err != nil {
						t.Error(err)
					}
				})
				ref := func(i int) host.Ref { return host.Ref{Name: "barn", Key: host.Key{fmt.Sprint(i)}} }
				n.call = func(i int, action string, args ...int) error {
					c := host.DirectCall{Create: true, Action: action}
					for _, a := range args {
						c.Args = append(c.Args, []byte(fmt.Sprint(a)))
					}
					_, err := n.CallOnce(t.Context(), ref(i), c)
					return err
				}
				n.log = func(i int) *host.Log {
					log, err := n.Follow(ref(i), &reader{})
					if err != nil {
						t.Fatal(err)
					}
					return log
				}
				f(t, n)
			})
		})
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	test("idle actors leave", func(t *testing.T, n node) {
		for i := range 100 {
			must(t, n.call(i, "keep", 100_000))
			time.Sleep(1100 * time.Millisecond)
			if b := n.Stats().Bytes; b > limit {
				t.Fatalf("%d bytes are in memory after %d actors, want at most %d", b, i+1, limit)
			}
		}
	})
	for _, size := range []int{40_000, 16_000} { // which take twice as much: more than the log of an actor in use, and less
		test(fmt.Sprintf("logs with readers shrink, events of %d bytes", 2*size), func(t *testing.T, n node) {
			for i := range 60 {
				n.log(i)
				must(t, n.call(i, "say", size))
				time.Sleep(2500 * time.Millisecond)
				if b := n.Stats().Bytes; b > limit {
					t.Fatalf("%d bytes are in memory after %d actors, want at most %d", b, i+1, limit)
				}
			}
			log := n.log(0)
			if _, ok := log.After(0); ok {
				t.Error("the first actor's event is still in memory")
			}
			if outs, err := log.Stored(t.Context(), 0, 10, 1<<20); err != nil || len(outs) != 1 {
				t.Errorf("the store has %d entries, %v; want the event", len(outs), err)
			}
		})
	}
	test("logs of actors in use shrink", func(t *testing.T, n node) {
		n.log(9)
		must(t, n.call(9, "say", 1))
		for i := range 3 {
			n.log(i)
			must(t, n.call(i, "keep", 300_000))
		}
		for range 20 {
			must(t, n.call(9, "say", 10_000)) // which takes twice as much
			time.Sleep(100 * time.Millisecond)
		}
		if b := n.Stats().Bytes; b > limit {
			t.Errorf("%d bytes are in memory, want at most %d", b, limit)
		}
	})
	test("timers keep their actor", func(t *testing.T, n node) {
		must(t, n.call(0, "wait"))
		for i := range 15 {
			must(t, n.call(i+1, "keep", 200_000))
			time.Sleep(1100 * time.Millisecond)
		}
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if err := n.call(0, "rang"); err != nil {
			t.Errorf("the timer: %v", err)
		}
	})
	test("others are refused, those in memory work", func(t *testing.T, n node) {
		for i := range 4 {
			n.log(i)
			must(t, n.call(i, "keep", 300_000))
		}
		for range 2 {
			synctest.Wait() // an actor is counted after its answer
			overloaded(t, n.call(4, "keep", 1), limit, "max-actor-bytes")
			time.Sleep(time.Second)
			must(t, n.call(0, "keep", 300_001))
		}
		must(t, n.call(1, "keep", 1))
		must(t, n.call(2, "keep", 1))
		must(t, n.call(4, "keep", 1))
	})
}
