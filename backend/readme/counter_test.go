package readme_test

import (
	"slices"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/readme"
)

func TestCounter(t *testing.T) {
	actortest.Run(t, readme.Registry, func(n *actortest.Node) {
		apples := n.Actor("counter", "apples")
		ada, bob := apples.Connect(nil), apples.Connect(nil)

		if got := actortest.Call[int](ada, "add", 2); got != 2 {
			t.Errorf("got %d, want 2", got)
		}
		if err := ada.Fail("add", -1); err.Code != "not_positive" {
			t.Errorf("got %v, want not_positive", err)
		}
		if got := actortest.Call[int](apples, "get"); got != 2 {
			t.Errorf("got %d, want 2", got)
		}
		want := []readme.Changed{{Value: 2}}
		if got := actortest.Events[readme.Changed](bob); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}
