package runtime_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
)

// slowDoor takes a second to authenticate.
type slowDoor struct{}

func (slowDoor) OnAuth(context.Context, *actor.AuthRequest) (string, error) {
	time.Sleep(time.Second)
	return "somebody", nil
}

// quickDoor does not.
type quickDoor struct{}

func (quickDoor) OnAuth(context.Context, *actor.AuthRequest) (string, error) { return "somebody", nil }

// However many requests of one address wait to be authenticated, others wait for one turn
// of a slow OnAuth at most, and not at all for that of another definition.
func TestG8_OnAuthRunsInTurnsOfAddresses(t *testing.T) {
	reg := actor.NewRegistry(actor.Define[slowDoor]("slow"), actor.Define[quickDoor]("quick"))
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, reg)
		authenticate := func(name, from string) time.Duration {
			begin := time.Now()
			ref := host.Ref{Name: name, Key: host.Key{"a"}}
			if _, err := b.node.Authenticate(t.Context(), ref, host.AuthRequest{From: from}); err != nil && from != "eve" {
				t.Error(err)
			}
			return time.Since(begin)
		}
		for range 2_000 {
			go authenticate("slow", "eve")
		}
		synctest.Wait()
		if took := authenticate("quick", "ada"); took > 0 {
			t.Errorf("another definition's OnAuth waited for %v", took)
		}
		if took := authenticate("slow", "ada"); took > 2*time.Second {
			t.Errorf("another address waited for %v, want a turn and its own", took)
		}
		time.Sleep(time.Minute)
	})
}
