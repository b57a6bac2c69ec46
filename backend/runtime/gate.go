package runtime

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/store"
)

// gate is an actor's output gate: outputs enter the log in the order of turns
// and become visible only when every commit before them is durable. Turns do not
// wait for it, within bounds. Its owner puts; the committer calls committed.
type gate struct {
	log        *host.LogWriter
	committer  *committer
	maxCommits int
	maxBytes   int
	group      [1]*store.Commit // the owner's, for a store that is immediate

	mu      sync.Mutex // guards the fields below
	changed sync.Cond  // of mu: a commit has come back
	pending []pendingCommit
	bytes   int             // of pending
	failed  error           // of the first commit that failed; nothing is released any more until reset
	lost    []pendingCommit // that one and those after it
	onFail  func()
}

type pendingCommit struct {
	rev   uint64
	start host.Pos // where its outputs begin
	bytes int      // of its outputs, and of those without a commit that wait behind it
	state int      // bytes of the state in it
}

func newGate(log *host.LogWriter, c *committer, onFail func()) *gate {
	g := &gate{
		log: log, committer: c, onFail: onFail,
		maxCommits: definition.Defaults.MaxRunAhead, maxBytes: definition.Defaults.MaxRunAheadBytes,
	}
	g.changed.L = &g.mu
	return g
}

// put appends the outputs of a turn to the log, and its commit, if it has one,
// to the committer's queue.
func (g *gate) put(outputs []*host.Output, commit *store.Commit) {
	size := 0
	for _, o := range outputs {
		size += o.Size()
	}
	g.mu.Lock()
	end := g.log.Put(outputs...)
	n := len(g.pending)
	switch {
	case commit != nil:
		state := len(commit.State)
		for i := range commit.Edits {
			state += len(commit.Edits[i].Put)
		}
		g.pending = append(g.pending, pendingCommit{rev: commit.Rev, start: end - host.Pos(len(outputs)), state: state})
	case n == 0 && g.failed == nil:
		g.mu.Unlock()
		g.log.Release(end)
		return
	case n == 0:
		g.mu.Unlock()
		return // the reset that is on its way drops them
	}
	p := &g.pending[len(g.pending)-1]
	p.bytes += size
	g.bytes += size
	g.committer.waiting.Add(int64(size))
	if commit == nil {
		g.mu.Unlock()
		return
	}
	// A state does not count for the actor's own bound: a large one could not run
	// ahead at all.
	g.committer.waiting.Add(int64(p.state))
	g.mu.Unlock()
	g.committer.submit(g, commit)
}

// committed takes the outcome of the oldest pending commit.
func (g *gate) committed(err error) {
	g.mu.Lock()
	p := g.pending[0]
	if len(g.pending) == 1 {
		g.pending = g.pending[:0] // the next one costs no memory
	} else {
		g.pending = g.pending[1:]
	}
	g.bytes -= p.bytes
	g.committer.waiting.Add(-int64(p.bytes + p.state))
	g.committer.stats.commit(err)
	first := err != nil && g.failed == nil
	if first {
		g.failed = err
	}
	failed := g.failed != nil
	if failed {
		g.lost = append(g.lost, p)
	}
	to := g.log.End()
	if len(g.pending) > 0 {
		to = g.pending[0].start
	}
	g.changed.Broadcast()
	g.mu.Unlock()
	if first {
		g.onFail()
	}
	if !failed {
		g.log.Release(to)
	}
}

// room waits until turns may run further ahead of the store, and returns what
// failed meanwhile.
func (g *gate) room() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.failed == nil && len(g.pending) > 0 &&
		(len(g.pending) >= g.maxCommits || g.bytes >= g.maxBytes || g.committer.waiting.Load() >= maxRunAheadTotal) {
		g.changed.Wait()
	}
	return g.failed
}

// await waits until every commit has come back, and returns what failed.
func (g *gate) await() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.pending) > 0 {
		g.changed.Wait()
	}
	return g.failed
}

// broken reports whether a commit has failed, so that those which follow it
// must not be made.
func (g *gate) broken() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failed != nil
}

// reset opens a gate again for a new instance: it lets out what turned out to
// be durable after all, up to the revision durable, and drops the rest. The gate
// must have no pending commits (await).
func (g *gate) reset(durable uint64) (dropped []*host.Output) {
	g.mu.Lock()
	keep := g.log.End()
	for _, p := range g.lost {
		if p.rev > durable {
			keep = p.start
			break
		}
	}
	g.failed, g.lost = nil, nil
	g.mu.Unlock()
	g.log.Release(keep)
	return g.log.Truncate()
}

// committer makes commits durable in groups: while one group is being written,
// the next one collects the commits of all actors.
type committer struct {
	store   store.Store
	stats   *stats
	waiting atomic.Int64 // bytes of all gates' pending commits, with their states

	mu      sync.Mutex // guards the fields below
	queue   []job
	running bool

	next time.Time // when the next group may start; run's
}

type job struct {
	gate   *gate
	commit *store.Commit
}

// submit makes a commit durable and tells its gate. If the store is immediate it
// does so before it returns.
func (c *committer) submit(g *gate, commit *store.Commit) {
	if c.store.Immediate() {
		g.group[0] = commit
		var err error
		if errs := c.store.Commit(context.Background(), g.group[:]); errs != nil {
			err = errs[0]
		}
		g.group[0] = nil
		g.committed(err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, job{g, commit})
	if !c.running {
		c.running = true
		go c.run()
	}
}

// run writes groups until there is nothing left. Every commit that it takes
// comes back through its gate, and whoever closes a node waits for the gates.
func (c *committer) run() {
	for c.more() {
		// Commits that follow a group wait a moment, a lone one goes at once: larger
		// groups make a commit cheaper.
		time.Sleep(time.Until(c.next))
		for range 3 {
			runtime.Gosched() // let others that are ready add to the group: it makes groups three times as large
		}
		c.mu.Lock()
		jobs := c.queue
		c.queue = nil
		c.mu.Unlock()
		if c.next = (time.Time{}); len(jobs) > 1 {
			c.next = time.Now().Add(groupSpacing)
		}
		c.write(jobs)
	}
}

// more reports whether there is something to write; otherwise run ends.
func (c *committer) more() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = len(c.queue) > 0
	return c.running
}

// write makes a group of jobs durable and tells their gates.
func (c *committer) write(jobs []job) {
	group := make([]*store.Commit, 0, len(jobs))
	for _, j := range jobs {
		if !j.gate.broken() {
			group = append(group, j.commit)
		}
	}
	var errs []error
	if len(group) > 0 {
		start := time.Now()
		errs = c.store.Commit(context.Background(), group)
		c.stats.saveTime.Observe(time.Since(start))
	}
	next := 0
	for _, j := range jobs {
		err := error(store.ErrConflict) // it follows one that failed
		if next < len(group) && group[next] == j.commit {
			err = nil
			if errs != nil {
				err = errs[next]
			}
			next++
		}
		j.gate.committed(err)
	}
}
