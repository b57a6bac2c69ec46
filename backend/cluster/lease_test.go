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
type changes struct {
	n      atomic.Int64
	unsure atomic.Bool
}

func (c *changes) Join(link.Bus, uint32) error { return nil }
func (c *changes) Changed()                    { c.n.Add(1) }
func (c *changes) Leave()                      {}
func (c *changes) Unsure(int) bool             { return c.unsure.Load() }

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

// TestWhenALeaseBegins has another node find a message in the journal of a node that it heard last
// when that one's clock was at an hour.
func TestWhenALeaseBegins(t *testing.T) {
	const (
		lease = simLease
		clock = time.Hour
	)
	tests := map[string]struct {
		found time.Duration // after it was heard
		sent  time.Duration // after that, by the sender's clock
		again time.Duration // when it is heard again, if that is later than found
		clock time.Duration // its clock then, after the hour
		want  time.Duration // when the lease begins
	}{
		"it is silent":                    {found: lease / 4, sent: lease / 8, want: lease / 8},
		"it is silent for long":           {found: maxSilence*lease - 1, sent: lease, want: lease},
		"it speaks":                       {found: lease/4 - 1, sent: lease / 8, want: lease/4 - 1},
		"its clock is not known any more": {found: maxSilence * lease, sent: lease, want: maxSilence * lease},
		"its clock is ahead":              {found: lease, sent: 2 * lease, want: lease},
		"the message does not say when":   {found: lease, sent: -clock, want: lease},
		"it is heard again":               {found: lease, sent: lease / 2, again: 2 * lease, clock: 2 * lease, want: lease / 2},
		"it stood still, with its clock":  {found: 2 * lease, sent: lease / 4, again: 3 * lease, clock: lease, want: 2*lease + lease/4},
		"what it said before comes late":  {found: lease, sent: lease / 2, again: lease + 1, clock: lease / 4, want: lease + 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				w := &watched{}
				w.hear(alive{Last: 1, Clock: clock.Milliseconds()})
				time.Sleep(test.found)
				w.found(Written{Seq: 2, Sent: clock + test.sent}, lease)
				if test.again > test.found {
					time.Sleep(test.again - test.found)
					w.hear(alive{Last: 2, Clock: (clock + test.clock).Milliseconds()})
				}
				if got := w.since.Sub(began); w.last != 2 || got != test.want {
					t.Errorf("the lease of message %d begins after %v, want %v", w.last, got, test.want)
				}
			})
		})
	}
}
