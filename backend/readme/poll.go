package readme

import (
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
)

// Poll is open for some time.
type Poll struct {
	Round int  `json:"round"`
	Open  bool `json:"open"`
}

// VoteClosed is an event for everybody.
type VoteClosed struct {
	Round int `json:"round"`
}

// CloseVote is a message of a poll to itself. It is stored as closeVote.
type CloseVote struct {
	Round int `json:"round"`
}

// Start opens the poll.
func (p *Poll) Start(c *actor.Context[actor.NoState], minutes int) {
	p.Round++
	p.Open = true
	c.Schedule(c.Now().Add(time.Duration(minutes)*time.Minute), CloseVote{p.Round}, actor.Named("close"))
}

// closeVote is not exported, so clients cannot call it.
func (p *Poll) closeVote(c *actor.Context[actor.NoState], m CloseVote) error {
	p.Open = false
	c.Broadcast(VoteClosed(m))
	return nil
}

// Extend lets the poll stay open until it is closed.
func (p *Poll) Extend(c *actor.Context[actor.NoState]) (extended bool) {
	return c.CancelNamed("close")
}

// Remind sends a mail in a day.
func (p *Poll) Remind(c *actor.Context[actor.NoState], to string) actor.MessageID {
	return c.Schedule(c.Now().Add(24*time.Hour), Reminder{to})
}

// Forget cancels a mail.
func (p *Poll) Forget(c *actor.Context[actor.NoState], id actor.MessageID) (canceled bool) {
	return c.Cancel(id)
}

// Waiting returns what is scheduled.
func (p Poll) Waiting(c *actor.Context[actor.NoState]) []string {
	var all []string
	for m := range c.Scheduled() {
		all = append(all, m.Type+" "+m.Name)
	}
	return all
}

// IsOpen reports whether the poll is open.
func (p Poll) IsOpen(*actor.Context[actor.NoState]) bool { return p.Open }

// Reminder is a message.
type Reminder struct {
	To string `json:"to"`
}

// sendMail sends a mail, unless it has sent one with the same key.
var sendMail = func(to, key string) error { return nil }

// reminder may run more than once; its mail is sent once.
func (p *Poll) reminder(c *actor.Context[actor.NoState], m Reminder) error {
	if !p.Open {
		return actor.Errorf("closed", "there is nothing to remind of") // final: it is not tried again
	}
	return sendMail(m.To, string(c.MessageID())) // another error: tried again
}

var polls = actor.NewRegistry(
	actor.Define[Poll]("poll",
		actor.Emits[VoteClosed](),
		actor.Handles((*Poll).closeVote),
		actor.Handles((*Poll).reminder),
	),
)
