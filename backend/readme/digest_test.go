package readme

import (
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

func TestNewslettersAreSentOnWorkingDays(t *testing.T) {
	actortest.Run(t, newsletters, func(n *actortest.Node) {
		letter := n.Actor("newsletter", "tech")
		actortest.Call[any](letter, "subscribe")
		if got := letter.Scheduled(); len(got) != 0 {
			t.Errorf("an actor that is not stored: got %+v", got)
		}
		letter.Connect(nil) // makes it one that is stored
		time.Sleep(7 * 24 * time.Hour)
		if got := actortest.Call[Newsletter](letter, "get"); got.Sent != 5 || got.Missed != 0 {
			t.Errorf("in a week: got %+v, want five", got)
		}
		actortest.Call[any](letter, "often")
		time.Sleep(time.Hour)
		if got := actortest.Call[Newsletter](letter, "get"); got.Sent != 9 {
			t.Errorf("after an hour more: got %+v, want four more", got)
		}
		actortest.Call[any](letter, "pause")
		time.Sleep(time.Hour)
		if got := actortest.Call[Newsletter](letter, "get"); got.Sent != 9 {
			t.Errorf("while it pauses: got %+v", got)
		}
	})
}
