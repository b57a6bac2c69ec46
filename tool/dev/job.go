package main

import "context"

// job does something again whenever it is asked to. It does it once at a time:
// who asks while it runs cancels what runs, and it starts anew.
type job struct {
	do    func(ctx context.Context)
	asked chan struct{}
}

func newJob(do func(ctx context.Context)) *job {
	return &job{do: do, asked: make(chan struct{}, 1)}
}

// ask never waits.
func (j *job) ask() {
	select {
	case j.asked <- struct{}{}:
	default: // it was asked to, and has not begun
	}
}

// run does what is asked until ctx ends, and returns when nothing of it runs.
func (j *job) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.asked:
		}
		turn, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			j.do(turn)
		}()
		select {
		case <-done:
		case <-j.asked:
			j.ask()
		}
		cancel()
		<-done
	}
}
