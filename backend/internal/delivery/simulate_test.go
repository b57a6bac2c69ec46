package delivery_test

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/troupe-dev/troupe/backend/store"
)

func (w *world) step() {
	w.time += w.IntN(3)
	a := w.actors[w.IntN(len(w.actors))]
	to := w.actors[w.IntN(len(w.actors))].id
	x := w.Float64()
	switch {
	case x < 0.4 && len(w.net) > 0:
		i := w.IntN(len(w.net))
		p := w.net[i]
		if !w.chance(0.3) || w.draining && w.chance(0.8) { // else it comes again
			w.net = slices.Delete(w.net, i, i+1)
		}
		if w.draining || !w.chance(0.1) {
			w.arrive(p)
		}
	case x < 0.6:
		if len(a.commits) > 0 {
			w.persist(a)
		}
	case x < 0.75:
		w.send(a)
	case x < 0.80:
		w.giveUpWaiting(a)
	case x < 0.84:
		w.wakeTombstone(a)
	case w.draining:
	case x < 0.89:
		if to != a.id {
			w.newMessage(a, to)
		}
	case x < 0.95:
		w.crash(a)
	case x < 0.97:
		w.retryParked(a)
	case x < 0.98:
		w.destroy(a)
	case w.skewed:
		a.skew = []int{0, 0, -200, 300, -30}[w.IntN(5)]
	}
}

func (w *world) idle() bool {
	return len(w.net) == 0 && !slices.ContainsFunc(w.actors, func(a *actor) bool {
		return len(a.commits) > 0 || a.mem != nil && slices.ContainsFunc(slices.Collect(maps.Values(a.mem.messages)), func(m *store.Message) bool { return m.Parked == "" })
	})
}

// check compares what has become of the messages with what must have.
func (w *world) check() {
	kept := map[int]string{}
	for _, a := range w.actors {
		if a.mem != nil {
			for _, m := range a.mem.messages {
				kept[m.Version] = cmp.Or(m.Parked, "outstanding")
			}
		}
	}
	for i, s := range w.messages {
		ends := s.effects + s.undelivered
		if s.dropped || kept[i] != "" {
			ends++
		}
		switch {
		case kept[i] == "outstanding":
			w.faultf("message %d is stuck", i)
		case !s.exists && ends > 0:
			w.faultf("message %d was never durable: %d effects", i, s.effects)
		case s.exists && ends == 0:
			w.faultf("message %d is lost", i)
		case ends > 1:
			w.faultf("message %d has run %d times, was refused %d times, dropped %v, kept %q", i, s.effects, s.undelivered, s.dropped, kept[i])
		}
	}
	for pair, ran := range w.ran {
		ran = slices.DeleteFunc(ran, func(i int) bool { return w.messages[i].renumbered })
		if !slices.IsSorted(ran) {
			w.faultf("the messages of %s have run in the order %v", pair, ran)
		}
	}
}

// simulate runs the model and returns how many messages there were and what was wrong.
func simulate(seed uint64, mutation string) (messages int, faults []string) {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 12)), mutation: mutation, time: 1000, skewed: seed%2 == 1, ran: map[string][]int{}, ends: map[string]uint64{}, endTimes: map[string]int{}}
	for _, id := range []string{"a", "b", "c"} {
		a := &actor{id: id}
		w.actors = append(w.actors, a)
		w.load(a)
	}
	for range 1500 {
		w.step()
	}
	w.draining = true
	for range 50_000 {
		if w.idle() {
			break
		}
		w.step()
	}
	w.check()
	return len(w.messages), w.faults
}

// TestG12_Model checks the protocol: no message is lost, runs twice, out of order or in a
// later life of its receiver.
func TestG12_Model(t *testing.T) {
	runs, messages := uint64(2000), 0
	if testing.Short() {
		runs = 300
	}
	for seed := range runs {
		n, faults := simulate(seed, "")
		messages += n
		for _, f := range faults {
			t.Errorf("seed %d: %s", seed, f)
		}
		if t.Failed() {
			return
		}
	}
	t.Log(messages, "messages")
}

// TestG12_ModelFindsMistakes checks that the model notices when a part of the protocol is
// missing.
func TestG12_ModelFindsMistakes(t *testing.T) {
	for _, mutation := range []string{
		"no prev", "no floor", "forgets without comparing", "parks without the mark", "refusals not kept",
		"ended ignored", "answers before the gate", "sends what is not durable", "no senders", "answers of old attempts",
	} {
		t.Run(mutation, func(t *testing.T) {
			for seed := range uint64(3000) {
				if _, faults := simulate(seed, mutation); len(faults) > 0 {
					t.Logf("seed %d: %s", seed, faults[0])
					return
				}
			}
			t.Error("nothing is wrong without it")
		})
	}
}
