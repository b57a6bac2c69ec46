package runtime_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
)

// Actors that tests of several files use.

// blocker blocks its actor on a channel of the test's.
type blocker struct{}

var blockOn atomic.Pointer[chan struct{}]

func (*blocker) Block(*actor.Context[actor.NoState]) { <-*blockOn.Load() }

// slow takes its time.
type slow struct {
	Calls int `json:"calls"`
}

var hangOn atomic.Pointer[chan struct{}]

var slowRegistry = actor.NewRegistry(
	actor.Define[slow]("slow", actor.Emits[added](), actor.WithOptions(actor.Options{ActionTimeout: time.Second})),
)

// Wait counts the call, and waits as a well-behaved action does.
func (s *slow) Wait(c *actor.Context[actor.NoState], ms int) (int, error) {
	s.Calls++
	select {
	case <-c.Done():
		return 0, c.Err()
	case <-time.After(time.Duration(ms) * time.Millisecond):
		return s.Calls, nil
	}
}

// Hang does not look at its context until the test lets it, and uses it then.
func (s *slow) Hang(c *actor.Context[actor.NoState]) {
	s.Calls = 100
	<-*hangOn.Load()
	s.Calls = 200
	c.Broadcast(added{"a ghost", 1})
}

func (s *slow) Goexit(*actor.Context[actor.NoState]) {
	s.Calls = 300
	runtime.Goexit()
}

// hostile returns what breaks careless runtimes.
type hostile struct {
	Scores map[string]int `json:"scores"`
}

type explosive struct{}

func (explosive) MarshalJSON() ([]byte, error) { panic("boom") }

func (h *hostile) BadResult(*actor.Context[actor.NoState]) explosive { return explosive{} }

func (h *hostile) BadMetadata(*actor.Context[actor.NoState]) error {
	return &actor.Error{Code: "bad", Metadata: explosive{}}
}

func (h *hostile) NilError(*actor.Context[actor.NoState]) error {
	var e *actor.Error
	return e
}

// SharedMetadata fails with a part of the state.
func (h *hostile) SharedMetadata(*actor.Context[actor.NoState]) error {
	return &actor.Error{Code: "shared", Metadata: h.Scores}
}

func (h *hostile) Score(_ *actor.Context[actor.NoState], who string) {
	if h.Scores == nil {
		h.Scores = map[string]int{}
	}
	h.Scores[who]++
}

func (h *hostile) StartAndStop(c *actor.Context[actor.NoState]) {
	c.After(time.Hour, func(*actor.Context[actor.NoState]) error { return nil })()
}

var hostiles = actor.NewRegistry(actor.Define[hostile]("hostile"))

// stubborn has methods that do not return while a latch holds them.
type stubborn struct {
	N int `json:"n"`
}

// latch holds one method of stubborn until it is opened.
type latch struct {
	method string
	open   chan struct{}
}

var latched atomic.Pointer[latch]

// hold makes a method of stubborn not return until release is called, at the
// latest when the test ends: call it after making the node.
func hold(t *testing.T, method string) (release func()) {
	l := &latch{method, make(chan struct{})}
	latched.Store(l)
	release = sync.OnceFunc(func() { latched.Store(nil); close(l.open) })
	t.Cleanup(release)
	return release
}

func stick(method string) {
	if l := latched.Load(); l != nil && l.method == method {
		<-l.open
	}
}

// stubbornTurns is how many turns of Slow run, and the most that ever did.
var stubbornTurns struct{ now, most atomic.Int64 }

// usedAfter is what came of using a Context after its turn was abandoned.
var usedAfter atomic.Value

func (*stubborn) OnBeforeConnect(c *actor.ConnectContext, p memberParams) error {
	if c.Resuming() && p.Name == "banned" {
		return actor.Errorf("banned", "go away")
	}
	return nil
}

func (*stubborn) OnStart(*actor.Context[actor.NoState])      { stick("OnStart") }
func (*stubborn) OnStop(*actor.Context[actor.NoState])       { stick("OnStop") }
func (*stubborn) OnDisconnect(*actor.Context[actor.NoState]) { stick("OnDisconnect") }

func (s *stubborn) Inc(*actor.Context[actor.NoState]) int { s.N++; return s.N }

func (s *stubborn) Hang(c *actor.Context[actor.NoState]) {
	s.N = 1000
	stick("Hang")
	defer func() { usedAfter.Store(fmt.Sprint(recover())) }()
	c.Broadcast(note{"a ghost"})
}

// HangAndExit ends its goroutine once it is let go.
func (*stubborn) HangAndExit(*actor.Context[actor.NoState]) {
	stick("HangAndExit")
	runtime.Goexit()
}

func (s *stubborn) Slow(*actor.Context[actor.NoState]) int {
	n := stubbornTurns.now.Add(1)
	if n > stubbornTurns.most.Load() {
		stubbornTurns.most.Store(n)
	}
	time.Sleep(100 * time.Millisecond)
	stubbornTurns.now.Add(-1)
	s.N++
	return s.N
}

func (stubborn) Count(c *actor.Context[actor.NoState]) int {
	n := 0
	for range c.Conns() {
		n++
	}
	return n
}

var stubborns = actor.NewRegistry(
	actor.Define[stubborn]("stubborn", actor.Emits[note](), actor.WithOptions(actor.Options{ActionTimeout: time.Second})),
)

var stubbornRef = host.Ref{Name: "stubborn", Key: host.Key{"a"}}

var clubRef = host.Ref{Name: "club", Key: host.Key{"a"}}
