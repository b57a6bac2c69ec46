//go:build linux

package crashtest

import (
	"bufio"
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/tool/roundrobin"
)

var leaseFlag = flag.Duration("crash.lease", 2*time.Second, "how long a node may be silent before others take over from it")

// shutdown is how long a node may take to end after SIGTERM.
const shutdown = 20 * time.Second

// nodes is a cluster: processes that are started again whenever they end, a network between
// them, and a proxy in front of them that sends each request to another node.
//
// Nodes listen for each other on addresses 127.x.y.z, each of which is in use once, so that
// tests at the same time do not meet. They know only of proxies to these on 127.0.0.1: what
// one node tells another of a third one's address is 127.0.0.1, too, and leads nowhere.
type nodes struct {
	t     *testing.T
	all   []*node
	paths map[*proxy][2]int // from a node to another
	front *httptest.Server
	ends  []fault // faults that end processes
}

// node is a process of a cluster.
type node struct {
	t      *testing.T
	binary string
	name   string
	debug  string // where it answers to operators
	args   []string
	disk   *disk // nil: where the process may not mount one
	log    lockedBuffer
	wait   sync.WaitGroup
	cancel context.CancelFunc

	mu      sync.Mutex
	env     []string // of its next process
	cmd     *exec.Cmd
	addr    string         // empty until it listens
	ending  syscall.Signal // that it got; 0: none
	told    time.Time      // when
	away    time.Duration  // how long it stays away after its end
	journal int            // as of server
	starts  int
	failed  int       // how many processes have ended with status 1
	mayFail int       // processes up to this one may: the disk was full
	dark    bool      // the disk has lost its power
	begun   time.Time // the newest process
	deaths  int       // of poison
}

// startNodes starts the nodes of a long test, which this binary serves, and returns the seed of the test's
// choices. It skips the test in the short form.
func startNodes(t *testing.T, env ...string) (c *nodes, seed uint64) {
	t.Helper()
	if *nodesFlag == 0 {
		t.Skip("it takes minutes: -crash.nodes=3, or make test-cluster")
	}
	seed = cmp.Or(*seedFlag, rand.Uint64()|1)
	t.Logf("to repeat its choices: -crash.seed=%d", seed)
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return newNodes(t, binary, *nodesFlag, env...), seed
}

// newNodes starts a cluster of n nodes and waits until they are ready.
func newNodes(t *testing.T, binary string, n int, env ...string) *nodes {
	c := &nodes{t: t, paths: map[*proxy][2]int{}, ends: []fault{killOne, killOne, killOne, killTwo, killAll}}
	network := newNetwork()
	route := func(i int) string { return fmt.Sprint(network, i+1, ":6222") }
	dir := t.TempDir()
	var noDisk error
	for i := range n {
		var peers []string
		for j := range n {
			if j == i {
				peers = append(peers, route(i))
				continue
			}
			p := newProxy(t, func() string { return route(j) })
			c.paths[p] = [2]int{i, j}
			peers = append(peers, p.listener.Addr().String())
		}
		name := fmt.Sprint("n", i+1)
		disk, err := newDisk(t, filepath.Join(dir, name))
		if err != nil {
			noDisk = err
		}
		debug := fmt.Sprint(network, i+1, ":6060")
		env := append([]string{"TROUPE_LOG=warn", "TROUPE_DEBUG_ADDR=" + debug}, env...)
		c.all = append(c.all, &node{t: t, binary: binary, name: name, debug: debug, env: env, disk: disk, args: []string{
			"-addr", fmt.Sprint(network, i+1, ":0"), "-data", dir + "/" + name, "-node", name, "-cluster", "embedded", "-cluster-secret", "a secret of the test",
			"-cluster-listen", route(i), "-cluster-peers", strings.Join(peers, ","), "-cluster-lease", leaseFlag.String(),
		}})
	}
	if noDisk == nil {
		c.ends = append(c.ends, powerOfOne, powerOfAll, fullDisk)
	} else {
		t.Logf("no disk is full, and none loses its power: %v", noDisk)
	}
	c.front = httptest.NewUnstartedServer(roundrobin.New(c.addresses))
	c.front.Config.ErrorLog = log.New(io.Discard, "", 0) // of sockets whose node has ended
	c.front.Start()
	t.Cleanup(c.front.CloseClientConnections)
	t.Cleanup(c.close)
	for _, n := range c.all {
		ctx, cancel := context.WithCancel(context.Background())
		n.cancel = cancel
		n.wait.Go(func() { n.run(ctx) })
	}
	if !c.awaitReady() {
		t.Fatalf("the nodes are not ready within %v", settling)
	}
	return c
}

func (c *nodes) close() {
	for _, n := range c.all {
		n.cancel()
		n.pause(false)
		n.signal(syscall.SIGKILL, 0)
	}
	for i, n := range c.all {
		n.wait.Wait()
		if c.t.Failed() {
			c.t.Logf("node %d, which was started %d times, logged:\n%s", i+1, n.starts, n.log.String())
		}
	}
}

// run runs one process after the other until ctx ends.
func (n *node) run(ctx context.Context) {
	for ctx.Err() == nil {
		n.process(ctx)
		n.mu.Lock()
		away := n.away
		n.mu.Unlock()
		select {
		case <-time.After(away):
		case <-ctx.Done():
		}
	}
}

// process is the life of one process.
func (n *node) process(ctx context.Context) {
	cmd := exec.Command(n.binary, n.args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = &n.log
	stdout, err := cmd.StdoutPipe()
	n.mu.Lock()
	cmd.Env = append(append(os.Environ(), "GOTRACEBACK=all"), n.env...)
	if n.journal > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprint("TROUPE_JOURNAL_BYTES=", n.journal))
	}
	if err == nil && n.dark {
		err, n.dark = n.disk.restorePower(), false
	}
	if err == nil && ctx.Err() == nil {
		err = cmd.Start()
	}
	if err != nil || ctx.Err() != nil {
		n.mu.Unlock()
		if err != nil {
			n.t.Error(err)
			<-ctx.Done()
		}
		return
	}
	n.cmd, n.addr, n.ending, n.away = cmd, "", 0, 0
	n.starts, n.begun = n.starts+1, time.Now()
	n.mu.Unlock()
	fmt.Fprintf(&n.log, "--- %s: start\n", time.Now().Format("15:04:05.000"))
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if found := saysAddress.FindStringSubmatch(lines.Text()); found != nil {
			n.mu.Lock()
			n.addr = found[1]
			n.mu.Unlock()
		}
	}
	err = cmd.Wait()
	fmt.Fprintf(&n.log, "--- %s: end: %v\n", time.Now().Format("15:04:05.000"), err)
	n.mu.Lock()
	defer n.mu.Unlock()
	switch took := time.Since(n.told).Round(time.Millisecond); {
	case n.starts <= n.mayFail && cmd.ProcessState.ExitCode() == 1:
		n.failed++
	case n.ending == 0 && cmd.ProcessState.ExitCode() == poisoned:
		n.deaths++
	case n.ending == 0:
		n.t.Errorf("a node ended by itself: %v", err)
	case n.ending == syscall.SIGTERM && (err != nil || took > shutdown):
		n.t.Errorf("SIGTERM: got %v after %v, want exit status 0 within %v", err, took, shutdown)
	}
	n.cmd, n.addr = nil, ""
}

// signal ends the process, which stays away for a while. It reports false if there is none.
func (n *node) signal(s syscall.Signal, away time.Duration) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil {
		return false
	}
	n.ending, n.told, n.away = s, time.Now(), away
	_ = n.cmd.Process.Signal(s) // an error means that it has ended
	return true
}

// pause stops the process, or lets it continue.
func (n *node) pause(stop bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := syscall.SIGCONT
	if stop {
		s = syscall.SIGSTOP
	}
	if n.cmd != nil {
		_ = n.cmd.Process.Signal(s) // an error means that it has ended
	}
}

func (n *node) address() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addr
}

// addresses returns where nodes listen, also those that are not ready or stopped.
func (c *nodes) addresses() []string {
	var all []string
	for _, n := range c.all {
		if addr := n.address(); addr != "" {
			all = append(all, addr)
		}
	}
	return all
}

func (c *nodes) address() string { return c.front.Listener.Addr().String() }

// awaitReady waits until all nodes are ready.
func (c *nodes) awaitReady() bool {
	deadline := time.Now().Add(settling)
	for _, n := range c.all {
		for !ready(n.address()) {
			if time.Now().After(deadline) || c.t.Failed() {
				return false
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return true
}

func ready(addr string) bool {
	if addr == "" {
		return false
	}
	response, err := impatient.Get("http://" + addr + "/readyz")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// vary gives the nodes a small journal in half of the rounds, from their next starts on.
func (c *nodes) vary(r *rand.Rand) {
	journal := r.IntN(2) * smallJournal
	for _, n := range c.all {
		n.mu.Lock()
		n.journal = journal
		n.mu.Unlock()
	}
}

// crash does something to one node or several, or to the network between them.
func (c *nodes) crash(g *group, r *rand.Rand, sum *totals) {
	c.t.Helper()
	if r.IntN(2) == 0 && !c.awaitReady() { // else in the middle of what the one before has caused
		c.t.Errorf("the nodes are not ready within %v", settling)
		return
	}
	g.moment(r)
	c.fault(r, oneOf(r, slices.Concat(c.ends, others)), sum)
}

// fault is something that a test does to nodes.
type fault int

const (
	killOne    fault = iota
	killTwo          // at once
	killAll          // at once
	powerOfOne       // its disk forgets what was not synced
	powerOfAll       // at once
	fullDisk         // of one, which ends
	pauseOne         // SIGSTOP, SIGCONT
	endOne           // SIGTERM
	cutRoutes        // or hold back what is on them
)

// others are faults after which no process ends, or in an orderly way.
var others = []fault{pauseOne, pauseOne, endOne, cutRoutes, cutRoutes}

func oneOf(r *rand.Rand, faults []fault) fault { return faults[r.IntN(len(faults))] }

// fault does one thing.
func (c *nodes) fault(r *rand.Rand, kind fault, sum *totals) {
	some := r.Perm(len(c.all))
	span := func(most time.Duration) time.Duration { return time.Duration(r.Int64N(int64(most))) }
	what, begin := "", time.Now()
	switch kind {
	case killOne:
		what, some = "kill", some[:1]
		sum.kills += c.end(syscall.SIGKILL, some, span(2**leaseFlag))
	case killTwo:
		what, some = "kill", some[:2]
		sum.kills += c.end(syscall.SIGKILL, some, span(2**leaseFlag))
	case killAll:
		what = "kill"
		sum.kills += c.end(syscall.SIGKILL, some, span(*leaseFlag))
	case powerOfOne:
		what, some = "cut the power of", some[:1]
		sum.power += c.power(some, span(2**leaseFlag))
	case powerOfAll:
		what = "cut the power of"
		sum.power += c.power(some, span(*leaseFlag))
	case fullDisk:
		what, some = "fill the disks of", some[:1]
		sum.full++
		c.fill(c.all[some[0]], r.Int64N(1<<20), span(4**leaseFlag))
	case pauseOne:
		what, some = "stop and continue", some[:1]
		sum.pauses++
		n := c.all[some[0]]
		n.pause(true)
		time.Sleep(span(4 * *leaseFlag)) // in which others may have gone on for a while
		n.pause(false)
	case endOne:
		what, some = "SIGTERM", some[:1]
		sum.stops += c.end(syscall.SIGTERM, some, span(*leaseFlag))
	case cutRoutes:
		cut := r.IntN(2) == 0
		if r.IntN(2) == 0 {
			some = some[:1] // isolated, else two cannot reach each other
		} else {
			some = some[:2]
		}
		what = fmt.Sprint("cut routes (held back: ", !cut, ") of")
		sum.cuts++
		c.routes(some, cut, true)
		time.Sleep(span(3 * *leaseFlag))
		c.routes(some, cut, false)
	}
	c.t.Logf("%s: %s nodes %v for %v", begin.Format("15:04:05.000"), what, some, time.Since(begin).Round(time.Millisecond))
}

// end ends the processes of some nodes, and returns of how many.
func (c *nodes) end(s syscall.Signal, some []int, away time.Duration) (ended int) {
	for _, i := range some {
		if c.all[i].signal(s, away) {
			ended++
		}
	}
	return ended
}

// routes breaks the network between one node and all others, or between two, or mends it.
func (c *nodes) routes(some []int, cut, broken bool) {
	for p, path := range c.paths {
		matches := 0
		for _, i := range some {
			if i == path[0] || i == path[1] {
				matches++
			}
		}
		if matches < len(some) {
			continue
		}
		if cut {
			p.setDown(broken)
		} else {
			p.freeze(broken)
		}
	}
}

// restart kills all nodes at once.
func (c *nodes) restart(sum *totals) {
	some := make([]int, len(c.all))
	for i := range some {
		some[i] = i
	}
	sum.kills += c.end(syscall.SIGKILL, some, 0)
	for _, n := range c.all { // else an old one could still be ready
		for n.address() != "" {
			time.Sleep(time.Millisecond)
		}
	}
	if !c.awaitReady() {
		c.t.Errorf("after all nodes were killed, they are not ready within %v", settling)
	}
}
