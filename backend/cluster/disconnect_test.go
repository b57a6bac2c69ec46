package cluster

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
)

// TestDisconnectAsksLessAndLess disconnects somebody while an actor has no owner.
func TestDisconnectAsksLessAndLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMember(options{}, nil, nil, nil, nil)
		m.view.Store(&view{joined(t, "a"), 1}) // it has none of its partitions yet
		h := newFakeHost()
		c := &Cluster{member: m}
		c.port.Store(NewPort(h, h, m, PortOptions{Logger: slog.New(slog.DiscardHandler)}))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := c.Disconnect(ctx, "ada", "signed out"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want that of the context", err)
		}
		if n := len(h.take()); n < 8 || n > 12 {
			t.Errorf("all actors were asked %d times in 10 s", n)
		}
	})
}

// A Disconnect tells each node when it began in the processes of all nodes, and at each try the same.
func TestDisconnectBeginsEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there, here, _ := newPorts(t)
		there.host.moment, here.host.moment = host.Moment{Process: 7, N: 70}, host.Moment{Process: 8, N: 80}
		m := newMember(options{}, nil, nil, nil, nil)
		m.view.Store(&view{joined(t, "a", "b"), 2})
		c := &Cluster{member: m}
		c.port.Store(here.port)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Disconnect(ctx, "ada", "signed out"); err == nil {
			t.Error("the nodes have other tables, and yet it has ended")
		}
		for _, n := range []*portNode{there, here} {
			got := n.host.take()
			if slices.Sort(got); len(slices.Compact(got)) != 1 || got[0] != "disconnect ada signed out [{7 70} {8 80}]" {
				t.Errorf("got %q", got)
			}
		}
	})
}
