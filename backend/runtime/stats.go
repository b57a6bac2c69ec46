package runtime

import (
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/metric"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Stats is what a Node has done since it was made, and how many actors it has in
// memory now.
type Stats struct {
	Awake int

	Turns     metric.Durations // that have ended, however they did
	Refused   uint64           // of them: the action, or the runtime, said no
	Failed    uint64           // of them: a panic, or an error that only the log tells
	TimedOut  uint64           // of them: took too long
	Abandoned uint64           // turns that did not return
	Resets    uint64           // actors that went back to their last durable state

	Commits  uint64           // that are durable
	Unsaved  uint64           // that the store did not take
	Entries  uint64           // of logs, in commits
	SaveTime metric.Durations // what the store took for a group of commits; none if it is immediate
}

// stats counts for Stats. A turn that is well costs a look at the clock and two
// atomic additions, its commit two more.
type stats struct {
	turns    metric.Histogram
	refused  atomic.Uint64
	failed   atomic.Uint64
	timedOut atomic.Uint64

	abandoned atomic.Uint64
	resets    atomic.Uint64

	commits  atomic.Uint64
	unsaved  atomic.Uint64
	entries  atomic.Uint64
	saveTime metric.Histogram
}

// turn counts a turn that has ended.
func (s *stats) turn(t *Turn, err *host.Fault) {
	s.turns.Observe(time.Since(t.now))
	switch {
	case err == nil:
	case err.Code == wire.CodeInternal:
		s.failed.Add(1)
	case err.Code == wire.CodeTimeout:
		s.timedOut.Add(1)
	default:
		s.refused.Add(1)
	}
}

// commit counts a commit that has come back.
func (s *stats) commit(err error) {
	if err != nil {
		s.unsaved.Add(1)
		return
	}
	s.commits.Add(1)
}

// Stats returns what the node has counted.
func (n *Node) Stats() Stats {
	n.mu.Lock()
	awake := len(n.actors)
	n.mu.Unlock()
	c := &n.stats
	return Stats{
		Awake:   awake,
		Turns:   c.turns.Snapshot(),
		Refused: c.refused.Load(), Failed: c.failed.Load(), TimedOut: c.timedOut.Load(),
		Abandoned: c.abandoned.Load(), Resets: c.resets.Load(),
		Commits: c.commits.Load(), Unsaved: c.unsaved.Load(), Entries: c.entries.Load(),
		SaveTime: c.saveTime.Snapshot(),
	}
}
