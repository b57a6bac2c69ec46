//go:build linux

package crashtest

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var nodesFlag = flag.Int("crash.nodes", 0, "how many nodes the tests of a cluster have; 0 skips them")

// G3, G5, G6, G10: the same on several nodes, of which some are killed, stopped, ended and
// cut off from the others; and no read misses what was acknowledged before it began.
func TestG10_NodesCrash(t *testing.T) {
	if *nodesFlag == 0 {
		t.Skip("it takes minutes: -crash.nodes=3, or make test-cluster")
	}
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64() | 1
	}
	t.Logf("to repeat its choices: -crash.seed=%d", seed)
	c := newNodes(t, buildServer(t), *nodesFlag)
	p := newProxy(t, c.address)
	var sum totals
	begin := time.Now()
	for round := range *roundsFlag {
		r := rand.New(rand.NewPCG(seed, uint64(round)))
		g := &group{name: fmt.Sprint("round", round), pace: 600 * time.Millisecond, away: 50 * time.Millisecond, refuses: true}
		g.during = func() func() {
			stop := readRooms(t, c, g, r)
			return func() { sum.reads += stop() }
		}
		runRound(t, c, p, r, g, &sum)
		if t.Failed() {
			t.Fatalf("in round %d of seed %d", round, seed)
		}
		t.Logf("%d rounds in %v: %+v, %d links of clients cut", round+1, time.Since(begin).Round(time.Second), sum, p.cuts)
	}
	if sum.resumes == 0 || sum.reads == 0 {
		t.Error("no client came back, or nothing was read")
	}
}

// G11, G12: the same for payments between actors on different nodes, and for alarms.
func TestG12_NodesCrash(t *testing.T) {
	c, seed := startNodes(t, servePurses+"=1")
	r := rand.New(rand.NewPCG(seed, 200))
	var sum totals
	runPurses(t, c, seed, func(settle func()) {
		for i := range *roundsFlag * 3 {
			if !c.awaitReady() {
				t.Errorf("the nodes are not ready within %v", settling)
				return
			}
			time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
			kinds := others
			if i%3 == 0 {
				kinds = c.ends
			}
			c.fault(r, oneOf(r, kinds), &sum)
			if i%3 == 2 { // else messages are outstanding over more than one fault
				settle()
			}
		}
	})
	t.Logf("%+v", sum)
}

// G12: a message that ends the node of its receiver ends three of them, wherever its sender is,
// and those behind it arrive.
func TestG12_AMessageThatEndsNodes(t *testing.T) {
	if *nodesFlag == 0 {
		t.Skip("it takes minutes: -crash.nodes=3, or make test-cluster")
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := newNodes(t, binary, *nodesFlag, servePurses+"=1")
	for round := range *roundsFlag {
		from, to := fmt.Sprint("from", round), fmt.Sprint("to", round) // on any nodes
		call := func(result any, key, action, id string, args ...any) {
			t.Helper()
			if err := purseCall(c, result, key, action, id, args...); err != nil {
				t.Fatal(err)
			}
		}
		call(nil, from, "pay", "before", to, 5)
		call(nil, from, "poison", "poison", to)
		call(nil, from, "pay", "after", to, 7)
		parked, got := 0, purse{}
		for deadline := time.Now().Add(settling); parked == 0 || got.Balance != 12; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d messages are parked, and the receiver has %d of 12", parked, got.Balance)
			}
			call(&parked, from, "parked", "")
			call(&got, to, "look", "")
		}
		if !c.awaitReady() {
			t.Fatalf("the nodes are not ready within %v", settling)
		}
		deaths := 0
		for _, n := range c.all {
			n.mu.Lock()
			deaths += n.deaths
			n.deaths = 0
			n.mu.Unlock()
		}
		if t.Logf("%d nodes have ended", deaths); deaths != 3 {
			t.Errorf("%d nodes have ended, want 3", deaths)
		}
	}
}

// readRooms reads the rooms of a group, each time from another node, until the function that it
// returns is called, which returns how often. What was acknowledged before a read has to be in it.
// Reads do not wait for those of nodes that are stopped: these are answered when the node
// continues, perhaps after others have taken its actors.
func readRooms(t *testing.T, s system, g *group, r *rand.Rand) (stop func() int) {
	done := make(chan struct{})
	places := make(chan struct{}, 100) // for reads at the same time
	var wait sync.WaitGroup
	var reads atomic.Int64
	wait.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(time.Duration(r.IntN(50)) * time.Millisecond):
			}
			room := fmt.Sprint(g.name, "-", r.IntN(rooms))
			known := g.acknowledged(room)
			select {
			case places <- struct{}{}:
			default:
				continue
			}
			wait.Go(func() {
				defer func() { <-places }()
				begin := time.Now()
				state, err := messages(s.address(), room)
				if err != nil {
					return // of a node that is not there
				}
				reads.Add(1)
				for _, text := range known {
					if !slices.ContainsFunc(state, func(m message) bool { return m.Text == text }) {
						t.Errorf("a read of %s that began at %v and took %v has %d messages, but not %q, which was acknowledged before",
							room, begin.Format("15:04:05.000"), time.Since(begin), len(state), text)
						return
					}
				}
			})
		}
	})
	return func() int {
		close(done)
		wait.Wait()
		return int(reads.Load())
	}
}

// acknowledged returns what clients know to be said in a room.
func (g *group) acknowledged(room string) []string {
	var texts []string
	for _, c := range g.clients {
		if c.chat.key != room {
			continue
		}
		c.mu.Lock()
		for _, call := range c.chat.replies {
			texts = append(texts, call.text)
		}
		c.mu.Unlock()
	}
	return texts
}
