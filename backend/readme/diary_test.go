package readme_test

import (
	"errors"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/readme"
)

func TestDiary(t *testing.T) {
	registry := actor.NewRegistry(actor.Define[readme.Diary]("diary"))
	actortest.Run(t, registry, func(n *actortest.Node) {
		diary := n.Actor("diary", "ada")
		for session, want := range map[string]string{"s1": "", "s2": "forbidden", "": "unauthorized"} {
			_, err := diary.WithHeader("Cookie", "session="+session).TryConnect(nil)
			var e *actor.Error
			if errors.As(err, &e) != (want != "") || e != nil && e.Code != want {
				t.Errorf("session %q: got %v, want %q", session, err, want)
			}
		}
		actortest.Call[any](diary.As(readme.User{Name: "ada"}), "write", "dear diary")
		// Bob may not write in it, nor begin it for her.
		if err := n.Actor("diary", "carol").As(readme.User{Name: "bob"}).Fail("write", "was here"); err.Code != "forbidden" {
			t.Errorf("got %v, want forbidden", err)
		}
		if err := diary.As(readme.User{Name: "bob"}).Fail("write", "was here"); err.Code != "forbidden" {
			t.Errorf("got %v, want forbidden", err)
		}
	})
}
