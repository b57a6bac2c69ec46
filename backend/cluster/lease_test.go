package cluster

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
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
