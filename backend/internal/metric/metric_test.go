package metric_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/internal/metric"
)

func TestHistogram(t *testing.T) {
	var h metric.Histogram
	durations := []time.Duration{-1, 0, 1, 1024, 1025, 2048, 2049, time.Millisecond, time.Hour}
	sum := time.Duration(0)
	for _, d := range durations {
		h.Observe(d)
		sum += max(d, 0)
	}
	got := h.Snapshot()
	if got.Count != uint64(len(durations)) || got.Sum != sum {
		t.Errorf("got %d durations, %v in all; want %d and %v", got.Count, got.Sum, len(durations), sum)
	}
	bounds := slices.Sorted(maps.Keys(got.UpTo))
	if bounds[0] != 1024*time.Nanosecond || bounds[len(bounds)-1] < 15*time.Second {
		t.Errorf("got bounds from %v to %v, want from 1 µs to many seconds", bounds[0], bounds[len(bounds)-1])
	}
	for _, bound := range bounds {
		want := uint64(0)
		for _, d := range durations {
			if d <= bound {
				want++
			}
		}
		if got.UpTo[bound] != want {
			t.Errorf("up to %v: got %d, want %d", bound, got.UpTo[bound], want)
		}
	}
}

// Made-up names cannot fill memory.
func TestNamesAreBounded(t *testing.T) {
	var n metric.Names
	n.Add("first")
	for i := range 10_000 {
		n.Add(fmt.Sprint("made up ", i))
	}
	n.Add("first")
	got := n.Snapshot()
	if len(got) > 100 || got["first"] != 2 {
		t.Errorf("got %d names, and %d of the first; want few, and 2", len(got), got["first"])
	}
	sum := uint64(0)
	for _, count := range got {
		sum += count
	}
	if sum != 10_002 {
		t.Errorf("got %d in all, want 10002", sum)
	}
}

func TestTraffic(t *testing.T) {
	var traffic metric.Traffic
	for n := range uint64(100) {
		traffic.Stripe(n).In(10)
		traffic.Stripe(n).Out(20, 2)
		traffic.Stripe(n).Out(30, 3)
	}
	want := metric.Flow{FramesIn: 100, BytesIn: 1000, FramesOut: 200, BytesOut: 5000, MessagesOut: 500}
	if got := traffic.Snapshot(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Counting does not allocate: it happens in each turn and for each frame.
func TestCountingAllocatesNothing(t *testing.T) {
	var h metric.Histogram
	var traffic metric.Traffic
	var n metric.Names
	n.Add("known")
	got := testing.AllocsPerRun(100, func() {
		h.Observe(time.Millisecond)
		traffic.Stripe(3).Out(1, 1)
		n.Add("known")
	})
	if got != 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}
