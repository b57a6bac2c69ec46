package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"strings"
	"testing"
)

// The committed plots are those of the committed results.
func TestPlotsAreUpToDate(t *testing.T) {
	files, err := plots()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(name)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what results/*.jsonl give; run make plot (%v)", name, err)
		}
		if !strings.HasSuffix(name, ".svg") {
			continue
		}
		for d := xml.NewDecoder(bytes.NewReader(want)); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

// A failed or missing measurement leaves a gap, not a wrong figure.
func TestPlotsOfLittle(t *testing.T) {
	rs := []Result{
		{Peer: "troupe", Scenario: "fanout", CPUs: 1, Round: 1, M: map[string]float64{"server_cpu_us_per_delivery": 2}},
		{Peer: "troupe", Scenario: "fanout", CPUs: 1, Round: 2, M: map[string]float64{"server_cpu_us_per_delivery": 4}},
		{Peer: "troupe", Scenario: "fanout", CPUs: 1, Round: 3, Err: "stalled", M: map[string]float64{"server_cpu_us_per_delivery": 99}},
		{Peer: "troupe", Scenario: "state@1000", CPUs: 1, Err: "stalled"},
		{Peer: "troupe", Scenario: "log@10", CPUs: 1, M: map[string]float64{"server_cpu_us_per_action": 20}},
	}
	if v, ok := value(rs, "troupe", "fanout", 1, "server_cpu_us_per_delivery"); !ok || v != 3 {
		t.Errorf("got %v, %v, want the median of the rounds that went well, 3", v, ok)
	}
	if _, ok := value(rs, "troupe", "fanout", 2, "server_cpu_us_per_delivery"); ok {
		t.Error("a figure of one CPU counts for two")
	}
	for name, b := range map[string][]byte{"peers": plotPeers(themes[0], rs), "growth": plotGrowth(themes[0], rs), "none": plotGrowth(themes[0], nil)} {
		if bytes.Contains(b, []byte("NaN")) || bytes.Contains(b, []byte("Inf")) {
			t.Errorf("%s: a coordinate is no number", name)
		}
	}
	if got := string(plotPeers(themes[0], rs)); !strings.Contains(got, ">333k<") {
		t.Error("1/3 µs is not shown as 333k")
	}
}

// Once a mix has run, its peers' figures and ratios are from it alone.
func TestFiguresOfMix(t *testing.T) {
	us := func(v float64) map[string]float64 { return map[string]float64{"server_cpu_us_per_action": v} }
	rs := []Result{
		{Peer: "troupe", Scenario: "rpc", CPUs: 1, M: us(44)},
		{Peer: "rawcoder-frame", Scenario: "rpc", CPUs: 1, M: us(20)},
		{Peer: "centrifuge-rec", Scenario: "rpc", CPUs: 1, M: us(30)},
		{Peer: "rivetkit22", Scenario: "rpc", CPUs: 1, M: us(160)},
	}
	row := func() string {
		for line := range strings.Lines(figures(rs)) {
			if strings.HasPrefix(line, "| call: ") {
				return strings.TrimSpace(line)
			}
		}
		return ""
	}
	if got, want := row(), "| call: µs of CPU per action | 44 (2.2×) | – | 20 | 30 (1.5×) | 160 (8×) |"; got != want {
		t.Errorf("without a mix: got\n%s, want\n%s", got, want)
	}
	mixed := us(50)
	mixed["ratio_to_rawcoder-frame"], mixed["ratio_to_centrifuge-rec"] = 1.4, 0.9
	durable := us(75)
	durable["ratio_to_rawcoder-frame"], durable["ratio_to_centrifuge-rec"] = 2.1, 1.3
	rs = append(rs, Result{Peer: "troupe", Scenario: "mix-rpc", CPUs: 1, M: mixed},
		Result{Peer: "troupe-sqlite", Scenario: "mix-rpc", CPUs: 1, M: durable},
		Result{Peer: "rawcoder-frame", Scenario: "mix-rpc", CPUs: 1, M: us(40)})
	if got, want := row(), "| call: µs of CPU per action | 50 (1.4×) | 75 (2.1×) | 40 | – | 160 (8×) |"; got != want {
		t.Errorf("with a mix: got\n%s, want\n%s", got, want)
	}
	if got := ratios(rs, nil); !strings.Contains(got, "A call costs 0.9 times") || !strings.Contains(got, "1.3 times when it is durable") {
		t.Errorf("the ratios to Centrifuge are missing in: %s", got)
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{0.01: "0.01", 0.309: "0.31", 1: "1", 2.6: "2.6", 9.96: "10", 47.83: "48", 999.4: "999", 999.6: "1k", 1039: "1k", 8000: "8k", 75_000: "75k", 904_103: "904k", 1e6: "1M", 15e6: "15M"} {
		if got := short(v); got != want {
			t.Errorf("short(%v): got %s, want %s", v, got, want)
		}
	}
}
