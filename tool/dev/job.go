package main

import "context"

// job runs a function at each request, one run at a time. A request during a run
// cancels that run and starts the next.
type job struct {
	do        func(ctx context.Context)
	requested chan struct{}
}

func newJob(do func(ctx context.Context)) *job {
	return &job{do: do, requested: make(chan struct{}, 1)}
}

// request requests a run. It never blocks.
func (j *job) request() {
	select {
	case j.requested <- struct{}{}:
	default: // a run is due already
	}
}

// run serves requests until ctx ends. When it returns, nothing runs any more.
func (j *job) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.requested:
		}
		this, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			j.do(this)
		}()
		select {
		case <-done:
		case <-j.requested:
			j.request()
		}
		cancel()
		<-done
	}
}
