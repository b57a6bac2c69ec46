package gateway

import (
	"runtime"
	"slices"
	"sync"
	"testing"
)

// TestCoalescer: work that is requested while it runs is done once more.
func TestCoalescer(t *testing.T) {
	var ts coalescer
	var steps []bool
	steps = append(steps, ts.begin(), ts.begin(), ts.begin(), ts.end(), ts.end(), ts.begin(), ts.end())
	if want := []bool{true, false, false, true, false, true, false}; !slices.Equal(steps, want) {
		t.Errorf("got %v, want %v", steps, want)
	}
}

type jobFunc func()

func (f jobFunc) run() { f() }

// TestQueue_Order: one worker gets the jobs in the order in which they were pushed, and
// nothing after close.
func TestQueue_Order(t *testing.T) {
	q := newQueue()
	var got []int
	var done sync.WaitGroup
	done.Go(func() {
		for {
			j, ok := q.pop()
			if !ok {
				return
			}
			j.run()
		}
	})
	const n = 1000
	all := make(chan struct{})
	for i := range n {
		q.push(jobFunc(func() {
			if got = append(got, i); i == n-1 {
				close(all)
			}
		}))
	}
	<-all
	q.close()
	done.Wait()
	q.push(jobFunc(func() { t.Error("a job ran after close") }))
	if _, ok := q.pop(); ok {
		t.Error("got a job from a closed queue")
	}
	if len(got) != n || !slices.IsSorted(got) {
		t.Errorf("got %d jobs, sorted: %t; want %d in order", len(got), slices.IsSorted(got), n)
	}
}

// BenchmarkQueue is what one job costs when all CPUs push to the queue and do nothing
// else. An action is one job, so this bounds the actions per second of a gateway.
func BenchmarkQueue(b *testing.B) {
	q := newQueue()
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for {
				j, ok := q.pop()
				if !ok {
					return
				}
				j.run()
			}
		})
	}
	var left sync.WaitGroup
	left.Add(b.N)
	job := jobFunc(left.Done)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			q.push(job)
		}
	})
	left.Wait()
	q.close()
	workers.Wait()
}
