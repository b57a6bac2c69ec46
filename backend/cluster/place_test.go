package cluster

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// TestG10_WhatIsBeingAdoptedIsNotGivenAway lets a node join while another one still tells its
// actors what it has adopted.
func TestG10_WhatIsBeingAdoptedIsNotGivenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := calm(t, "a")
		a := w.process("a")
		a.actors.adopting = 100 * time.Millisecond
		w.start("b")
		time.Sleep(10 * time.Second)
		w.stop(w.process("b"), true) // a gets them back, slowly
		w.start("b")
		time.Sleep(time.Minute)
		if owned := w.checkOwners(); owned != store.Partitions {
			t.Errorf("%d partitions have an owner", owned)
		}
	})
}

// TestAdoptionsFollowTheTable lets adoptions fail until the journals of partitions are of no
// more use. Later tries do not ask for them.
func TestAdoptionsFollowTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := calm(t, "a")
		began := time.Now()
		var mu sync.Mutex
		var early, late []Journal
		w.start("b", func(p *process) {
			p.store.adopting = func(_, of []Journal) error {
				mu.Lock()
				defer mu.Unlock()
				if time.Since(began) < 2*simWindow {
					early = of
					return errors.New("later")
				}
				late = append(late, of...)
				return nil
			}
		})
		time.Sleep(simWindow / 2)
		mu.Lock()
		if len(early) != 1 {
			t.Errorf("the first node's journal is asked for, got %v", early)
		}
		mu.Unlock()
		time.Sleep(2 * simWindow)
		mu.Lock()
		defer mu.Unlock()
		if len(late) != 0 {
			t.Errorf("b has adopted with %v, of which nobody needs entries", late)
		}
		if owned := w.checkOwners(); owned != store.Partitions {
			t.Errorf("%d partitions have an owner", owned)
		}
	})
}

// TestWhatIsGivenAwayIsAdoptedAsClean lets a node die, and another one join before what the dead
// one had is saved.
func TestWhatIsGivenAwayIsAdoptedAsClean(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := calm(t, "a")
		a := w.process("a")
		a.store.saving = func() error { return errors.New("later") }
		b := w.start("b")
		time.Sleep(10 * time.Second)
		clean := b.actors.clean.Load()
		if clean < store.Partitions/4 || a.actors.unclean.Load()+b.actors.unclean.Load() != 0 {
			t.Errorf("b was given %d partitions, and %d and %d were of the dead", clean, a.actors.unclean.Load(), b.actors.unclean.Load())
		}
		w.stop(b, false)
		time.Sleep(30 * time.Second)
		if n := a.actors.unclean.Load(); n != clean {
			t.Errorf("a has adopted %d partitions of the dead, of %d", n, clean)
		}
		c := w.start("c")
		time.Sleep(10 * time.Second)
		if n := c.actors.unclean.Load(); n != 0 || c.actors.clean.Load() == 0 {
			t.Errorf("c was given %d partitions, and %d were of the dead", c.actors.clean.Load(), n)
		}
	})
}

// afterADeath returns a cluster in which a has just adopted what b had, which has died.
func afterADeath(t *testing.T) (*world, *process) {
	w := calm(t, "a", "b")
	a := w.process("a")
	w.stop(w.process("b"), false)
	for a.actors.unclean.Load() < store.Partitions/4 {
		time.Sleep(100 * time.Millisecond)
	}
	return w, a
}

// TestG12_WhatIsGivenAwaySoonStaysDoubted lets a node join as soon as another one has adopted what a dead
// one had, and leave later.
func TestG12_WhatIsGivenAwaySoonStaysDoubted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, a := afterADeath(t)
		died := a.actors.unclean.Load()
		c := w.start("c")
		time.Sleep(doubtFor / 2)
		if n := c.actors.unclean.Load(); n == 0 {
			t.Errorf("of %d partitions of a dead node c was given none as such", died)
		}
		time.Sleep(doubtFor)
		if err := c.member.leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if n := a.actors.unclean.Load(); n != died {
			t.Errorf("a was given %d partitions as those of a dead node, long after", n-died)
		}
	})
}

// TestG12_WhatIsSavedForLongStaysDoubted lets a node give away what it had for a short time, and save it for
// a long one, in which no actor counts anything.
func TestG12_WhatIsSavedForLongStaysDoubted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, a := afterADeath(t)
		began := time.Now()
		a.store.giving = func() error {
			if time.Since(began) < 2*doubtFor {
				return errors.New("an election")
			}
			return nil
		}
		c := w.start("c")
		time.Sleep(3 * doubtFor)
		if n := c.actors.unclean.Load(); n == 0 {
			t.Error("c was given no partition as that of a dead node")
		}
	})
}

// TestG12_WhoIsUnsureGivesNothingAway lets a node join while another one does not know yet whether
// messages of its actors have ended a third, and leave.
func TestG12_WhoIsUnsureGivesNothingAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := calm(t, "c")
		heard := &changes{}
		a := w.start("a", func(p *process) { p.member.speaker = heard })
		time.Sleep(10 * time.Second)
		w.stop(w.process("c"), true)
		time.Sleep(10 * time.Second)
		heard.unsure.Store(true)
		b := w.start("b")
		time.Sleep(5 * time.Second)
		if n := b.actors.clean.Load(); n != 0 {
			t.Errorf("it has given %d partitions away", n)
		}
		heard.unsure.Store(false)
		time.Sleep(time.Second)
		if n := b.actors.clean.Load(); n < store.Partitions/4 {
			t.Errorf("it has given %d partitions away a second later", n)
		}
		heard.unsure.Store(true)
		if err := a.member.leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := b.actors.clean.Load(); n != store.Partitions {
			t.Errorf("it has left, and the other one has %d partitions", n)
		}
	})
}

// TestG3_ASealedNodeForgetsNothing lets others take the partitions of a node that has not ended
// yet. What they need of its journal it does not take for what it gave away itself.
func TestG3_ASealedNodeForgetsNothing(t *testing.T) {
	l := &life{member: newMember(options{Window: simWindow}, nil, nil, nil, nil), slot: 1}
	table := newTable()
	for _, name := range []string{"a", "b"} {
		if err := table.join(testNode(name, 1)); err != nil {
			t.Fatal(err)
		}
	}
	given := table.owned(1)[:1]
	table.Want[given[0]] = 2
	table.give(1, given, nil, time.Now())
	l.given[given[0]] = time.Now().Add(-simWindow)
	if got := l.passed(table); !slices.Equal(got, given) {
		t.Fatalf("got %v, and the window of %v is over", got, given)
	}
	table.seal(1, 5)
	if got := l.passed(table); len(table.Past[1]) != store.Partitions || len(got) != 0 {
		t.Errorf("the node forgets %v of %d partitions that others have taken", got, len(table.Past[1]))
	}
}

// TestATurnThatDoesNotEndIsLeft lets a node leave while a turn runs that does not end.
func TestATurnThatDoesNotEndIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := calm(t, "a", "b")
		b := w.process("b")
		table, slot := b.member.table()
		part := table.owned(slot)[0]
		b.actors.turns[part] <- struct{}{}
		defer func() { <-b.actors.turns[part] }()
		left := make(chan error, 1)
		go func() { left <- b.member.leave(t.Context()) }()
		time.Sleep(2 * drainFor)
		synctest.Wait()
		select {
		case err := <-left:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("the node has not left")
		}
		if owner, self := w.process("a").member.Owner(part); owner != self || owner == 0 {
			t.Errorf("the owner is %d", owner)
		}
	})
}

// TestG10_NodesHaveOneLease starts a node with a shorter lease than that of a node that has
// crashed, and then one with yet another lease.
func TestG10_NodesHaveOneLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := calm(t, "a")
		w.stop(w.process("a"), false)
		began := time.Now()
		w.start("b", func(p *process) { p.member.Lease = simLease / 3 })
		if took := w.without(t); took < simLease-simLease/4 || took > 2*simLease {
			t.Errorf("b has taken over after %v, and the lease of a was %v", took, simLease)
		}
		c := w.start("c")
		time.Sleep(20 * simLease)
		if faults := w.takeFaults(); len(faults) != 1 || !strings.Contains(faults[0], "same lease: this one has 3s, and node \"b\" 1s") {
			t.Errorf("got %q after %v, want an error for another lease", faults, time.Since(began))
		}
		w.stop(c, false)
	})
}

// TestOneNodeGathers has the node with the lowest slot gather the streams' leaders, while each node
// has what it should have.
func TestOneNodeGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := calm(t, "a", "b")
		a, b := w.process("a"), w.process("b")
		_, slot := a.member.table()
		if _, other := b.member.table(); other < slot {
			a, b = b, a
		}
		gathers := func() (byA, byB int64) {
			was, wasB := a.store.gathers.Load(), b.store.gathers.Load()
			time.Sleep(10 * time.Second)
			return a.store.gathers.Load() - was, b.store.gathers.Load() - wasB
		}
		if byA, byB := gathers(); byA == 0 || byB != 0 {
			t.Errorf("the lowest node has gathered %d times, and the other one %d", byA, byB)
		}
		var goOn atomic.Bool
		a.store.adopting = func([]Journal, []Journal) error {
			if !goOn.Load() {
				return errors.New("not yet")
			}
			return nil
		}
		w.stop(b, false)
		time.Sleep(2 * simLease)
		if byA, _ := gathers(); byA != 0 {
			t.Errorf("it has gathered %d times while partitions had no owner", byA)
		}
		goOn.Store(true)
		time.Sleep(10 * time.Second)
		if byA, _ := gathers(); byA == 0 {
			t.Error("it gathers no more")
		}
	})
}
