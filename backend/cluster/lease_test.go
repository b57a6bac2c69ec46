package cluster

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/cluster/link"
)

// TestServersThatStopEndNobody keeps the servers from taking anything for longer than a lease, as
// an election does. The nodes say that they are alive, so none of them is ended for that, unless
// it is dead.
func TestServersThatStopEndNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := calm(t, "a", "b", "c")
		before, _ := w.process("a").member.table()
		for range 3 {
			stop := func(cut bool) {
				for _, p := range w.running() {
					p.way.set(func(way *fakeRegister) { way.cut = cut })
				}
			}
			stop(true)
			time.Sleep(simLease + w.upTo(2*simLease))
			stop(false)
			time.Sleep(3 * simLease)
			for _, n := range before.Nodes {
				if !w.process("a").member.Alive(n.Slot) {
					t.Fatalf("node %s was ended", n.Name)
				}
			}
		}
		w.stop(w.process("b"), false)
		if took := w.without(t); took > simLease+simLease/2 {
			t.Errorf("others had the actors of a dead node after %v", took)
		}
	})
}

// TestATableOfANewerRelease ends a node that cannot read the table any more, with the reason.
func TestATableOfANewerRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := calm(t, "a")
		table, _ := w.process("a").member.table()
		newer := table.clone()
		newer.Format++
		w.register.mu.Lock()
		revision := uint64(len(w.register.values))
		w.register.mu.Unlock()
		if _, err := w.register.write(t.Context(), newer.encode(), revision); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute) // it reads every 10 s, and two reads of three are of a replica that is behind
		if faults := w.takeFaults(); len(faults) != 1 || !strings.Contains(faults[0], "run the same release on all nodes") {
			t.Errorf("got %q, want the reason for which the node has ended", faults)
		}
	})
}

// changes counts what a speaker hears.
type changes struct{ n atomic.Int64 }

func (c *changes) Join(link.Bus, uint32) error { return nil }
func (c *changes) Changed()                    { c.n.Add(1) }
func (c *changes) Leave()                      {}

// TestWhoSpeaksHearsOfTables: each new table ends what has moved, at once.
func TestWhoSpeaksHearsOfTables(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := &changes{}
		m := newMember(options{Logger: slog.New(slog.DiscardHandler)}, nil, nil, nil, nil)
		m.speaker = heard
		l := &life{member: m, tables: newTables(nil, "", nil)}
		for i := range l.wake {
			l.wake[i] = make(chan struct{}, 1)
		}
		l.tables.current = joined(t, "a")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go l.speakLoop(ctx)
		for n := range int64(3) {
			l.changed(l.tables.current)
			synctest.Wait()
			if got := heard.n.Load(); got != n+1 {
				t.Errorf("after %d tables it has heard %d times", n+1, got)
			}
		}
	})
}
