package runtime

import (
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/metric"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Stats counts what a Node has done since it was made.
type Stats struct {
	Awake     int    // actors in memory now
	Bytes     int64  // of their states and logs, about
	Created   uint64 // actors that were made, whether they were stored or not
	Destroyed uint64 // actors that were destroyed

	Turns     metric.Durations // turns that have ended, successful or not
	TurnsOf   []TurnsOf        // the same, by what ran; only what has run, in no order
	Refused   uint64           // of these: refused by the action or the runtime
	Failed    uint64           // of these: a panic, or an error that only the log shows
	TimedOut  uint64           // of these: took too long
	Abandoned uint64           // turns that did not return
	Resets    uint64           // resets of actors to their last durable state

	// ParkedMessages are those of all stored actors of the node. The count is complete some time
	// after the start, and half a minute after the node has got partitions.
	ParkedMessages int

	UndecodableItems uint64 // items of tables that do not fit their types, each once per load of its actor

	Commits  uint64           // durable commits
	Unsaved  uint64           // failed commits
	Entries  uint64           // log entries in commits
	SaveTime metric.Durations // of a group of commits; none with an immediate store
}

// TurnsOf has the turns of one kind.
type TurnsOf struct {
	Actor  string // its definition
	Action string // the action, hook or type of message; "create", "timer", "Do"; "other"
	Took   metric.Durations
}

// stats holds the counters of Stats. A successful turn costs one reading of the clock, two
// look-ups and two atomic additions, its commit two more additions.
type stats struct {
	turns    map[*definition.Definition]map[string]*metric.Histogram // made once, by newTurnTimes
	refused  atomic.Uint64
	failed   atomic.Uint64
	timedOut atomic.Uint64

	created   atomic.Uint64
	destroyed atomic.Uint64
	abandoned atomic.Uint64
	resets    atomic.Uint64

	undecodable atomic.Uint64

	commits  atomic.Uint64
	unsaved  atomic.Uint64
	entries  atomic.Uint64
	saveTime metric.Histogram
}

// otherTurns counts the turns whose names are not in the definition: those of operators and of
// the runtime itself, and calls of actions that do not exist. Clients could make up any number
// of such names.
const otherTurns = "other"

// newTurnTimes returns a histogram for each kind of turn of each definition.
func newTurnTimes(defs definition.Set) map[*definition.Definition]map[string]*metric.Histogram {
	turns := map[*definition.Definition]map[string]*metric.Histogram{}
	for _, d := range defs {
		times := map[string]*metric.Histogram{"create": {}, "timer": {}, "Do": {}, otherTurns: {}}
		for hook := range definition.HookSignatures() { // some turns run without their hook, too
			times[hook] = new(metric.Histogram)
		}
		for action := range d.Actions {
			times[action] = new(metric.Histogram)
		}
		for _, message := range d.Handlers.Names() {
			times[message] = new(metric.Histogram)
		}
		turns[d] = times
	}
	return turns
}

// times returns the turns by what ran, and all together.
func (s *stats) times() (all metric.Durations, of []TurnsOf) {
	all.UpTo = map[time.Duration]uint64{}
	for d, times := range s.turns {
		for what, h := range times {
			took := h.Snapshot()
			all.Add(took)
			if took.Count > 0 {
				of = append(of, TurnsOf{d.Name, what, took})
			}
		}
	}
	return all, of
}

// turn counts a turn that has ended.
func (s *stats) turn(t *Turn, err *host.Fault) {
	took := time.Since(t.now)
	times := s.turns[t.in.def]
	h := times[t.what]
	if h == nil {
		h = times[otherTurns]
	}
	h.Observe(took)
	if r := t.in.actor.recent.Load(); r != nil {
		r.add(TurnRecord{At: t.now, What: t.what, Conn: connID(t.conn), ReadOnly: t.readOnly, Took: took, Err: err})
	}
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

// commit counts a commit that has finished.
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
	turns, turnsOf := c.times()
	return Stats{
		Awake:   awake,
		Bytes:   n.memory.used.Load(),
		Created: c.created.Load(), Destroyed: c.destroyed.Load(),
		ParkedMessages: n.parked.load(),

		Turns: turns, TurnsOf: turnsOf,
		Refused: c.refused.Load(), Failed: c.failed.Load(), TimedOut: c.timedOut.Load(),
		Abandoned: c.abandoned.Load(), Resets: c.resets.Load(),
		UndecodableItems: c.undecodable.Load(),
		Commits:          c.commits.Load(), Unsaved: c.unsaved.Load(), Entries: c.entries.Load(),
		SaveTime: c.saveTime.Snapshot(),
	}
}
