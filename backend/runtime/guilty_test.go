package runtime_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// suspect has messages that take a second, of itself and of others. Guilty ones end the process
// after half of it.
type suspect struct{ Done int }

type deed struct{ Guilty bool }

var onGuilt atomic.Pointer[func()]

var suspects = actor.NewRegistry(actor.Define[suspect]("suspect", actor.Handles((*suspect).deed)))

func (s *suspect) Plan(c *nothing, guilty bool) {
	c.Schedule(c.Now().Add(time.Minute), deed{guilty})
}

func (s *suspect) Send(c *nothing, to string, guilty bool) {
	c.Send(actor.Of("suspect", to), deed{guilty})
}

func (s suspect) Get(*nothing) int { return s.Done }

func (s *suspect) deed(_ *nothing, m deed) error {
	time.Sleep(time.Second / 2)
	if m.Guilty {
		(*onGuilt.Load())()
	}
	time.Sleep(time.Second / 2)
	s.Done++
	return nil
}

// runProcesses runs n processes on one store, one after the other, each for two minutes after
// begin. It returns how many of them died.
func runProcesses(t *testing.T, n int, disk store.Store, begin func(b *bench, i int)) (deaths int) {
	b := &bench{t: t, reg: suspects}
	die := func() { b.store.(*dyingStore).dead.Store(true) }
	onGuilt.Store(&die)
	for i := range n {
		b.store = &dyingStore{Store: disk, unclean: i > 0}
		b.start()
		begin(b, i)
		time.Sleep(2 * time.Minute)
		if b.store.(*dyingStore).dead.Load() {
			deaths++
		}
		b.stop()
	}
	return deaths
}

// Messages that are on their way each time when others end the process are not parked for it:
// these end it two times together, and then once each.
func TestG12_TheInnocentAreNotParked(t *testing.T) {
	const guilty, innocent = 3, 20
	for name, test := range map[string]struct {
		action string
		args   func(i int) []any
		sender func(i int) string // who has message i
		doer   func(i int) string // whose handler runs
	}{
		"of actors to themselves": {
			"plan", func(int) []any { return nil }, func(i int) string { return fmt.Sprint("a", i) }, func(i int) string { return fmt.Sprint("a", i) },
		},
		"of one actor to others": {
			"send", func(i int) []any { return []any{fmt.Sprint("b", i)} }, func(int) string { return "a" }, func(i int) string { return fmt.Sprint("b", i) },
		},
		"of actors to others": {
			"send", func(i int) []any { return []any{fmt.Sprint("b", i)} }, func(i int) string { return fmt.Sprint("a", i) }, func(i int) string { return fmt.Sprint("b", i) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				disk := memory.New(memory.Options{})
				isGuilty := func(i int) bool { return i%7 == 3 } // of 23: 3, 10 and 17
				deaths := runProcesses(t, 2+guilty+2, disk, func(b *bench, process int) {
					if process > 0 {
						return
					}
					for i := range guilty + innocent {
						call(t, b.node, host.Ref{Name: "suspect", Key: host.Key{test.sender(i)}}, test.action, append(test.args(i), isGuilty(i))...)
					}
				})
				if deaths != 2+guilty {
					t.Errorf("%d processes died, want %d", deaths, 2+guilty)
				}
				parked := map[string]int{}
				for i := range guilty + innocent {
					id := host.ActorID("suspect", host.Key{test.doer(i)})
					snap, err := disk.Load(t.Context(), id)
					if !isGuilty(i) && (err != nil || string(snap.State) != `{"Done":1}`) {
						t.Errorf("the innocent message %d has left %+v, %v", i, snap, err)
					}
					if snap, err = disk.Load(t.Context(), host.ActorID("suspect", host.Key{test.sender(i)})); err != nil {
						t.Fatal(err)
					}
					for _, m := range snap.Messages {
						if m.Parked == "" || string(m.Data) != `{"guilty":true}` && string(m.Data) != `{"Guilty":true}` {
							t.Errorf("the sender %s has %+v", test.sender(i), m)
						}
						parked[fmt.Sprint(test.sender(i), m.ID)]++
					}
				}
				if len(parked) != guilty {
					t.Errorf("%d messages are parked, want the %d guilty ones", len(parked), guilty)
				}
			})
		})
	}
}
