package readme_test

import (
	"testing"

	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/readme"
)

func TestCounter(t *testing.T) {
	actortest.Run(t, readme.Registry, func(n *actortest.Node) {
		apples := n.Actor("counter", "apples")
		ada, bob := apples.Connect(nil), apples.Connect(nil)

		if got := actortest.Call[int](ada, "add", "ada", 2); got != 2 {
			t.Errorf("got %d, want 2", got)
		}
		if err := ada.Fail("add", "ada", -1); err.Code != "not_positive" {
			t.Errorf("got %v, want not_positive", err)
		}
		want := []readme.Changed{{Value: 0}, {Value: 2, By: "ada"}}
		if got := actortest.Events[readme.Changed](bob); len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}
