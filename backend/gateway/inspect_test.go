package gateway_test

import (
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
)

// TestInspector: the channels of a room, with what they subscribe to and were sent, and what
// the gateway has counted.
func TestInspector(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		ada, bob := e.dial(), e.dial()
		ada.open(1, "ada", `"subs":["said"]`)
		e.settle()
		bob.open(1, "bob")
		e.settle()
		e.say("hello")
		e.settle()
		awake, _ := runtime.Inspect(e.node).Awake(runtime.AwakeQuery{Limit: 1})
		look, err := runtime.Inspect(e.node).Look(t.Context(), awake[0].Ref.ID, runtime.LookQuery{Conns: 10})
		if err != nil || len(look.Conns) != 2 {
			t.Fatalf("got %+v and %v, want two connections", look, err)
		}
		i := gateway.Inspect(e.g)
		channels := i.Channels(look.Ref, []host.Attachment{look.Conns[0].Attachment, look.Conns[1].Attachment, host.NextAttachment()})
		if len(channels) != 2 {
			t.Fatalf("got %d channels, want 2", len(channels))
		}
		a, b := channels[look.Conns[0].Attachment], channels[look.Conns[1].Attachment]
		if a.Transport != "websocket" || len(a.Subscriptions) != 1 || a.Subscriptions[0].Event != "said" || a.Sent != 1 || a.Behind != 0 || len(a.Unanswered) != 0 {
			t.Errorf("ada's channel: got %+v", a)
		}
		if len(b.Subscriptions) != 0 || b.Behind != 0 || b.Socket == a.Socket {
			t.Errorf("bob's channel: got %+v, beside %+v", b, a)
		}
		ada.pause(true)
		for range 40 {
			e.say(strings.Repeat("x", 100_000))
		}
		e.settle()
		attachment := look.Conns[0].Attachment
		if a = i.Channels(look.Ref, []host.Attachment{attachment})[attachment]; !a.Blocked || a.Behind == 0 || a.Sent+a.Behind != 41 {
			t.Errorf("ada does not read: got %+v", a)
		}
		ada.pause(false)
		if s := i.Traffic(); s.Sockets != 2 || s.Messages < 3 {
			t.Errorf("got %+v, want 2 sockets and their messages", s)
		}
	})
}
