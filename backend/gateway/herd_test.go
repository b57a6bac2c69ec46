//go:build unix

package gateway_test

import (
	"context"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

var herd = flag.Int("herd", 300, "clients that come back after a restart, in TestHerd")

// readStore counts what is read of it.
type readStore struct {
	store.Store
	loads, reads atomic.Int32
}

func (s *readStore) Load(ctx context.Context, id string) (*store.Snapshot, error) {
	s.loads.Add(1)
	return s.Store.Load(ctx, id)
}

func (s *readStore) Entries(ctx context.Context, id string, after uint64, limit, maxBytes int) ([]store.Entry, error) {
	s.reads.Add(1)
	return s.Store.Entries(ctx, id, after, limit, maxBytes)
}

// TestHerd: the clients of a server that restarts come back at times that are spread
// evenly, and their return costs the store next to nothing: the actor is loaded once, and
// what they missed is read once, or a few times by thousands. Clients that all come at
// once cost it no more.
//
// go test ./backend/gateway -run Herd -v -herd 10000
func TestHerd(t *testing.T) {
	const missed, bins = 20, 10
	for _, spread := range []bool{true, false} {
		t.Run(fmt.Sprint("spread ", spread), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reads := &readStore{Store: memory.New(memory.Options{})}
				const window = 5 * time.Second
				options := gateway.Options{SpreadRate: float64(*herd) / window.Seconds()}
				e := newEnv(t, gatewayOptions(options), func(e *env) { e.store = reads })
				defer func() { e.stop() }()

				clients := make([]*client, *herd)
				for i := range clients {
					clients[i] = e.dial()
					clients[i].open(1, fmt.Sprint("c", i), `"subs":["said"]`)
				}
				e.settle()
				log := clients[0].logOf(1)
				for _, c := range clients {
					c.take()
				}
				e.restart()
				var delays []time.Duration
				for _, c := range clients {
					for _, m := range c.takeMessages() {
						delays = append(delays, time.Duration(m.DelayMs)*time.Millisecond)
					}
				}
				if len(delays) != *herd {
					t.Fatalf("%d of %d clients got a delay", len(delays), *herd)
				}
				even(t, delays, window, bins)

				for range missed {
					e.say("meanwhile")
				}
				e.settle()
				e.restart() // so that nothing of it is in memory
				reads.loads.Store(0)
				reads.reads.Store(0)
				cpu := cpuTime(t)
				var back sync.WaitGroup
				for i, delay := range delays {
					back.Go(func() {
						if spread {
							time.Sleep(delay)
						}
						c := dialPipe(t, e.h)
						c.open(1, fmt.Sprint("c", i), `"subs":["said"]`, resume(log, 0))
						clients[i] = c
					})
				}
				back.Wait()
				e.clients = clients
				e.settle()
				cpu = cpuTime(t) - cpu
				for i, c := range clients {
					got := c.take()
					if len(got) != 1+1+missed+1 || got[1] != "1 opened 0 resumed" || got[len(got)-1] != fmt.Sprint("1 at ", missed) {
						t.Fatalf("client %d got %q", i, got)
					}
				}
				loads, entries := reads.loads.Load(), reads.reads.Load()
				t.Logf("%d clients: %d loads, %d reads, %s of CPU for each with its client", *herd, loads, entries, cpu/time.Duration(*herd))
				if most := 2 + *herd/200; loads != 1 || int(entries) > most {
					t.Errorf("the store was asked for the actor %d times, and read %d times; want 1 and %d at most", loads, entries, most)
				}
			})
		})
	}
}

// even checks that delays are spread evenly over a window: no part of it has twice
// what it should, and chi-square finds nothing (one in a million by chance).
func even(t *testing.T, delays []time.Duration, window time.Duration, bins int) {
	t.Helper()
	counts := make([]int, bins)
	for _, d := range delays {
		if d < 0 || d > window {
			t.Fatalf("a delay of %s is not within %s", d, window)
		}
		counts[min(bins-1, int(d*time.Duration(bins)/window))]++
	}
	mean, chi2, peak := float64(len(delays))/float64(bins), 0.0, 0
	for _, n := range counts {
		chi2 += (float64(n) - mean) * (float64(n) - mean) / mean
		peak = max(peak, n)
	}
	t.Logf("the peak is %.2f times the mean, chi-square is %.0f with %d degrees of freedom", float64(peak)/mean, chi2, bins-1)
	if chi2 > 46 || float64(peak) > 2*mean {
		t.Errorf("they come back in bins of %v", counts)
	}
}
