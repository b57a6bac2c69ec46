package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestPercentile(t *testing.T) {
	v := []float64{40, 10, 30, 20}
	for p, want := range map[float64]float64{0: 10, 0.1: 13, 0.5: 25, 1: 40} {
		if got := percentile(v, p); math.Abs(got-want) > 1e-9 {
			t.Errorf("percentile(%v, %v): got %v, want %v", v, p, got, want)
		}
	}
	if !slices.Equal(v, []float64{40, 10, 30, 20}) {
		t.Errorf("its argument was sorted: %v", v)
	}
	if got := percentile([]float64{7}, .5); got != 7 {
		t.Errorf("of one value: got %v, want 7", got)
	}
}

func TestInterval(t *testing.T) {
	var v []float64
	for i := 100; i >= 1; i-- {
		v = append(v, float64(i))
	}
	if low, high := interval(v); low != 40 || high != 61 { // as in tables of the sign test
		t.Errorf("of 1..100: got %v..%v, want 40..61", low, high)
	}
	if low, high := interval([]float64{3, 1, 2}); low != 1 || high != 3 {
		t.Errorf("of 1..3: got %v..%v, want all of it", low, high)
	}
}

// The interval contains the true median in at least 95 of 100 cases for any distribution:
// here times with occasional disturbances.
func TestIntervalHolds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	const runs = 2000
	holds := 0
	for range runs {
		v := make([]float64, 60)
		for i := range v {
			v[i] = math.Exp(rng.NormFloat64()) // its median is 1
		}
		if low, high := interval(v); low <= 1 && 1 <= high {
			holds++
		}
	}
	if part := float64(holds) / runs; part < 0.94 || part > 0.99 {
		t.Errorf("holds in %.3f of the runs, want 0.94 to 0.99", part)
	}
}

// A disturbance of a whole round is in both figures, and not in their ratio.
func TestCompare(t *testing.T) {
	base := []float64{10, 10, 80, 20, 10, 10, 30}
	var us []float64
	for _, b := range base {
		us = append(us, 1.5*b)
	}
	m := map[string]float64{}
	compare(m, "hub", us, base)
	for _, key := range []string{"ratio_to_hub", "ratio_to_hub_low", "ratio_to_hub_high", "ratio_p10_to_hub"} {
		if m[key] != 1.5 {
			t.Errorf("%s: got %v, want 1.5", key, m[key])
		}
	}
}

func TestOrders(t *testing.T) {
	a := orders(1, 50, 4)
	if !slices.EqualFunc(a, orders(1, 50, 4), slices.Equal) {
		t.Error("a seed gives two orders")
	}
	if slices.EqualFunc(a, orders(2, 50, 4), slices.Equal) {
		t.Error("two seeds give the same order")
	}
	for _, round := range a {
		if !slices.Equal(slices.Sorted(slices.Values(round)), []int{0, 1, 2, 3}) {
			t.Errorf("round %v: want each peer once", round)
		}
	}
	if slices.EqualFunc(a[1:], a[:49], slices.Equal) {
		t.Error("all rounds have the same order")
	}
}

func TestMixTable(t *testing.T) {
	r := Result{Peer: "old", Scenario: "mix-rpc", CPUs: 1, Round: 1, M: map[string]float64{"server_cpu_us_per_action": 30}}
	compare(r.M, "new", []float64{30, 30}, []float64{20, 20})
	got := markdown([]Result{r})
	for _, want := range []string{"### mix-rpc", "| ratio_to_new | ratio_to_new_low | ratio_to_new_high | ratio_p10_to_new |", "| old | 30 |", " 1.50 | 1.50 | 1.50 | 1.50 |"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
