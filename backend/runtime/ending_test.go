package runtime_test

import (
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
)

type ratio struct {
	Value float64 `json:"value"`
	N     int     `json:"n"`
}

func (*ratio) OnDisconnect(*actor.Context[actor.NoState]) {}
func (r *ratio) Spoil(c *actor.Context[actor.NoState]) {
	r.Value, r.N = math.NaN(), r.N+1
	c.Conn().Disconnect("spoilt")
}

// TestG7_AStateThatCannotBeEncodedFailsTheActionThatDisconnects: it must not count as
// a failure of the hook that runs for it, which would undo the action and let it succeed.
func TestG7_AStateThatCannotBeEncodedFailsTheActionThatDisconnects(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, actor.NewRegistry(actor.Define[ratio]("ratio")))
		ada := b.open(host.Ref{Name: "ratio", Key: host.Key{"a"}}, as("ada"))
		ada.call(1, "spoil")
		if got, want := kinds(ada.read()), "opened fail:internal_error "; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// sticky is an actor with hooks that do not return, or fail, when they are asked to.
type sticky struct {
	N int `json:"n"`
}

var stickyIn, stickyFails atomic.Value // names of hooks

func behave(hook string) error {
	if stickyIn.Load() == hook {
		time.Sleep(time.Hour)
	}
	if stickyFails.Load() == hook {
		return errors.New("as asked")
	}
	return nil
}

func (*sticky) OnStart(*actor.Context[actor.NoState]) error  { return behave("OnStart") }
func (*sticky) OnResume(*actor.Context[actor.NoState]) error { return behave("OnResume") }
func (*sticky) OnStop(*actor.Context[actor.NoState]) error   { return behave("OnStop") }
func (s *sticky) Inc(*actor.Context[actor.NoState]) int      { s.N++; return s.N }

func stickyBench(t *testing.T) (*bench, host.Ref) {
	stickyIn.Store("")
	stickyFails.Store("")
	reg := actor.NewRegistry(actor.Define[sticky]("sticky", actor.WithOptions(actor.Options{ActionTimeout: time.Second, ConnectTimeout: time.Second})))
	return newBench(t, nil, reg), host.Ref{Name: "sticky", Key: host.Key{"a"}}
}

func TestAConnectionWhoseOnResumeDoesNotReturnIsOffline(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, ref := stickyBench(t)
		ada := b.open(ref, as("ada"))
		ada.read()
		b.node.Detach(ref, ada.req.Attachment)
		advance()
		stickyIn.Store("OnResume")
		again := b.open(ref, as("ada"))
		time.Sleep(10 * time.Second)
		if got, want := kinds(again.read()), "closed:timeout "; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		stickyIn.Store("")
		time.Sleep(time.Hour)
		if got := connected(b); got != 0 {
			t.Errorf("%d actors have a connection an hour later", got)
		}
	})
}

func TestAnActorLeavesMemoryAfterAnOnStopThatDoesNotReturn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, ref := stickyBench(t)
		if _, err := result[int](b, ref, "inc"); err != nil {
			t.Fatal(err)
		}
		stickyIn.Store("OnStop")
		time.Sleep(32 * time.Second)
		stickyIn.Store("")
		time.Sleep(5 * time.Minute)
		if got := b.node.Actors(); got != 0 {
			t.Errorf("%d actors are in memory", got)
		}
		time.Sleep(time.Hour) // until the lost goroutine ends
	})
}

func TestAnActorWhoseOnStartFailsLeavesMemory(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, ref := stickyBench(t)
		if _, err := result[int](b, ref, "inc"); err != nil {
			t.Fatal(err)
		}
		b.restart()
		stickyFails.Store("OnStart")
		if _, err := result[int](b, ref, "inc"); err == nil {
			t.Error("the call succeeded")
		}
		time.Sleep(5 * time.Minute)
		if got := b.node.Actors(); got != 0 {
			t.Errorf("%d actors are in memory", got)
		}
	})
}

// A Disconnect whose OnDisconnect does not return is answered once, with an error, also when
// the hook returns later. The connection ends, and its client learns that.
func TestADisconnectWhoseHookDoesNotReturn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, stubborns)
		release := hold(t, "OnDisconnect")
		r := as("ada")
		r.Identity.Subject = runtime.SubjectOf("ada")
		ada := b.open(stubbornRef, r)
		ada.read()
		if err := b.node.Disconnect(t.Context(), r.Identity.Subject, "signed out"); code(err) != "timeout" {
			t.Errorf("got %v, want timeout", err)
		}
		release()
		if got, want := kinds(ada.read()), "opened closed:disconnected "; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := b.log.String(); strings.Contains(got, "negative WaitGroup") || strings.Contains(got, "ended unexpectedly") {
			t.Error(got)
		}
		if got := connected(b); got != 0 {
			t.Errorf("%d actors have a connection", got)
		}
	})
}
