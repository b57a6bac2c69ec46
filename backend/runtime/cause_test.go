package runtime_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

type verbose struct{ N int }

func (*verbose) Fail(*actor.Context[actor.NoState]) error {
	return errors.New(strings.Repeat("x", 1<<20))
}

// TestACauseIsBounded: in check mode a client gets the start of a long error.
func TestACauseIsBounded(t *testing.T) {
	actortest.Run(t, actor.NewRegistry(actor.Define[verbose]("verbose")), func(n *actortest.Node) {
		err := n.Actor("verbose").Fail("fail")
		if size := len(err.Message); size < 1_000 || size > 5_000 {
			t.Errorf("got a message of %d bytes, want about 4,000", size)
		}
	})
}
