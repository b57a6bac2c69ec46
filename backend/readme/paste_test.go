package readme_test

import (
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/readme"
)

func TestPaste(t *testing.T) {
	actortest.Run(t, readme.Pastes, func(n *actortest.Node) {
		paste := n.Actor("paste", "1")
		ada, bob := paste.Connect(nil), paste.Connect(nil)
		actortest.Call[any](ada, "write", "secret")
		bob.Drop()
		if got := actortest.Call[int](ada, "remove"); got != 6 {
			t.Errorf("removed %d bytes, want 6", got)
		}
		if code, closed := ada.Closed(); !closed || code != "destroyed" {
			t.Errorf("got closed %q, want destroyed", code)
		}
		if err := bob.TryResume(); err == nil || err.Error() != "destroyed: this paste was destroyed" {
			t.Errorf("one that comes back got %v", err)
		}
		if got := actortest.Call[string](paste, "read"); got != "" {
			t.Errorf("a new paste has the text %q", got)
		}

		actortest.Call[any](paste, "write", "another")
		for range 10 {
			time.Sleep(25 * 24 * time.Hour)
			if got := actortest.Call[string](paste, "read"); got != "another" {
				t.Fatalf("got %q of a paste that is read", got)
			}
		}
		time.Sleep(40 * 24 * time.Hour)
		if got := actortest.Call[string](paste, "read"); got != "" {
			t.Errorf("got %q of a paste that was not read for 40 days", got)
		}
	})
}
