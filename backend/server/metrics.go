package server

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/internal/metric"
	"github.com/troupe-dev/troupe/backend/runtime"
)

// Metrics serves the metrics of the server, the Go runtime and the process in
// Prometheus's format; the server's own begin with "troupe_". They show how the server
// is used, so do not expose them to the public.
func (s *Server) Metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{s}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if of, ok := s.opts.Cluster.(prometheus.Collector); ok {
		registry.MustRegister(of)
	}
	return readOnly(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP)
}

// counts is one snapshot of everything that metrics are read from.
type counts struct {
	actors  runtime.Stats
	gateway gateway.Stats
	journal float64
	dropped uint64 // log lines
	ready   bool
}

// metricDef describes one of the server's metrics and reads it.
type metricDef struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(c *counts, set func(value float64, label ...string))
}

func newMetric(kind prometheus.ValueType, name, help string, read func(*counts, func(float64, ...string)), labels ...string) metricDef {
	return metricDef{prometheus.NewDesc("troupe_"+name, help, labels, nil), kind, read}
}

func gauge(name, help string, read func(*counts) float64) metricDef {
	return newMetric(prometheus.GaugeValue, name, help, func(c *counts, set func(float64, ...string)) { set(read(c)) })
}

func counter(name, help string, read func(*counts) uint64) metricDef {
	return newMetric(prometheus.CounterValue, name, help, func(c *counts, set func(float64, ...string)) { set(float64(read(c))) })
}

// counters is a counter with one label.
func counters(name, help, label string, read func(*counts) map[string]uint64) metricDef {
	return newMetric(prometheus.CounterValue, name, help, func(c *counts, set func(float64, ...string)) {
		for value, n := range read(c) {
			set(float64(n), value)
		}
	}, label)
}

// metrics are the server's metrics except the histograms.
var metrics = []metricDef{
	gauge("ready", "1 while /readyz answers 200, else 0.", func(c *counts) float64 {
		if c.ready {
			return 1
		}
		return 0
	}),
	newMetric(prometheus.GaugeValue, "sockets", "Open sockets, by transport.", func(c *counts, set func(float64, ...string)) {
		for transport, n := range c.gateway.Sockets {
			set(float64(n), transport)
		}
	}, "transport"),
	gauge("connections", "Connections to actors that have a socket.", func(c *counts) float64 { return float64(c.gateway.Connections) }),
	gauge("actors_awake", "Actors in memory.", func(c *counts) float64 { return float64(c.actors.Awake) }),
	gauge("actor_bytes", "Bytes of the states, as JSON, and of the logs of the actors in memory.", func(c *counts) float64 { return float64(c.actors.Bytes) }),
	counters("actors_created_total", "Actors that clients or actors made, by result: ok, refused (-actor-rate-per-ip).", "result", func(c *counts) map[string]uint64 {
		return map[string]uint64{"ok": c.actors.Created, "refused": c.gateway.RefusedActors}
	}),
	counter("actors_destroyed_total", "Actors that were destroyed.", func(c *counts) uint64 { return c.actors.Destroyed }),
	gauge("journal_bytes", "Size of the store's journal, which holds the actors' logs.", func(c *counts) float64 { return c.journal }),

	counter("sockets_total", "Accepted sockets.", func(c *counts) uint64 { return c.gateway.Accepted }),
	counters("frames_total", "Frames on sockets, by direction.", "direction", func(c *counts) map[string]uint64 {
		return map[string]uint64{"in": c.gateway.Flow.FramesIn, "out": c.gateway.Flow.FramesOut}
	}),
	counters("frame_bytes_total", "Bytes of frames on sockets, by direction.", "direction", func(c *counts) map[string]uint64 {
		return map[string]uint64{"in": c.gateway.Flow.BytesIn, "out": c.gateway.Flow.BytesOut}
	}),
	counters("calls_total", "Calls of actions, by socket or HTTP.", "over", func(c *counts) map[string]uint64 {
		return map[string]uint64{"socket": c.gateway.Calls, "http": c.gateway.HTTPCalls}
	}),
	counter("resumes_total", "Connections that resumed without a gap.", func(c *counts) uint64 { return c.gateway.Resumed }),
	counters("gaps_total", "Connections that resumed with a gap, by reason.", "reason", func(c *counts) map[string]uint64 { return c.gateway.Gaps }),
	counter("missed_total", "Events missed in gaps, as far as known.", func(c *counts) uint64 { return c.gateway.GapEntries }),
	counter("volatile_dropped_total", "Volatile events dropped for slow clients.", func(c *counts) uint64 { return c.gateway.Volatile }),
	counter("slow_sockets_total", "Sockets closed because their client was too slow.", func(c *counts) uint64 { return c.gateway.Slow }),
	counters("errors_total", "Errors sent to clients, by code.", "code", func(c *counts) map[string]uint64 { return c.gateway.Errors }),

	counter("log_dropped_total", "Log lines dropped because the log's destination was slow or failed.", func(c *counts) uint64 { return c.dropped }),

	counters("turns_total", "Turns of actors, by result: ok, refused (the action returned an error), failed (see the log), timeout, abandoned (did not return).", "result",
		func(c *counts) map[string]uint64 {
			a := &c.actors
			return map[string]uint64{
				"ok":      a.Turns.Count - min(a.Turns.Count, a.Refused+a.Failed+a.TimedOut),
				"refused": a.Refused, "failed": a.Failed, "timeout": a.TimedOut, "abandoned": a.Abandoned,
			}
		}),
	gauge("parked_messages", "Messages of actors that are given up for now, because their handlers kept failing.", func(c *counts) float64 { return float64(c.actors.ParkedMessages) }),
	counter("undecodable_items_total", "Items of tables that do not fit their types, each once whenever its actor is loaded.", func(c *counts) uint64 { return c.actors.UndecodableItems }),
	counter("resets_total", "Actors that were reset to their last durable state.", func(c *counts) uint64 { return c.actors.Resets }),
	counters("commits_total", "Commits of actors, by result: ok, failed.", "result", func(c *counts) map[string]uint64 {
		return map[string]uint64{"ok": c.actors.Commits, "failed": c.actors.Unsaved}
	}),
	counter("entries_total", "Entries of the actors' logs: events and replies.", func(c *counts) uint64 { return c.actors.Entries }),
}

var (
	turnSeconds   = prometheus.NewDesc("troupe_turn_seconds", "Duration of turns, by the actor's definition and what ran: an action, a hook, the type of a message, create, timer, Do, or other.", []string{"actor", "action"}, nil)
	commitSeconds = prometheus.NewDesc("troupe_commit_seconds", "Time that the store took to make a group of commits durable. Empty with the memory store.", nil, nil)
)

// collector is a server as a prometheus.Collector.
type collector struct{ s *Server }

// Describe implements prometheus.Collector.
func (collector) Describe(to chan<- *prometheus.Desc) {
	for _, f := range metrics {
		to <- f.desc
	}
	to <- turnSeconds
	to <- commitSeconds
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	s := c.s
	n := &counts{actors: s.node.Stats(), gateway: s.gateway.Stats(), dropped: droppedLines(s.logger.Handler()), ready: s.unready() == ""}
	if st, ok := s.store.(interface{ JournalBytes() int64 }); ok {
		n.journal = float64(st.JournalBytes())
	}
	for _, f := range metrics {
		f.read(n, func(value float64, label ...string) {
			to <- prometheus.MustNewConstMetric(f.desc, f.kind, value, label...)
		})
	}
	for _, t := range n.actors.TurnsOf {
		to <- histogram(turnSeconds, t.Took, t.Actor, t.Action)
	}
	to <- histogram(commitSeconds, n.actors.SaveTime)
}

func histogram(desc *prometheus.Desc, d metric.Durations, labels ...string) prometheus.Metric {
	upTo := make(map[float64]uint64, len(d.UpTo))
	for bound, n := range d.UpTo {
		upTo[bound.Seconds()] = n
	}
	return prometheus.MustNewConstHistogram(desc, d.Count, d.Sum.Seconds(), upTo, labels...)
}
