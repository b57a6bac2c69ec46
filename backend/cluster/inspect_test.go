package cluster

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// inspectors answer with what they are asked for, or wait.
type inspectors struct{ ended atomic.Int64 }

func (f *inspectors) ServeInspect(ctx context.Context, q host.InspectRequest, write func(context.Context, []byte) error) error {
	if q.Target == "/wait" {
		if err := write(ctx, []byte("begin")); err != nil {
			return err
		}
		<-ctx.Done()
		f.ended.Add(1)
		return ctx.Err()
	}
	for _, part := range []string{q.Method, " ", q.Target, " ", q.From, " ", string(q.Body)} {
		if err := write(ctx, []byte(part)); err != nil {
			return err
		}
	}
	return nil
}

// A request to another node's inspector is answered in parts, in order, and ends with its context.
func TestInspectorOfAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owner, gateway, places := newPorts(t)
		there := &inspectors{}
		owner.port.inspector = there
		var mu sync.Mutex
		all := ""
		part := func(b []byte) {
			mu.Lock()
			defer mu.Unlock()
			all += string(b)
		}
		got := func() string {
			mu.Lock()
			defer mu.Unlock()
			text := all
			all = ""
			return text
		}
		q := host.InspectRequest{Method: "POST", Target: "/actors/a/reset?x=1", From: "::1", Body: []byte(`{}`)}
		err := gateway.port.Inspect(t.Context(), 1, q, part)
		if answer := got(); err != nil || answer != "POST /actors/a/reset?x=1 ::1 {}" {
			t.Errorf("got %q, %v", answer, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = gateway.port.Inspect(ctx, 1, host.InspectRequest{Method: "GET", Target: "/wait"}, part)
		if begun := got(); !errors.Is(err, context.DeadlineExceeded) || begun != "begin" {
			t.Errorf("got %q, %v", begun, err)
		}
		time.Sleep(time.Second)
		if there.ended.Load() != 1 {
			t.Error("the owner goes on with a request that was given up")
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := gateway.port.Inspect(ctx, 1, host.InspectRequest{Method: "GET", Target: "/wait"}, part); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a page that is open for an hour: got %v", err)
		}
		if err := owner.port.Inspect(t.Context(), 2, q, part); codeOf(err) != wire.CodeUnavailable {
			t.Errorf("a node without an inspector: got %v", err)
		}
		places.mu.Lock()
		places.dead[3] = true
		places.mu.Unlock()
		if err := gateway.port.Inspect(t.Context(), 3, q, part); codeOf(err) != wire.CodeUnavailable {
			t.Errorf("a node that is no more: got %v", err)
		}
	})
}
