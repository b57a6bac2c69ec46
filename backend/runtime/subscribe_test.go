package runtime_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

// gallery refuses events by default.
type gallery struct {
	Visits int                `json:"visits"`
	Works  actor.List[string] `json:"works"`
}

type (
	painted string
	stolen  string
	moved   string
	broken  string
)

func (g gallery) CanSubscribe(c *safeGallery, event string) error {
	switch event {
	case "stolen":
		return actor.Errorf("forbidden", "we do not talk about that")
	case "moved":
		c.Broadcast(painted("by a hook that must not"))
	case "broken":
		g.Works.Append("by a hook that must not")
	case "lost":
		return errors.New("the register at 10.0.0.7 is lost")
	}
	return nil
}

func (g *gallery) OnConnect(*safeGallery) { g.Visits++ }
func (g *gallery) Paint(c *safeGallery) int {
	c.Broadcast(painted("a"))
	return g.Visits + g.Works.Len()
}

type (
	safeGallery = actor.Context[actor.NoState]
	lost        string
)

func TestCanSubscribe(t *testing.T) {
	registry := actor.NewRegistry(actor.Define[gallery]("gallery",
		actor.Emits[painted](), actor.Emits[stolen](), actor.Emits[moved](), actor.Emits[broken](), actor.Emits[lost]()))
	actortest.Run(t, registry, func(n *actortest.Node) {
		room := n.Actor("gallery", "one")
		conn := room.Connect(nil)
		for event, want := range map[string]string{"painted": "", "stolen": "forbidden", "moved": "read_only", "broken": "internal_error", "lost": "internal_error"} {
			err := conn.Subscribe(event)
			var e *actor.Error
			if errors.As(err, &e) != (want != "") || e != nil && (e.Code != want || !strings.HasPrefix(e.Message, event+": ")) {
				t.Errorf("%s: got %v, want %q", event, err, want)
			}
		}
		if got := actortest.Call[int](conn, "paint"); got != 1 || len(actortest.Events[painted](conn)) != 1 {
			t.Errorf("got %d, %v: a hook that is read-only has left something", got, actortest.Events[painted](conn))
		}
	})
}
