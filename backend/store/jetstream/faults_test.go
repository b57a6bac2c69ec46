package jetstream

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

var faultRounds = flag.Int("jetstream.rounds", 3, "rounds of TestFaults")

// TestFaults kills and stops servers while actors commit. At the end another node takes
// over: everything that was acknowledged is there, once, and each outcome that was unknown
// is one or the other. The journal is not trimmed: a trimmed one would hide what is twice.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("the long form")
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	three, err := startThree()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		for _, p := range three {
			_ = p.stop()
		}
	}()
	for i, p := range three { // so that it has the same port after a restart
		u, err := url.Parse(p.url)
		if err != nil {
			t.Fatal(err)
		}
		if three[i].Client, err = strconv.Atoi(u.Port()); err != nil {
			t.Fatal(err)
		}
	}
	p := backend{url: urlsOf(three), replicas: 3}.newPlace(quiet)
	p.MaxBytes = 1 << 30
	for round := range *faultRounds {
		faultRound(t, r, p, three, round)
	}
}

func faultRound(t *testing.T, r *rand.Rand, p place, three []*process, round int) {
	s := p.takeOver(t)
	s.own.client.timeout = 2 * time.Second // so that outcomes are unknown
	done := make(chan struct{})
	revs := make([]uint64, 16) // acknowledged
	var commits atomic.Int64
	progress := func() { // waits for some commits
		t.Helper()
		for want, begin := commits.Load()+200, time.Now(); commits.Load() < want; time.Sleep(10 * time.Millisecond) {
			if time.Since(begin) > time.Minute || t.Failed() {
				t.Fatalf("round %d: the actors do not go on", round)
			}
		}
	}
	unknown, longest := 0, time.Duration(0)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range revs {
		actor := fmt.Sprintf("r%da%d", round, i)
		wg.Go(func() {
			rev := uint64(1)
			for {
				select {
				case <-done:
					return
				default:
				}
				begin := time.Now()
				errs := s.Commit(context.Background(), []*store.Commit{commitOf(actor, rev)})
				mu.Lock()
				longest = max(longest, time.Since(begin))
				mu.Unlock()
				if errs == nil {
					revs[i] = rev
					rev++
					commits.Add(1)
					continue
				}
				if errors.Is(errs[0], store.ErrConflict) {
					t.Errorf("%s, revision %d: %v", actor, rev, errs[0])
					return
				}
				mu.Lock()
				unknown++
				mu.Unlock()
				for { // as the runtime does
					got, err := s.Load(context.Background(), actor)
					if err == nil || errors.Is(err, store.ErrNotFound) {
						if rev = 1; err == nil {
							rev = got.Rev + 1
							revs[i] = got.Rev
						}
						break
					}
					if errors.Is(err, store.ErrConflict) {
						t.Errorf("Load %s: %v", actor, err)
						return
					}
				}
			}
		})
	}
	victim := three[r.IntN(3)]
	what := r.IntN(3)
	progress() // there is something to lose
	switch what {
	case 0: // killed, and started again
		_ = victim.cmd.Process.Kill()
		_ = victim.stop()
		time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
		restart(t, victim)
	case 1: // all of them
		for _, p := range three {
			_ = p.cmd.Process.Kill()
			_ = p.stop()
		}
		for _, p := range three {
			restart(t, p)
		}
	case 2: // stopped, and it goes on
		_ = victim.cmd.Process.Signal(syscall.SIGSTOP)
		time.Sleep(time.Duration(r.IntN(6000)) * time.Millisecond)
		_ = victim.cmd.Process.Signal(syscall.SIGCONT)
	}
	progress() // it catches up under load
	close(done)
	wg.Wait()
	other := p.takeOver(t)
	for i, rev := range revs {
		if rev > 0 {
			expectRev(t, other, fmt.Sprintf("r%da%d", round, i), rev)
		}
	}
	t.Logf("round %d, fault %d: %d unknown outcomes, longest commit %v, actor 0 at revision %d", round, what, unknown, longest.Round(time.Millisecond), revs[0])
	s.crash()
	other.crash()
}

func restart(t *testing.T, p *process) {
	t.Helper()
	again, err := p.start()
	if err != nil {
		t.Fatal(err)
	}
	*p = *again
}
