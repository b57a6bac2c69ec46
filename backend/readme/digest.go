package readme

import (
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
)

// Newsletter sends a digest each working day.
type Newsletter struct {
	Sent   int `json:"sent"`
	Missed int `json:"missed"`
}

// Digest is a message.
type Digest struct{}

// OnStart runs whenever the actor is loaded. If it repeats that already, nothing changes.
func (n *Newsletter) OnStart(c *actor.Context[actor.NoState]) {
	c.Repeat("digest", actor.Cron("0 9 * * MON-FRI", "Europe/Berlin"), Digest{})
}

// Subscribe makes the actor one that exists.
func (n *Newsletter) Subscribe(*actor.Context[actor.NoState]) {}

// Pause ends the repetition until the actor is loaded again.
func (n *Newsletter) Pause(c *actor.Context[actor.NoState]) { c.CancelNamed("digest") }

// Often repeats a message at intervals.
func (n *Newsletter) Often(c *actor.Context[actor.NoState]) {
	c.Repeat("digest", actor.Interval(15*time.Minute), Digest{}, actor.SkipLate(time.Minute))
}

// Get returns what was sent.
func (n Newsletter) Get(*actor.Context[actor.NoState]) Newsletter { return n }

// digest sends one for all days that it has missed.
func (n *Newsletter) digest(c *actor.Context[actor.NoState], _ Digest) error {
	n.Sent++
	n.Missed += c.Missed()
	return nil
}

var newsletters = actor.NewRegistry(
	actor.Define[Newsletter]("newsletter", actor.Handles((*Newsletter).digest)),
)
