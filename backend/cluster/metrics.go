package cluster

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/troupe-dev/troupe/backend/cluster/link"
	"github.com/troupe-dev/troupe/backend/internal/metric"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/jetstream"
)

// collector is the cluster's part of a node's metrics. Those of the store and of links count
// since the node last joined. How often clients were told that an actor has moved is in the
// gateway's count of errors.
type collector struct {
	member *member
	port   *Port
	store  *jetStore
}

var _ prometheus.Collector = collector{}

// sample is what the metrics are read from.
type sample struct {
	nodes, partitions int
	version, seals    uint64
	store             jetstream.Stats
	link              *link.Stats
}

// metricDef describes a metric and reads it. Those with a label have one value for each of two.
type metricDef struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(s *sample, set func(value float64, label ...string))
}

func newMetric(kind prometheus.ValueType, name, help string, read func(*sample) float64) metricDef {
	return metricDef{describe(name, help), kind, func(s *sample, set func(float64, ...string)) { set(read(s)) }}
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("troupe_cluster_"+name, help, labels, nil)
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// metrics are the cluster's metrics except the histogram.
var metrics = []metricDef{
	newMetric(gauge, "nodes", "Nodes that this one knows and that have not ended.", func(s *sample) float64 { return float64(s.nodes) }),
	newMetric(gauge, "partitions_owned", "Partitions of actors that this node serves, of 256.", func(s *sample) float64 { return float64(s.partitions) }),
	newMetric(gauge, "table_version", "Version of the newest table of nodes and partitions that this node knows.", func(s *sample) float64 { return float64(s.version) }),
	newMetric(gauge, "lease_seconds", "For how long this node may still answer without asking the servers.", func(s *sample) float64 { return s.store.Lease.Seconds() }),
	newMetric(counter, "seals_total", "Journals of other nodes that this one has ended because they were silent.", func(s *sample) float64 { return float64(s.seals) }),
	{describe("link_bytes_total", "Bytes of frames between this node and others, by direction.", "direction"), counter, func(s *sample, set func(float64, ...string)) {
		set(float64(s.link.ReceivedBytes.Load()), "in")
		set(float64(s.link.SentBytes.Load()), "out")
	}},
	newMetric(gauge, "link_unacked_bytes", "Bytes that other nodes have not acknowledged yet, or that wait to be sent.", func(s *sample) float64 { return float64(s.link.UnackedBytes.Load()) }),
	newMetric(counter, "link_gaps_total", "Times that frames of another node were missing and were asked for again.", func(s *sample) float64 { return float64(s.link.Gaps.Load()) }),
	newMetric(counter, "link_repeated_frames_total", "Frames that were sent to another node again.", func(s *sample) float64 { return float64(s.link.Repeated.Load()) }),
	newMetric(counter, "link_sessions_ended_total", "Sessions with other nodes that have ended.", func(s *sample) float64 { return float64(s.link.Ended.Load()) }),
	newMetric(counter, "publish_retries_total", "Times that a message of the journal was sent again, because the servers did not take it or did not answer.", func(s *sample) float64 { return float64(s.store.Retries) }),
	newMetric(counter, "stale_reads_total", "Reads that a server did not answer or was behind for, and that were made again.", func(s *sample) float64 { return float64(s.store.StaleReads) }),
	newMetric(gauge, "stuck_seconds", "For how long the outcome of a commit has been unknown; 0: it is known.", func(s *sample) float64 { return s.store.Stuck.Seconds() }),
}

var adoptSeconds = describe("adopt_seconds", "Time that it took to take partitions over, until their actors could run.")

// Describe implements prometheus.Collector.
func (collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range metrics {
		to <- d.desc
	}
	to <- adoptSeconds
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	s := &sample{seals: c.member.seals.Load(), link: c.port.stats(), store: c.store.stats()}
	if t, _ := c.member.table(); t != nil {
		s.version = t.Version
		for _, n := range t.Nodes {
			if n.State != sealed {
				s.nodes++
			}
		}
	}
	for part := range store.Partitions {
		if _, ok := c.member.owns(part); ok {
			s.partitions++
		}
	}
	for _, d := range metrics {
		d.read(s, func(value float64, label ...string) {
			to <- prometheus.MustNewConstMetric(d.desc, d.kind, value, label...)
		})
	}
	to <- histogram(c.member.adopts.Snapshot())
}

func histogram(d metric.Durations) prometheus.Metric {
	upTo := make(map[float64]uint64, len(d.UpTo))
	for bound, n := range d.UpTo {
		upTo[bound.Seconds()] = n
	}
	return prometheus.MustNewConstHistogram(adoptSeconds, d.Count, d.Sum.Seconds(), upTo)
}

// stats returns the figures of the newest incarnation.
func (s *jetStore) stats() jetstream.Stats {
	if of := s.store(); of != nil {
		return of.Stats()
	}
	return jetstream.Stats{}
}

// JournalBytes returns the size of the journals that the store may read again, for metrics.
func (s *jetStore) JournalBytes() int64 { return s.stats().JournalBytes }
