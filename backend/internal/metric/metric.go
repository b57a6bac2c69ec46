// Package metric has counters for hot paths: counting takes no lock and allocates
// nothing. Snapshot reads them; package server exposes them to Prometheus.
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
	counts [buckets + 1]atomic.Uint64 // the last one counts durations above all bounds
	sum    atomic.Int64               // nanoseconds
}

// Observe counts a duration. It costs two atomic additions.
func (h *Histogram) Observe(d time.Duration) {
	d = max(d, 0)
	i := bits.Len64(uint64(max(d, 1)-1) >> finest)
	h.counts[min(i, buckets)].Add(1)
	h.sum.Add(int64(d))
}

// Durations is a snapshot of a Histogram.
type Durations struct {
	Count uint64
	Sum   time.Duration
	UpTo  map[time.Duration]uint64 // by bound: the number of durations up to it
}

// Add adds the counts of e, whose UpTo has the same bounds. d.UpTo must not be nil.
func (d *Durations) Add(e Durations) {
	d.Count += e.Count
	d.Sum += e.Sum
	for bound, n := range e.UpTo {
		d.UpTo[bound] += n
	}
}

// Snapshot returns the counts. Its sum may miss durations that are counted at the
// same time.
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

// maxNames is the number of names that a Names counts; other counts the rest.
const (
	maxNames = 64
	other    = "other"
)

// Names counts rare events by name. It counts the first 64 names; all others count as
// "other", so that made-up names cannot fill memory. The zero value is ready. All
// methods may be called at the same time.
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

// stripes is the number of stripes of a Traffic: enough that busy sockets seldom
// share one.
const stripes = 16

// Traffic counts frames and their bytes, both ways. A user that counts often keeps
// one Stripe.
type Traffic struct{ stripes [stripes]Stripe }

// A Stripe is a part of a Traffic, on a cache line of its own.
type Stripe struct {
	in, bytesIn, out, bytesOut, messagesOut atomic.Uint64
	_                                       [24]byte
}

// Stripe returns one of the stripes.
func (t *Traffic) Stripe(n uint64) *Stripe { return &t.stripes[n%stripes] }

// In counts a received frame.
func (s *Stripe) In(bytes int) {
	s.in.Add(1)
	s.bytesIn.Add(uint64(bytes))
}

// Out counts a sent frame, and the messages in it.
func (s *Stripe) Out(bytes, messages int) {
	s.out.Add(1)
	s.messagesOut.Add(uint64(messages))
	s.bytesOut.Add(uint64(bytes))
}

// Flow is a snapshot of a Traffic.
type Flow struct{ FramesIn, BytesIn, FramesOut, BytesOut, MessagesOut uint64 }

// Snapshot returns what was counted.
func (t *Traffic) Snapshot() (f Flow) {
	for i := range t.stripes {
		s := &t.stripes[i]
		f.FramesIn += s.in.Load()
		f.BytesIn += s.bytesIn.Load()
		f.FramesOut += s.out.Load()
		f.BytesOut += s.bytesOut.Load()
		f.MessagesOut += s.messagesOut.Load()
	}
	return f
}
