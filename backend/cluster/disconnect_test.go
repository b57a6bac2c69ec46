package cluster

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
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
