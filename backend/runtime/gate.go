package runtime

import (
	"context"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/store"
)

// gate is an actor's output gate: outputs enter the log in the order of turns and become
// visible only when every commit before them is durable. Within limits, turns do not wait
// for it. The actor calls put and tell; the committer calls committed.
//
// Outputs without a commit, such as the answer to a read, need a proof that this process
// still owns the actor (G10): the store's lease is valid, a later commit succeeds, or
// store.Owner.Prove does.
type gate struct {
	log        *host.LogWriter
	committer  *committer
	maxCommits int
	maxBytes   int
	group      [1]*store.Commit // the actor goroutine's, for an immediate store
	wake       bool             // the actor goroutine's: the next commit is reported to onDurable

	mu      sync.Mutex // guards the fields below
	changed sync.Cond  // of mu: a commit has finished
	pending []pendingCommit
	bytes   int             // of pending
	failed  error           // of the first commit that failed; nothing is released until reset
	deposed bool            // another node owns the actor: nothing without a commit is released any more
	dropped []pendingCommit // the failed commit and those after it
	onFail  func()

	onDurable func() // called when a commit with wake is durable
}

// pendingCommit is a commit that is not durable yet, or a proof for outputs without one.
type pendingCommit struct {
	rev      uint64   // ofProof: it is a proof
	start    host.Pos // where its outputs begin
	end      host.Pos // where those without a commit begin that came later
	bytes    int      // of its outputs, and of the later ones
	unproven int      // bytes of the later ones for which it is no proof; it may have been on its way before them
	state    int      // bytes of the state, the items and the messages in it
	wake     bool
}

const ofProof = math.MaxUint64 // above what is durable, so that a reset drops the outputs

func newGate(log *host.LogWriter, c *committer, onFail, onDurable func()) *gate {
	g := &gate{
		log: log, committer: c, onFail: onFail, onDurable: onDurable,
		maxCommits: definition.Defaults.MaxRunAhead, maxBytes: definition.Defaults.MaxRunAheadBytes,
	}
	g.changed.L = &g.mu
	return g
}

// put appends the outputs of a turn to the log, and its commit, if it has one,
// to the committer's queue.
func (g *gate) put(outputs []*host.Output, commit *store.Commit) { g.add(outputs, commit, true) }

// tell is put for outputs that say nothing about the actor's state: they need no proof.
func (g *gate) tell(outputs []*host.Output) { g.add(outputs, nil, false) }

func (g *gate) add(outputs []*host.Output, commit *store.Commit, stateful bool) {
	size := 0
	for _, o := range outputs {
		size += o.Size()
	}
	g.mu.Lock()
	end := g.log.Put(outputs...)
	n := len(g.pending)
	own := true // the entry is this put's
	switch {
	case commit != nil:
		state := len(commit.State)
		for i := range commit.Edits {
			state += len(commit.Edits[i].Put)
		}
		for i := range commit.Items {
			state += len(commit.Items[i].Key) + len(commit.Items[i].Value)
		}
		for i := range commit.Messages {
			state += len(commit.Messages[i].Data)
		}
		g.pending = append(g.pending, pendingCommit{rev: commit.Rev, start: end - host.Pos(len(outputs)), end: end, state: state, wake: g.wake})
		g.wake = false
	case n > 0:
		own = false
	case g.failed != nil:
		g.mu.Unlock()
		return // the pending reset drops them
	case stateful && g.deposed:
		g.denyLocked(end - host.Pos(len(outputs)))
		g.mu.Unlock()
		g.onFail()
		return
	case !stateful || g.committer.valid():
		g.mu.Unlock()
		g.log.Release(end)
		return
	default:
		g.pending = append(g.pending, pendingCommit{rev: ofProof, start: end - host.Pos(len(outputs)), end: end})
	}
	p := &g.pending[len(g.pending)-1]
	p.bytes += size
	if !own && stateful {
		p.unproven += size
	}
	g.bytes += size
	g.committer.waiting.Add(int64(size))
	if !own {
		g.mu.Unlock()
		return
	}
	// A state does not count towards the actor's own limit: an actor with a large one
	// could not run ahead at all.
	g.committer.waiting.Add(int64(p.state))
	g.mu.Unlock()
	g.committer.submit(g, commit)
}

// committed takes the outcome of the oldest pending commit or proof.
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
	if p.rev != ofProof {
		g.committer.stats.commit(err)
	}
	if err == nil && g.deposed && p.rev == ofProof {
		err = store.ErrConflict // it proves what the node owns by now, which others had meanwhile
	}
	first := err != nil && g.failed == nil
	if first {
		g.failed = err
	}
	failed := g.failed != nil
	if failed {
		g.dropped = append(g.dropped, p)
	}
	to := g.log.End()
	switch {
	case failed || p.unproven == 0:
	case g.deposed && len(g.pending) == 0:
		g.denyLocked(p.end)
		to, first = p.end, true
	case g.deposed || !g.committer.valid():
		g.proveLater(p.end, p.unproven)
	}
	if len(g.pending) > 0 {
		to = min(to, g.pending[0].start)
	}
	g.changed.Broadcast()
	g.mu.Unlock()
	if first {
		g.onFail()
	}
	if !failed {
		g.log.Release(to)
		if p.wake {
			g.onDurable()
		}
	}
}

// proveLater keeps outputs from start on until there is a proof that was asked for after
// them: the next commit, or one of their own. It needs g.mu.
func (g *gate) proveLater(start host.Pos, bytes int) {
	if len(g.pending) > 0 {
		g.pending[0].start = start
	} else {
		g.pending = append(g.pending, pendingCommit{rev: ofProof, start: start, end: g.log.End()})
		g.committer.submit(g, nil)
	}
	g.pending[0].bytes += bytes
	g.bytes += bytes
	g.committer.waiting.Add(int64(bytes))
}

// depose says that another node owns the actor. What is on its way to the store is waited for.
func (g *gate) depose() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deposed = true
}

// denyLocked has the next reset drop the outputs from start on.
func (g *gate) denyLocked(start host.Pos) {
	g.failed = store.ErrConflict
	g.dropped = append(g.dropped, pendingCommit{rev: ofProof, start: start})
}

// durable returns the newest revision that is durable; rev is that of the newest commit.
func (g *gate) durable(rev uint64) uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed != nil {
		return 0 // not known; a reset is pending
	}
	for _, p := range g.pending {
		if p.rev != ofProof {
			return p.rev - 1
		}
	}
	return rev
}

// room waits until turns may run further ahead of the store. It returns the error of a
// failed commit.
func (g *gate) room() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.failed == nil && len(g.pending) > 0 &&
		(len(g.pending) >= g.maxCommits || g.bytes >= g.maxBytes || g.committer.waiting.Load() >= maxRunAheadTotal) {
		g.changed.Wait()
	}
	return g.failed
}

// await waits until every commit has finished, and returns the first error.
func (g *gate) await() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.pending) > 0 {
		g.changed.Wait()
	}
	return g.failed
}

// broken reports whether later commits must not be made: one has failed, or another node
// owns the actor.
func (g *gate) broken() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failed != nil || g.deposed
}

// reset prepares the gate for a new instance: it releases what is durable, up to the
// revision durable, and drops the rest. The gate must have no pending commits (await).
func (g *gate) reset(durable uint64) (dropped []*host.Output) {
	g.mu.Lock()
	keep := g.log.End()
	for _, p := range g.dropped {
		if p.rev > durable {
			keep = p.start
			break
		}
	}
	g.failed, g.dropped = nil, nil
	g.mu.Unlock()
	g.log.Release(keep)
	return g.log.Truncate()
}

// committer makes commits durable in groups: while it writes one group, the commits of all
// actors collect in the next one.
type committer struct {
	store   store.Store
	owner   store.Owner // the store, if others may take it over; else nil
	stats   *stats
	waiting atomic.Int64 // bytes of all gates' pending commits, with their states

	mu      sync.Mutex // guards the fields below
	queue   []job
	running bool

	next time.Time // when the next group may start; owned by run
}

func newCommitter(s store.Store, counts *stats) *committer {
	owner, _ := s.(store.Owner)
	return &committer{store: s, owner: owner, stats: counts}
}

// valid reports whether outputs without a commit may leave without a proof.
func (c *committer) valid() bool { return c.owner == nil || c.owner.Valid() }

type job struct {
	gate   *gate
	commit *store.Commit // nil: a proof
}

// submit makes a commit durable and reports to its gate. With an immediate store it does
// so before it returns. Without a commit it asks for a proof.
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

// run writes groups until the queue is empty. It reports every commit to its gate, and
// Node.Shutdown waits for the gates.
func (c *committer) run() {
	for c.more() {
		// Commits after a group wait a moment, because larger groups make a commit
		// cheaper. A single commit is written immediately.
		time.Sleep(time.Until(c.next))
		for range 3 {
			runtime.Gosched() // lets other goroutines add to the group, which makes groups three times as large
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

// more reports whether there are commits to write; if not, run ends.
func (c *committer) more() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = len(c.queue) > 0
	return c.running
}

// write makes a group of jobs durable and reports to their gates.
func (c *committer) write(jobs []job) {
	group := make([]*store.Commit, 0, len(jobs))
	proves := false
	for _, j := range jobs {
		if j.commit == nil {
			proves = true
		} else if !j.gate.broken() {
			group = append(group, j.commit)
		}
	}
	var errs []error
	if len(group) > 0 {
		start := time.Now()
		errs = c.store.Commit(context.Background(), group)
		c.stats.saveTime.Observe(time.Since(start))
	}
	var unproven error
	if proves && (len(group) == 0 || errs != nil && !slices.Contains(errs, nil)) { // else a commit is the proof
		unproven = c.owner.Prove(context.Background())
	}
	next := 0
	for _, j := range jobs {
		if j.commit == nil {
			j.gate.committed(unproven)
			continue
		}
		err := error(store.ErrConflict) // it follows a failed one
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
