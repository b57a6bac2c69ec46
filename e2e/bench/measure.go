package main

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// Result is one run of one scenario against one peer: one JSON line.
type Result struct {
	Peer     string             `json:"peer"`
	Scenario string             `json:"scenario"`
	CPUs     int                `json:"cpus"` // that the server may use
	Round    int                `json:"round"`
	Err      string             `json:"error,omitempty"`
	Note     string             `json:"note,omitempty"`
	M        map[string]float64 `json:"m,omitempty"`
	CPUBy    map[string]float64 `json:"server_cpu_s_by_process,omitempty"`
}

var epoch = time.Now()

func now() int64 { return int64(time.Since(epoch)) }

const user = "user-0001"

// text carries the send time: "@" + 16 digits + "@".
func text(at int64) string {
	return fmt.Sprintf("@%016d@ hello to everyone here", at)
}

// sentAt finds the time in a received body.
func sentAt(body []byte) (int64, bool) {
	i := bytes.IndexByte(body, '@')
	if i < 0 || i+17 >= len(body) || body[i+17] != '@' {
		return 0, false
	}
	v, err := strconv.ParseInt(string(body[i+1:i+17]), 10, 64)
	return v, err == nil
}

// quantiles of ns in ms.
func quantiles(ns []int64, m map[string]float64, prefix string) {
	if len(ns) == 0 {
		return
	}
	slices.Sort(ns)
	q := func(p float64) float64 {
		i := int(math.Ceil(p*float64(len(ns)))) - 1
		return float64(ns[max(0, i)]) / 1e6
	}
	m[prefix+"p50_ms"], m[prefix+"p99_ms"], m[prefix+"p999_ms"] = q(.5), q(.99), q(.999)
	m[prefix+"max_ms"], m[prefix+"samples"] = q(1), float64(len(ns))
}

// window is the accounting of one measured interval.
type window struct {
	s            *Server
	pids         []int
	u            Usage
	self, mach   float64
	t            time.Time
	reads, frame int64
	l            *Loop
}

func begin(s *Server, l *Loop) *window {
	s.startProfile()
	w := &window{s: s, pids: s.pids(), l: l, self: selfCPU(), mach: machineCPU(), t: time.Now(), reads: l.Reads, frame: l.Frames}
	w.u = usage(w.pids)
	return w
}

// end fills in the common figures and returns server CPU seconds and elapsed seconds.
func (w *window) end(r *Result) (cpu, sec float64) {
	u := usage(w.pids)
	sec = time.Since(w.t).Seconds()
	cpu = u.CPU - w.u.CPU
	self := selfCPU() - w.self
	r.M["server_cpu_pct"] = 100 * cpu / sec
	r.M["gen_cpu_pct"] = 100 * self / sec
	r.M["other_cpu_pct"] = 100 * max(0, machineCPU()-w.mach-cpu-self) / sec
	r.M["server_rss_mb"] = float64(u.RSS) / 1e6
	if rd := w.l.Reads - w.reads; rd > 0 {
		r.M["frames_per_read"] = float64(w.l.Frames-w.frame) / float64(rd)
		r.M["reads_per_s"] = float64(rd) / sec
	}
	r.CPUBy = map[string]float64{}
	for k, v := range u.By {
		r.CPUBy[k] = math.Round((v-w.u.By[k])*100) / 100
	}
	if err := w.s.endProfile(); err != nil {
		r.Err = err.Error()
	}
	return cpu, sec
}
