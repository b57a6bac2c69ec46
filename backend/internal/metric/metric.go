// Package metric counts what happens where nothing may be slowed down: without a
// lock and without memory of its own for each count. What is counted is read as a
// snapshot; package app shows it to Prometheus.
package metric

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

const (
	finest  = 10 // the first bucket ends at 1<<finest ns, about 1 µs
	buckets = 25 // the last one at about 17 s
)

// A Histogram counts durations in buckets, each of which ends at twice the
// duration of the one before. The zero value is ready. All methods may be called
// at the same time.
type Histogram struct {
	counts [buckets + 1]atomic.Uint64 // the last one has what is longer than all bounds
	sum    atomic.Int64               // nanoseconds
}

// Observe counts a duration. It costs two atomic additions.
func (h *Histogram) Observe(d time.Duration) {
	d = max(d, 0)
	i := bits.Len64(uint64(max(d, 1)-1) >> finest)
	h.counts[min(i, buckets)].Add(1)
	h.sum.Add(int64(d))
}

// Durations is what a Histogram had counted at some time.
type Durations struct {
	Count uint64
	Sum   time.Duration
	UpTo  map[time.Duration]uint64 // by bound: how many were not longer
}

// Snapshot returns what was counted. What is counted meanwhile may be missing in
// the sum.
func (h *Histogram) Snapshot() Durations {
	d := Durations{UpTo: make(map[time.Duration]uint64, buckets), Sum: time.Duration(h.sum.Load())}
	for i := range buckets {
		d.Count += h.counts[i].Load()
		bound := time.Duration(1) << (finest + i)
		d.UpTo[bound] = d.Count
	}
	d.Count += h.counts[buckets].Load()
	return d
}

// maxNames is how many names a Names tells apart, other is for those beyond.
const (
	maxNames = 64
	other    = "other"
)

// Names counts by name, for what is rare. Of names that it has not seen before it
// takes 64; all others count as "other": whoever makes names up fills no memory.
// The zero value is ready. All methods may be called at the same time.
type Names struct {
	mu     sync.Mutex
	counts map[string]uint64
}

// Add counts one.
func (n *Names) Add(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.counts == nil {
		n.counts = make(map[string]uint64)
	}
	if _, known := n.counts[name]; !known && len(n.counts) >= maxNames {
		name = other
	}
	n.counts[name]++
}

// Snapshot returns what was counted.
func (n *Names) Snapshot() map[string]uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	counts := make(map[string]uint64, len(n.counts))
	for name, count := range n.counts {
		counts[name] = count
	}
	return counts
}

// stripes is how many places a Traffic has: enough that sockets which are busy at
// the same time seldom meet.
const stripes = 16

// Traffic counts frames and their bytes, both ways. Who counts often takes a
// Stripe for good.
type Traffic struct{ stripes [stripes]Stripe }

// A Stripe is a place of a Traffic, on a cache line of its own.
type Stripe struct {
	in, bytesIn, out, bytesOut atomic.Uint64
	_                          [32]byte
}

// Stripe returns one of the places.
func (t *Traffic) Stripe(n uint64) *Stripe { return &t.stripes[n%stripes] }

// In counts a frame that came.
func (s *Stripe) In(bytes int) {
	s.in.Add(1)
	s.bytesIn.Add(uint64(bytes))
}

// Out counts a frame that went.
func (s *Stripe) Out(bytes int) {
	s.out.Add(1)
	s.bytesOut.Add(uint64(bytes))
}

// Flow is what a Traffic had counted at some time.
type Flow struct{ FramesIn, BytesIn, FramesOut, BytesOut uint64 }

// Snapshot returns what was counted.
func (t *Traffic) Snapshot() (f Flow) {
	for i := range t.stripes {
		s := &t.stripes[i]
		f.FramesIn += s.in.Load()
		f.BytesIn += s.bytesIn.Load()
		f.FramesOut += s.out.Load()
		f.BytesOut += s.bytesOut.Load()
	}
	return f
}
