package readme

import (
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
)

// Paste is a text that somebody shares.
type Paste struct {
	Text string `json:"text"`
}

// Write replaces the text.
func (p *Paste) Write(c *actor.Context[actor.NoState], text string) { p.Text = text }

// Read returns the text.
func (p Paste) Read(c *actor.Context[actor.NoState]) string { return p.Text }

// Remove destroys the paste. It still returns a result.
func (p *Paste) Remove(c *actor.Context[actor.NoState]) (bytes int) {
	c.Destroy()
	return len(p.Text)
}

// Pastes has the pastes.
var Pastes = actor.NewRegistry(
	actor.Define[Paste]("paste", actor.WithOptions(actor.Options{
		DestroyAfter: 30 * 24 * time.Hour, // after 30 days without reads, writes or connections
	})),
)
