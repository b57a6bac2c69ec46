package actor_test

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
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
