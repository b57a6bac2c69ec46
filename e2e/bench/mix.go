package main

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The comparison "mix": the servers of all peers run at the same time, and load goes to
// one of them at a time, in short slices. A round is a slice for each peer, in random
// order. A disturbance longer than a round affects all peers alike, so ratios within a
// round are steady even if figures are not. Two processes of one program differ by some
// percent, so servers are started several times.

// mixOptions are the options of a mix.
type mixOptions struct {
	slices int           // per peer
	starts int           // of the servers: each serves a part of the slices
	length time.Duration // of a slice
	bases  []string      // peers that the others are compared with
	seed   uint64        // of the order
	cpus   int           // of the servers
}

// settle is how long a peer gets load before its slice, to warm the CPU's caches.
const settle = 20 * time.Millisecond

// mixes are the scenarios that can be mixed, and the unit of work in their figures.
var mixes = map[string]struct {
	one, many string
	join      func(*mixed, Params) error
}{
	"rpc":    {"action", "actions", (*mixed).joinCalls},
	"fanout": {"delivery", "deliveries", (*mixed).joinFanout},
}

// mixed is a peer of a mix: its server, and a closed loop that can be stopped.
type mixed struct {
	p    Peer
	s    *Server
	l    *Loop
	pids []int

	fill   func() error // sends what may be in flight
	done   func() int64 // units of work so far
	left   func() int64 // units still expected
	active bool         // calls follow on replies
	err    error

	*tally
}

// tally has the measurements of a peer.
type tally struct {
	us          []float64 // CPU per unit, by slice
	rates       []float64 // units per second, by slice
	cpu, loaded float64   // CPU in µs: all of it after warming up, and that while it had load
}

// mix measures the peers in one of mixes. The seed determines the order.
func mix(scenario string, peers []Peer, o mixOptions, pr Params) (rs []Result, err error) {
	kind, ok := mixes[scenario]
	if !ok {
		return nil, fmt.Errorf("mix: no scenario %q", scenario)
	}
	for _, b := range o.bases {
		if !slices.ContainsFunc(peers, func(p Peer) bool { return p.Name == b }) {
			return nil, fmt.Errorf("mix: the base %q is not among the peers", b)
		}
	}
	if o.slices < 1 || o.starts < 1 || o.length <= 0 {
		return nil, errors.New("mix: needs at least one slice, of some length, and one start")
	}
	fmt.Fprintf(os.Stderr, "mix-%s: %d slices of %v for each of %d peers, -seed %d\n", scenario, o.slices, o.length, len(peers), o.seed)
	tallies := make([]*tally, len(peers))
	for i := range peers {
		tallies[i] = &tally{}
	}
	for part := range slices.Chunk(orders(o.seed, o.slices, len(peers)), (o.slices+o.starts-1)/o.starts) {
		if err := mixPart(kind.join, peers, tallies, part, o, pr); err != nil {
			return nil, err
		}
	}
	for i, t := range tallies {
		r := Result{Peer: peers[i].Name, Scenario: "mix-" + scenario, CPUs: o.cpus, Round: 1, M: map[string]float64{
			"seed": float64(o.seed), "slices": float64(o.slices), "slice_ms": float64(o.length) / 1e6, "starts": float64(o.starts),
			"server_cpu_us_per_" + kind.one:          percentile(t.us, .5),
			"server_cpu_us_per_" + kind.one + "_p10": percentile(t.us, .1),
			kind.many + "_per_s":                     percentile(t.rates, .5),
			"cpu_without_load_pct":                   100 * max(0, 1-t.loaded/t.cpu),
		}}
		for j, b := range tallies {
			if j != i && slices.Contains(o.bases, peers[j].Name) {
				compare(r.M, peers[j].Name, t.us, b.us)
			}
		}
		rs = append(rs, r)
	}
	return rs, nil
}

// mixPart starts the servers, measures some rounds and stops them.
func mixPart(join func(*mixed, Params) error, peers []Peer, tallies []*tally, rounds [][]int, o mixOptions, pr Params) error {
	all := make([]*mixed, len(peers))
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, i := range rounds[0] { // the order of starting may matter, too
		p := peers[i]
		l, err := NewLoop(p.Dialect)
		if err != nil {
			return err
		}
		defer l.Close()
		s, err := startServer(p, o.cpus)
		if err != nil {
			return fmt.Errorf("%s: start: %w", p.Name, err)
		}
		defer wg.Go(s.Stop)
		all[i] = &mixed{p: p, s: s, l: l, tally: tallies[i]}
	}
	for _, i := range rounds[0] {
		m := all[i]
		if err := m.s.ready(m.p); err != nil {
			return fmt.Errorf("%s: %w", m.p.Name, err)
		}
		if err := join(m, pr); err != nil {
			return fmt.Errorf("%s: %w", m.p.Name, err)
		}
		if _, err := m.slice(pr.Warm); err != nil {
			return err
		}
	}
	for _, m := range all {
		m.pids = m.s.pids()
		cpu, err := cpuTime(m.pids)
		if err != nil {
			return fmt.Errorf("%s: %w", m.p.Name, err)
		}
		m.cpu -= cpu
	}
	for _, order := range rounds {
		for _, i := range order {
			if err := all[i].measure(o.length); err != nil {
				return err
			}
		}
	}
	for _, m := range all {
		cpu, err := cpuTime(m.pids)
		if err != nil {
			return fmt.Errorf("%s: %w", m.p.Name, err)
		}
		m.cpu += cpu
	}
	return nil
}

// joinCalls: as in rpc, each connection alone in its room, one call at a time.
func (m *mixed) joinCalls(pr Params) error {
	conns, err := joinAll(m.l, m.p, pr.RPCConns, own, pr)
	if err != nil {
		return err
	}
	var sent, done int64
	call := func(c *Conn) {
		sent++
		m.err = errors.Join(m.err, m.p.call(c))
	}
	m.l.OnItem = func(c *Conn, k Kind, id uint32, body []byte) {
		switch {
		case k == Failed:
			m.err = fmt.Errorf("a call failed: %.200s", body)
		case k == Reply && id != c.CallID:
			m.err = fmt.Errorf("reply %d to call %d", id, c.CallID)
		case k == Reply:
			if done++; m.active {
				call(c)
			}
		}
	}
	m.done = func() int64 { return done }
	m.left = func() int64 { return sent - done }
	m.fill = func() error {
		if m.left() == 0 {
			for _, c := range conns {
				call(c)
			}
		}
		return m.err
	}
	return nil
}

// joinFanout: as in fanout, one room, a window of messages not yet delivered to everyone.
func (m *mixed) joinFanout(pr Params) error {
	conns, err := joinAll(m.l, m.p, pr.N, general, pr)
	if err != nil {
		return err
	}
	a := &audience{p: m.p, l: m.l, conns: conns, reach: int64(pr.N), onEvent: func(*Conn, []byte) {}}
	if err := a.probe(); err != nil {
		return err
	}
	m.done = func() int64 { return a.got }
	m.left = func() int64 { return a.sent*(a.reach+1) - a.got - a.replies }
	m.fill = func() error {
		if a.failed > 0 {
			return errors.New("a call failed")
		}
		return a.fill(pr.Window)
	}
	return nil
}

// work is what was done in a slice.
type work struct{ units, us, seconds float64 }

// slice gives the peer load for a time, and then waits until all has come.
func (m *mixed) slice(d time.Duration) (w work, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", m.p.Name, err)
		}
	}()
	before, err := cpuTime(m.pids)
	if err != nil {
		return w, err
	}
	done, start := m.done(), time.Now()
	for m.active = true; time.Since(start) < d; {
		if err := errors.Join(m.fill(), m.poll()); err != nil {
			return w, err
		}
	}
	m.active = false
	last, progress := int64(0), time.Now()
	for m.left() > 0 {
		if err := m.poll(); err != nil {
			return w, err
		}
		if left := m.left(); left != last {
			last, progress = left, time.Now()
		} else if time.Since(progress) > 5*time.Second {
			return w, fmt.Errorf("stalled: %d replies or deliveries are missing", left)
		}
	}
	if m.left() < 0 {
		return w, fmt.Errorf("%d replies or deliveries too many", -m.left())
	}
	after, err := cpuTime(m.pids)
	w = work{float64(m.done() - done), after - before, time.Since(start).Seconds()}
	m.loaded += w.us
	return w, err
}

func (m *mixed) poll() error {
	if m.l.Poll(5 * time.Millisecond); m.l.Lost > 0 {
		return fmt.Errorf("%d connections closed by the server: %w", m.l.Lost, m.l.LastEr)
	}
	return m.err
}

// measure is the peer's part of a round.
func (m *mixed) measure(d time.Duration) error {
	if _, err := m.slice(settle); err != nil {
		return err
	}
	w, err := m.slice(d)
	if err != nil {
		return err
	}
	if w.units == 0 {
		return fmt.Errorf("%s: nothing was done in a slice", m.p.Name)
	}
	m.us = append(m.us, w.us/w.units)
	m.rates = append(m.rates, w.units/w.seconds)
	return nil
}

// cpuTime is the CPU time of processes in µs, user and system. Their clocks are finer
// than /proc/PID/stat, which counts in 10 ms.
func cpuTime(pids []int) (us float64, err error) {
	for _, pid := range pids {
		const sched = 2 // CPUCLOCK_SCHED of the kernel's posix-timers
		var t unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|sched), &t); err != nil {
			return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
		}
		us += float64(t.Nano()) / 1e3
	}
	return us, nil
}

// orders are the orders of n peers in so many rounds.
func orders(seed uint64, rounds, n int) [][]int {
	rng := rand.New(rand.NewPCG(seed, 0))
	all := make([][]int, rounds)
	for i := range all {
		all[i] = rng.Perm(n)
	}
	return all
}

// compare adds the ratios of a peer's figures to those of a base in the same rounds:
// their median and its 95 % interval, and the ratio of the 10th percentiles, which are
// what both cost when little disturbs them.
func compare(m map[string]float64, base string, us, baseUS []float64) {
	ratios := make([]float64, len(us))
	for i := range us {
		ratios[i] = us[i] / baseUS[i]
	}
	key := "ratio_to_" + base
	m[key] = percentile(ratios, .5)
	m[key+"_low"], m[key+"_high"] = interval(ratios)
	m["ratio_p10_to_"+base] = percentile(us, .1) / percentile(baseUS, .1)
}

// percentile is the value below which a part p of v lies, between neighbours in
// proportion. v is not empty.
func percentile(v []float64, p float64) float64 {
	v = slices.Sorted(slices.Values(v))
	at := p * float64(len(v)-1)
	i := int(at)
	if i == len(v)-1 {
		return v[i]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}

// interval is the 95 % confidence interval of the median of v, by rank: it supposes
// nothing about how values are distributed. For fewer than six values it is their range,
// and less certain.
func interval(v []float64) (low, high float64) {
	v = slices.Sorted(slices.Values(v))
	n := float64(len(v))
	rank := int(math.Floor((n - 1.96*math.Sqrt(n)) / 2)) // of a binomial distribution, so many are below
	rank = max(rank, 1)
	return v[rank-1], v[len(v)-rank]
}
