package runtime_test

import (
	"errors"
	goruntime "runtime"
	"sync"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
)

// pulser has a message that repeats, and ends its goroutine or fails late.
type pulser struct{ N int }

type beat struct{ How string }

var (
	beatRuns = &beatTimes{}
	pulsers  = actor.NewRegistry(actor.Define[pulser]("pulser", actor.Handles((*pulser).beat)))
)

// beatTimes notes when handlers begin.
type beatTimes struct {
	mu    sync.Mutex
	times []time.Time
}

func (s *beatTimes) add() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times = append(s.times, time.Now())
}

func (s *beatTimes) take() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	times := s.times
	s.times = nil
	return times
}

func (s *pulser) Repeat(c *nothing, how string) {
	c.Repeat("beat", actor.Interval(time.Hour), beat{how})
}

func (s *pulser) Later(c *nothing, how string) { c.Schedule(c.Now().Add(time.Minute), beat{how}) }

func (s *pulser) beat(_ *nothing, m beat) error {
	beatRuns.add()
	if m.How == "exit" {
		goruntime.Goexit()
	}
	time.Sleep(40 * time.Second)
	return errors.New("as asked")
}

// A message that repeats is given up after three turns that do not return, and goes on at its
// next time.
func TestARepeatedMessageWhoseTurnDoesNotReturn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, pulsers)
		beatRuns.take()
		call(t, b.node, host.Ref{Name: "pulser", Key: host.Key{"a"}}, "repeat", "exit")
		time.Sleep(4*time.Hour + 30*time.Minute)
		if n := len(beatRuns.take()); n != 12 {
			t.Errorf("the handler has run %d times in four hours, want 12", n)
		}
	})
}

// The wait after a try begins when its turn has ended.
func TestAWaitBeginsAfterTheTurn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, pulsers)
		beatRuns.take()
		for _, key := range []string{"a", "b", "c", "d"} {
			call(t, b.node, host.Ref{Name: "pulser", Key: host.Key{key}}, "later", "late")
			time.Sleep(time.Hour)
			times := beatRuns.take()
			if len(times) != 10 {
				t.Fatalf("%d tries, want 10", len(times))
			}
			for i, at := range times[1:] {
				if wait := at.Sub(times[i]) - 40*time.Second; wait <= 0 {
					t.Errorf("try %d begins %s after the end of the one before, want a wait", i+2, wait)
				}
			}
		}
	})
}
