package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/cluster/link"
	"github.com/troupe-dev/troupe/backend/store"
)

// world is a simulated cluster.
type world struct {
	*chance
	servers  *fakeServers
	register *fakeRegister
	bus      *fakeBus
	lose     int // one request or answer in lose is lost; 0: none

	mu        sync.Mutex
	processes map[string]*process // that run
	faults    []string
}

// process is a run of a node.
type process struct {
	name   string
	member *member
	store  *fakeStore
	actors *fakeActors
	way    *fakeRegister // to the servers
	bus    *busEnd
	kill   context.CancelFunc
	wait   sync.WaitGroup
}

const (
	simLease  = 3 * time.Second
	simWindow = 20 * time.Second
)

func newWorld(seed uint64) *world {
	w := &world{chance: newChance(seed), lose: 50, processes: map[string]*process{}}
	w.servers = &fakeServers{chance: w.chance, behind: 4, fault: w.fault, journals: map[string]*fakeJournal{}}
	w.register = &fakeRegister{chance: w.chance}
	w.bus = &fakeBus{chance: w.chance, lose: 20, subs: map[*busEnd]map[string]func([]byte){}}
	return w
}

func (w *world) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.faults) < 10 {
		w.faults = append(w.faults, fmt.Sprintf(format, args...))
	}
}

// takeFaults returns the faults, and forgets them.
func (w *world) takeFaults() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	faults := w.faults
	w.faults = nil
	return faults
}

// running returns the processes that run.
func (w *world) running() []*process {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*process
	for _, name := range strings.Split("abcd", "") {
		if p := w.processes[name]; p != nil {
			all = append(all, p)
		}
	}
	return all
}

// process returns the process of a node, or nil if none runs.
func (w *world) process(name string) *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.processes[name]
}

// start starts a process, which runs until it is killed, has left or fails. It is prepared
// before.
func (w *world) start(name string, prepare ...func(*process)) *process {
	ctx, kill := context.WithCancel(context.Background())
	way := &fakeRegister{chance: w.chance, delay: 20 * time.Millisecond, lose: w.lose}
	p := &process{name: name, way: way, bus: &busEnd{bus: w.bus}, actors: newFakeActors(), kill: kill}
	p.store = &fakeStore{servers: w.servers, process: ctx, way: way, publishing: make(slot, 1), deposed: make(chan struct{}), over: true,
		booted: time.Now().Add(-time.Second - w.upTo(time.Hour))}
	o := options{Node: testNode(name, 1), Lease: simLease, Window: simWindow, Logger: slog.New(slog.DiscardHandler)}
	p.member = newMember(o, p.store, p.actors, &registerEnd{w.register, way}, p.bus)
	for _, f := range prepare {
		f(p)
	}
	w.mu.Lock()
	w.processes[name] = p
	w.mu.Unlock()
	p.wait.Go(func() {
		if err := p.member.run(ctx); err != nil && ctx.Err() == nil {
			w.fault("node %s: %v", name, err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.processes[name] == p {
			delete(w.processes, name)
		}
		kill()
	})
	for range 3 {
		p.wait.Go(func() { w.work(ctx, p) })
	}
	return p
}

// stop kills a process, or lets it leave.
func (w *world) stop(p *process, leave bool) {
	if leave {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = p.member.leave(ctx)
	}
	p.kill()
	w.mu.Lock()
	if w.processes[p.name] == p {
		delete(w.processes, p.name)
	}
	w.mu.Unlock()
	p.wait.Wait()
}

// work commits to partitions, and answers from memory.
func (w *world) work(ctx context.Context, p *process) {
	for pause(ctx, w.upTo(200*time.Millisecond)) == nil {
		part := w.intN(24)
		p.actors.turns[part] <- struct{}{}
		if _, ok := p.member.owns(part); ok {
			p.store.mu.Lock()
			value, inc := p.store.values[part], p.store.inc
			p.store.mu.Unlock()
			switch {
			case w.intN(3) == 0:
				if p.store.publish(ctx, inc, part, value+1, false) == nil {
					w.servers.mu.Lock()
					w.servers.acked[part] = max(w.servers.acked[part], value+1)
					w.servers.mu.Unlock()
				}
			case p.store.Valid():
				w.servers.mu.Lock()
				if acked := w.servers.acked[part]; value < acked {
					w.fault("node %s answers %d for partition %d after %d was acknowledged", p.name, value, part, acked)
				}
				w.servers.mu.Unlock()
			}
		}
		<-p.actors.turns[part]
	}
}

// checkOwners checks that a partition has one owner at most, and returns how many have one.
func (w *world) checkOwners() (owned int) {
	var owner [store.Partitions]string
	for _, p := range w.running() {
		if !p.store.Valid() {
			continue
		}
		for part := range owner {
			if _, ok := p.member.owns(part); !ok {
				continue
			}
			if owner[part] != "" {
				w.fault("partition %d belongs to %s and %s", part, owner[part], p.name)
			} else {
				owned++
			}
			owner[part] = p.name
		}
	}
	return owned
}

// trouble does something to a node for a while.
func (w *world) trouble(name string) {
	p := w.process(name)
	if p == nil {
		w.start(name)
		return
	}
	while := w.upTo(9 * time.Second)
	switch w.intN(8) {
	case 0, 1:
		w.stop(p, false)
		_ = pause(context.Background(), w.upTo(6*time.Second))
		w.start(name)
	case 2:
		w.stop(p, true)
		_ = pause(context.Background(), w.upTo(time.Second))
		w.start(name)
	case 3: // as if stopped
		p.way.set(func(way *fakeRegister) { way.cut = true })
		p.bus.cut.Store(true)
		time.Sleep(while)
	case 4: // it does not reach the servers
		p.way.set(func(way *fakeRegister) { way.cut = true })
		time.Sleep(while)
	case 5: // nobody hears it
		p.bus.cut.Store(true)
		time.Sleep(while)
	case 6: // acknowledgements take long, and nobody hears it; then they never come
		p.bus.cut.Store(true)
		p.way.set(func(way *fakeRegister) { way.delay = 1500 * time.Millisecond })
		time.Sleep(while)
		p.way.set(func(way *fakeRegister) { way.cut = true })
		time.Sleep(2 * simLease)
	case 7: // acknowledgements take long
		p.way.set(func(way *fakeRegister) { way.delay = 1500 * time.Millisecond })
		time.Sleep(while)
	}
	p.way.set(func(way *fakeRegister) { way.cut, way.delay = false, 20*time.Millisecond })
	p.bus.cut.Store(false)
}

// simulate lets a cluster have troubles, and returns what promises were broken.
func simulate(seed uint64, troubles int, broken func(*world)) []string {
	w := newWorld(seed)
	if broken != nil {
		broken(w)
	}
	names := strings.Split("abcd", "")
	for _, name := range names {
		w.start(name)
	}
	checking, stop := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() {
		for pause(checking, 10*time.Millisecond) == nil {
			w.checkOwners()
		}
	})
	var troubled sync.WaitGroup
	for _, name := range names[:3] { // d has no trouble of its own
		troubled.Go(func() {
			for range troubles {
				_ = pause(context.Background(), w.upTo(8*time.Second))
				w.trouble(name)
			}
		})
	}
	troubled.Wait()
	for _, p := range w.running() {
		p.way.set(func(way *fakeRegister) { way.lose = 0 })
	}
	time.Sleep(25 * time.Second) // a node may have to wait for the lease of its last run
	if owned := w.checkOwners(); owned != store.Partitions {
		w.fault("only %d partitions have an owner at the end", owned)
	}
	time.Sleep(2 * simWindow)
	w.register.mu.Lock()
	newest := w.register.values[len(w.register.values)-1]
	w.register.mu.Unlock()
	last, err := parseTable(newest)
	if err != nil || len(last.Nodes) != len(w.running()) || len(last.Debts)+len(last.Past) != 0 {
		w.fault("the table was not tidied: %s", newest)
	}
	stop()
	wait.Wait()
	for _, p := range w.running() {
		w.stop(p, w.intN(2) == 0)
	}
	time.Sleep(10 * time.Second) // late writes
	return w.takeFaults()
}

// TestG10_APartitionHasOneOwner simulates crashes, leaving nodes, cuts and slow servers. Every
// moment a partition has at most one node that may act for it, no acknowledged commit is lost,
// and no answer is older than an acknowledged commit.
func TestG10_APartitionHasOneOwner(t *testing.T) {
	runs := 6
	if testing.Short() {
		runs = 2
	}
	for range runs {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) {
			for _, fault := range simulate(seed, 8, nil) {
				t.Errorf("seed %d: %s", seed, fault)
			}
		})
	}
}

// calm starts nodes without bad luck, and waits until they have all partitions.
func calm(t *testing.T, names ...string) *world {
	w := newWorld(1)
	w.servers.behind, w.bus.lose, w.lose = 0, 0, 0
	for _, name := range names {
		w.start(name)
	}
	time.Sleep(10 * time.Second)
	if owned := w.checkOwners(); owned != store.Partitions {
		t.Fatalf("%d partitions have an owner", owned)
	}
	for _, p := range w.running() {
		if table, slot := p.member.table(); len(table.owned(slot)) < store.Partitions/len(names) {
			t.Fatalf("node %s has %d partitions", p.name, len(table.owned(slot)))
		}
		for part := range store.Partitions {
			if owner, self := p.member.Owner(part); owner == 0 || self == 0 || !p.member.Alive(owner) {
				t.Fatalf("node %s takes %d for the owner of partition %d", p.name, owner, part)
			}
		}
	}
	t.Cleanup(func() {
		for _, p := range w.running() {
			w.stop(p, false)
		}
		for _, fault := range w.takeFaults() {
			t.Error(fault)
		}
	})
	return w
}

// without returns how long it takes until all partitions have an owner again.
func (w *world) without(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	for owned := 0; owned != store.Partitions; {
		if time.Since(began) > 20*simLease {
			t.Fatalf("only %d partitions have an owner after %v: %q", owned, time.Since(began), w.takeFaults())
		}
		time.Sleep(5 * time.Millisecond)
		owned = w.checkOwners()
	}
	return time.Since(began)
}

func TestTakeoverTakesALease(t *testing.T) {
	tests := map[string]struct {
		end      func(w *world, p *process)
		min, max time.Duration
	}{
		"killed": {func(w *world, p *process) { w.stop(p, false) }, simLease / 2, simLease + simLease/2},
		"killed, and others learn late of what it did last": {func(w *world, p *process) {
			if err := p.store.Prove(context.Background()); err != nil {
				t.Error(err)
			}
			w.stop(p, false)
			for _, cut := range []bool{true, false} { // as in an election
				for _, other := range w.running() {
					other.way.set(func(way *fakeRegister) { way.cut = cut })
				}
				if cut {
					time.Sleep(simLease)
				}
			}
		}, 0, simLease},
		"cut off": {func(w *world, p *process) {
			p.way.set(func(way *fakeRegister) { way.cut = true })
			p.bus.cut.Store(true)
			time.Sleep(simLease)
		}, 0, simLease / 2},
		"alive, but cannot write": {func(w *world, p *process) {
			p.way.set(func(way *fakeRegister) { way.cut = true })
			time.Sleep(simLease)
		}, 0, simLease + simLease/2}, // perhaps it wrote a message that it does not know of
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := calm(t, "a", "b", "c")
				b, a := w.process("b"), w.process("a").member
				table, dead := b.member.table()
				part := table.owned(dead)[0]
				test.end(w, b)
				took := w.without(t)
				a.Await(t.Context(), part, dead)
				if owner, _ := a.Owner(part); owner == dead || a.Alive(dead) {
					t.Errorf("slot %d still owns partition %d", owner, part)
				}
				t.Logf("%v", took)
				if took < test.min || took > test.max {
					t.Errorf("it took %v until others had its partitions, want %v to %v", took, test.min, test.max)
				}
			})
		})
	}
}

// TestLeavingPausesShortly has a node leave: each of its partitions is without an owner for a
// moment only.
func TestLeavingPausesShortly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := calm(t, "a", "b", "c")
		var wait sync.WaitGroup
		began := time.Now()
		wait.Go(func() { w.stop(w.process("b"), true) })
		var without [store.Partitions]time.Duration
		for done := false; !done; time.Sleep(time.Millisecond) {
			if time.Since(began) > 20*simLease {
				t.Fatal("the node has not left")
			}
			done = w.checkOwners() == store.Partitions && len(w.running()) == 2
			for part := range without {
				owned := false
				for _, p := range w.running() {
					_, ok := p.member.owns(part)
					owned = owned || ok
				}
				if !owned {
					without[part] += time.Millisecond
				}
			}
		}
		wait.Wait()
		longest := slices.Max(without[:])
		t.Logf("it took %v; no partition was without an owner for longer than %v", time.Since(began), longest)
		if longest > time.Second {
			t.Errorf("a partition was without an owner for %v", longest)
		}
	})
}

// TestTheSameNameWaits starts a node again that was killed, and one of a name that is taken.
func TestTheSameNameWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := calm(t, "a")
		w.stop(w.process("a"), false)
		second := w.start("a") // nobody else is there to end its old journal
		time.Sleep(simLease + simLease/2)
		if owned := w.checkOwners(); owned != store.Partitions {
			t.Errorf("%d partitions have an owner after a restart", owned)
		}
		third := w.start("a")
		time.Sleep(6 * simLease)
		if faults := w.takeFaults(); len(faults) != 1 || !strings.Contains(faults[0], "same name") {
			t.Errorf("got %q, want an error for the second node of a name", faults)
		}
		w.stop(third, false)
		w.stop(second, false)
	})
}

// TestG10_BrokenFencesShow breaks what keeps a partition at one owner, so that the simulation is
// known to notice.
func TestG10_BrokenFencesShow(t *testing.T) {
	tests := map[string]func(*world){
		"no seal on takeover":                          func(w *world) { w.servers.noSeal = true },
		"a table without compare-and-set":              func(w *world) { w.register.blind = true },
		"a lease that begins with the acknowledgement": func(w *world) { w.servers.fromAck = true },
		"messages that say they were sent earlier":     func(w *world) { w.servers.early = true },
	}
	for name, broken := range tests {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(20) {
				var faults []string
				synctest.Test(t, func(t *testing.T) { faults = simulate(seed, 4, broken) })
				if len(faults) > 0 {
					return
				}
			}
			t.Error("the simulation did not notice in 20 runs")
		})
	}
}

var _ link.Bus = (*busEnd)(nil)
