package runtime

import (
	"sync"
	"time"
)

// span is the time of a turn, as a context.Context, and a label of its current step.
type span struct {
	now      time.Time
	deadline time.Time

	mu   sync.Mutex // guards the fields below for other goroutines than the turn's
	what string     // the current step, for messages: "sendMessage", "OnConnect"; written under mu
	err  error
	done chan struct{}
}

// Deadline implements context.Context.
func (s *span) Deadline() (time.Time, bool) { return s.deadline, true }

// Done implements context.Context.
func (s *span) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == nil {
		s.done = make(chan struct{})
		if s.err != nil {
			close(s.done)
		}
	}
	return s.done
}

// Err implements context.Context.
func (s *span) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// finish ends the context with err. Only the first call counts.
func (s *span) finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = err
	if s.done != nil {
		close(s.done)
	}
}

// label returns the turn's current step. It may be called from any goroutine.
func (s *span) label() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.what
}

func (s *span) setLabel(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.what = what
}
