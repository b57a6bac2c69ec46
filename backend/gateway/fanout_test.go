package gateway_test

import (
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
)

// busyHost publishes outputs while its logs are being followed.
type busyHost struct{ host.Host }

func (p busyHost) Follow(r host.Ref, f host.Follower) (*host.Log, error) {
	l, err := p.Host.Follow(r, f)
	if err == nil {
		f.Published() // as a log does whose actor's turn ends just now
	}
	return l, err
}

// TestFollowWhilePublished: a fanout that gets outputs before it has its log still sees
// all later ones.
func TestFollowWhilePublished(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		e.settle()
		c.expect("1 opened 0", "1 at 0")
		e.say("hello")
		e.settle()
		c.expect(`1 event 1 said "hello"`)
	}, wrapHost(func(p host.Host) host.Host { return busyHost{p} }))
}

// TestStragglers: a channel is not woken for each output that is not for it. But it does
// not stay so far behind that it falls out of the log's memory when the log grows after a
// long silence.
func TestStragglers(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		if e.lagging {
			t.Skip("a copy gets a burst in pieces and may forget the first before the last comes")
		}
		ada, bob := e.dial(), e.dial()
		ada.open(1, "ada", `"subs":["said"]`)
		bob.open(1, "bob", `"subs":["said"]`)
		e.settle()
		ada.take()
		for n := range 20 {
			bob.call(1, n+1, "whisper", connOf("bob"), "hi")
			e.once("count") // its reply is nobody's here
		}
		e.settle()
		time.Sleep(15 * time.Second) // longer than until the janitor sweeps the fanouts, not so long that an at is due
		e.once("burst", "150", "1000")
		e.settle()
		ada.isOpen()
		if got := len(ada.take()); got != 150 {
			t.Errorf("got %d messages, want 150 events", got)
		}
	}, roomOptions(actor.Options{LogBytes: 4 << 10}), smallStore)
}
