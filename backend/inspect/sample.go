package inspect

import (
	"context"
	"maps"
	"math"
	"runtime/metrics"
	"slices"
	"sync"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/metric"
	"github.com/troupe-dev/troupe/backend/runtime"
)

// The overview shows the last 15 minutes, second by second.
const (
	samplePeriod = time.Second
	keptSamples  = 15 * 60
)

// counts is what is counted since the server was started, or there is now.
type counts struct {
	at     time.Time
	node   runtime.Stats
	net    host.Traffic
	memory uint64 // bytes of the process
}

// count reads all counters. It takes some 20 µs, for any number of actors and sockets.
func count(node *runtime.Inspector, gateway Gateway) counts {
	used := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(used)
	return counts{time.Now(), node.Stats(), gateway.Traffic(), used[0].Value.Uint64() - used[1].Value.Uint64()}
}

// sample is what has happened in a second, or was there at its end.
type sample struct {
	At       int64             `json:"at"`       // Unix milliseconds of its end
	Turns    float64           `json:"turns"`    // per second
	Messages float64           `json:"messages"` // to clients, per second
	Failed   float64           `json:"failed"`   // turns that panicked, took too long or did not return, per second
	Commit50 *float64          `json:"commit50"` // ms, half of the groups of commits took no longer; nil: there were none
	Commit99 *float64          `json:"commit99"` // ms, likewise 99 of 100
	Turn50   *float64          `json:"turn50"`   // ms, of turns
	Turn99   *float64          `json:"turn99"`   // ms
	Sockets  int               `json:"sockets"`  // open
	Awake    int               `json:"awake"`    // actors in memory
	Memory   uint64            `json:"memory"`   // bytes of the process
	Bytes    int64             `json:"bytes"`    // of these, states and logs of actors, about
	Parked   int               `json:"parked"`   // messages that are given up for now
	Gaps     uint64            `json:"gaps"`     // connections that came back to a gap
	Errors   map[string]uint64 `json:"errors"`   // that clients got, by code
}

// sampleOf returns what is between two counts.
func sampleOf(a, b counts) sample {
	seconds := max(b.at.Sub(a.at).Seconds(), 0.001)
	rate := func(a, b uint64) float64 { return round(float64(b-a) / seconds) }
	s := sample{
		At:       b.at.UnixMilli(),
		Turns:    rate(a.node.Turns.Count, b.node.Turns.Count),
		Messages: rate(a.net.Messages, b.net.Messages),
		Failed:   rate(a.node.Failed+a.node.TimedOut+a.node.Abandoned, b.node.Failed+b.node.TimedOut+b.node.Abandoned),
		Commit50: quantile(a.node.SaveTime, b.node.SaveTime, 0.5), Commit99: quantile(a.node.SaveTime, b.node.SaveTime, 0.99),
		Turn50: quantile(a.node.Turns, b.node.Turns, 0.5), Turn99: quantile(a.node.Turns, b.node.Turns, 0.99),
		Sockets: b.net.Sockets, Awake: b.node.Awake, Memory: b.memory, Bytes: b.node.Bytes, Parked: b.node.ParkedMessages,
		Errors: since(a.net.Errors, b.net.Errors),
	}
	for _, n := range since(a.net.Gaps, b.net.Gaps) {
		s.Gaps += n
	}
	return s
}

// since returns by how much counters have grown, without those that have not.
func since(a, b map[string]uint64) map[string]uint64 {
	grown := map[string]uint64{}
	for name, n := range b {
		if n > a[name] {
			grown[name] = n - a[name]
		}
	}
	return grown
}

// quantile returns the duration, in ms, that a part of those between two snapshots did not
// exceed, nil if there were none. A histogram's bounds double; between two of them the
// durations are taken to be spread evenly.
func quantile(a, b metric.Durations, part float64) *float64 {
	n := b.Count - a.Count
	if n == 0 {
		return nil
	}
	want, below, from := part*float64(n), 0.0, time.Duration(0)
	for _, bound := range slices.Sorted(maps.Keys(b.UpTo)) {
		upTo := float64(b.UpTo[bound] - a.UpTo[bound])
		if upTo >= want {
			d := float64(from) + (want-below)/(upTo-below)*float64(bound-from)
			ms := round(d / float64(time.Millisecond))
			return &ms
		}
		below, from = upTo, bound
	}
	ms := round(float64(from) / float64(time.Millisecond))
	return &ms
}

// round leaves three digits, or all before the point.
func round(v float64) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow(10, max(0, 2-math.Floor(math.Log10(math.Abs(v)))))
	return math.Round(v*scale) / scale
}

// samples keeps the newest samples. Its methods may be called at the same time.
type samples struct {
	count func() counts

	mu      sync.Mutex // guards the fields below
	ring    []sample
	next    int           // the place of the next one, once the ring is full
	changed chan struct{} // closed when there is a new one
}

func newSamples(count func() counts) *samples {
	return &samples{count: count, changed: make(chan struct{})}
}

// run takes samples until ctx ends.
func (s *samples) run(ctx context.Context) {
	t := time.NewTicker(samplePeriod)
	defer t.Stop()
	for before := s.count(); ; {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		now := s.count()
		s.add(sampleOf(before, now))
		before = now
	}
}

func (s *samples) add(new sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ring) < keptSamples {
		s.ring = append(s.ring, new)
	} else {
		s.ring[s.next] = new
		s.next = (s.next + 1) % keptSamples
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// all returns the samples, the oldest first, and a channel that is closed when there are more.
func (s *samples) all() (all []sample, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(s.ring[s.next:], s.ring[:s.next]), s.changed
}

// newest returns the newest sample, if there is one, and a channel as all does.
func (s *samples) newest() (newest []sample, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.ring); n > 0 {
		newest = append(newest, s.ring[(s.next+n-1)%n])
	}
	return newest, s.changed
}
