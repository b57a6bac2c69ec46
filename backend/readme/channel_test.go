package readme_test

import (
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/readme"
)

func TestChannel(t *testing.T) {
	actortest.Run(t, actor.NewRegistry(actor.Define[readme.Channel]("channel")), func(n *actortest.Node) {
		general := n.Actor("channel", "general")
		for range 60 {
			actortest.Call[uint64](general, "say", readme.Post{Author: "ada", Text: "hello"})
		}
		n.Restart()
		if err := general.Fail("pin", "welcome", 99); err.Code != "no_post" {
			t.Errorf("pin of a post that does not exist: got %v, want no_post", err)
		}
		actortest.Call[any](general, "pin", "welcome", 1)
		page := actortest.Call[actor.Page[uint64, readme.Post]](general, "getPosts", nil)
		if len(page.Items) != 50 || page.Items[0].Key != 11 || !page.HasBefore || page.HasAfter {
			t.Errorf("got %d posts from %d, %t, %t; want 50 from 11, with some before and none after", len(page.Items), page.Items[0].Key, page.HasBefore, page.HasAfter)
		}
		if got := actortest.Call[[]readme.Post](general, "lastBy", "ada"); len(got) != 10 {
			t.Errorf("got %d posts of ada, want 10", len(got))
		}
	})
}
