package runtime

import (
	"context"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
)

// Timers returns how many timers the instance of an actor holds.
func (n *Node) Timers(r host.Ref) (timers int) {
	err := n.do(context.Background(), r, func(t *Turn) error {
		timers = len(t.in.timers.all)
		return nil
	})
	if err != nil {
		panic(err)
	}
	return timers
}

// Producers returns how many producers the instance of an actor remembers.
func (n *Node) Producers(r host.Ref) (producers int) {
	err := n.do(context.Background(), r, func(t *Turn) error {
		producers = len(t.in.producers.byID)
		return nil
	})
	if err != nil {
		panic(err)
	}
	return producers
}

// KeyID returns the id of the producer of a single call.
func KeyID(key, subject string) string {
	return new(producers).idOf(key, subject, true)
}

// RenameProducer gives a producer another id.
func (n *Node) RenameProducer(r host.Ref, from, to string) {
	err := n.do(context.Background(), r, func(t *Turn) error {
		all := t.in.producers.byID
		all[from].record.ID, all[to] = to, all[from]
		delete(all, from)
		return nil
	})
	if err != nil {
		panic(err)
	}
}

// Actors returns how many actors are in memory.
func (n *Node) Actors() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.actors)
}

// AnswerBytes returns how many bytes of answers are kept, of all actors.
func (n *Node) AnswerBytes() int64 { return n.answers.Load() }

// FillAnswers counts as many bytes of answers as all actors may keep.
func (n *Node) FillAnswers() { n.answers.Add(maxAllAnswerBytes) }

// Now returns what the node's clock says.
func (n *Node) Now() time.Time { return n.now() }

// WithClock returns options of a node whose messages are due by a clock.
func WithClock(o Options, now func() time.Time) Options {
	o.now = now
	return o
}
